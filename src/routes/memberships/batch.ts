import DataLoader from 'dataloader'
import type { UserId } from '../../../schemas/common.ts'
import type { ActiveSegmentsText } from '../../../schemas/memberships.ts'
import type { Sql } from '../../database.ts'
import { selectActiveSegments } from './queries.ts'

/** Users a query asks for at the most, so that one burst cannot make a query that all of it waits for. */
const MAX_BATCH_SIZE = 500

/**
 * Turns the reads that arrive while `maxInFlight` queries are under way, and otherwise those of one turn of the
 * event loop, into one query. So batches grow with the load, which makes each read cheaper, and a read that comes
 * alone waits for nothing. Nothing is cached: a read sees all that was committed before it began.
 *
 * @returns a loader of a user's active segments, as JSON text; undefined for an unknown user.
 */
export function batchActiveSegments(
  sql: Sql,
  maxInFlight: number
): DataLoader<UserId, ActiveSegmentsText | undefined> {
  let inFlight = 0
  const waiting: (() => void)[] = []

  async function load(userIds: readonly UserId[]): Promise<(ActiveSegmentsText | undefined)[]> {
    inFlight += 1
    try {
      const segmentsOfUsers = await selectActiveSegments(sql, userIds)
      return userIds.map((userId) => segmentsOfUsers.get(userId))
    } finally {
      inFlight -= 1
      waiting.shift()?.()
    }
  }

  function schedule(dispatch: () => void): void {
    setImmediate(() => {
      if (inFlight < maxInFlight) dispatch()
      else waiting.push(dispatch)
    })
  }

  return new DataLoader(load, { cache: false, maxBatchSize: MAX_BATCH_SIZE, batchScheduleFn: schedule })
}
