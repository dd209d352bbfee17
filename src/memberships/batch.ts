import DataLoader from 'dataloader'
import type { UserId } from '../../schemas/common.ts'
import type { ActiveSegmentsText } from '../../schemas/memberships.ts'
import { retryIdempotent } from '../database/faults.ts'
import type { WarmConnections } from '../database/warm-connections.ts'
import { selectActiveSegments } from './queries.ts'

/** Users a query asks for at the most, so that one burst cannot make a query that all of it waits for. */
const MAX_BATCH_SIZE = 500

type BatchOptions = {
  /** Queries under way beside which reads are gathered for the next one. */
  enough: number
  /** Milliseconds that reads are gathered at the most, however many queries are under way. */
  maxWait: number
  /** Is told of each query's number of users. */
  sizes?: { observe(users: number): void }
}

/**
 * Turns the reads that arrive while enough queries are under way, and otherwise those of one turn of the event loop,
 * into one query. So batches grow with the load, which makes each read cheaper, and a read that comes alone waits
 * for nothing. Queries that take long (their pages are read from the disk, or their connection is dead) hold the
 * others up for a moment only. Nothing is cached: a read sees all that was committed before it began.
 *
 * @returns a loader of a user's active segments, as JSON text; undefined for an unknown user.
 */
export function batchActiveSegments(
  connections: WarmConnections,
  { enough, maxWait, sizes }: BatchOptions
): DataLoader<UserId, ActiveSegmentsText | undefined> {
  let underWay = 0
  const waiting = new Set<() => void>()

  async function load(userIds: readonly UserId[]): Promise<(ActiveSegmentsText | undefined)[]> {
    underWay += 1
    sizes?.observe(userIds.length)
    try {
      const segmentsOfUsers = await retryIdempotent(() =>
        connections.use((sql) => selectActiveSegments(sql, userIds))
      )
      return userIds.map((userId) => segmentsOfUsers.get(userId))
    } finally {
      underWay -= 1
      const [sendNext] = waiting
      if (underWay < enough) sendNext?.()
    }
  }

  function schedule(dispatch: () => void): void {
    setImmediate(() => {
      if (underWay < enough) {
        dispatch()
        return
      }
      const send = () => {
        clearTimeout(timer)
        waiting.delete(send)
        dispatch()
      }
      const timer = setTimeout(send, maxWait)
      waiting.add(send)
    })
  }

  return new DataLoader(load, { cache: false, maxBatchSize: MAX_BATCH_SIZE, batchScheduleFn: schedule })
}
