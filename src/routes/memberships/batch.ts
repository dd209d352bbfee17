import DataLoader from 'dataloader'
import type { UserId } from '../../../schemas/common.ts'
import type { ActiveSegmentsText } from '../../../schemas/memberships.ts'
import type { Sql } from '../../database.ts'
import { selectActiveSegments } from './queries.ts'

/** Users a query asks for at the most, so that one burst cannot make a query that all of it waits for. */
const MAX_BATCH_SIZE = 500

/**
 * Turns the reads that arrive in one turn of the event loop into one query. Nothing is cached: a read sees all
 * that was committed before it began.
 *
 * @returns a loader of a user's active segments, as JSON text; undefined for an unknown user.
 */
export function batchActiveSegments(sql: Sql): DataLoader<UserId, ActiveSegmentsText | undefined> {
  return new DataLoader(
    async (userIds) => {
      const segmentsOfUsers = await selectActiveSegments(sql, userIds)
      return userIds.map((userId) => segmentsOfUsers.get(userId))
    },
    { cache: false, maxBatchSize: MAX_BATCH_SIZE, batchScheduleFn: (dispatch) => setImmediate(dispatch) }
  )
}
