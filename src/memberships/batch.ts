import DataLoader from 'dataloader'
import type { UserId } from '../../schemas/common.ts'
import type { ActiveSegmentsText } from '../../schemas/memberships.ts'
import type { Sql } from '../database/connect.ts'
import { retryIdempotent } from '../database/retry.ts'
import { MAX_LOOKUP_USERS } from '../limits.ts'
import { selectActiveSegments } from './queries.ts'

type BatchOptions = {
  /** While this many queries are in progress, lookups wait for the next query. */
  concurrency: number
  /** The longest that a lookup waits, in milliseconds. After it, a further query is sent. */
  maxWait: number
  /** Observes the number of users of each query. */
  batchSizes?: { observe(users: number): void }
}

/**
 * Combines membership lookups into queries for many users. Lookups of the same turn of the event loop form one query;
 * while `concurrency` queries are in progress, further lookups wait and form the next one. So batches grow with the
 * load, which makes each lookup cheaper, and a single lookup does not wait. A slow query (it reads from the disk, or
 * its connection is dead) delays the others by at most `maxWait`. Nothing is cached: a lookup sees everything that was
 * committed before it began.
 *
 * @returns a loader of a user's active segments as JSON text; undefined for an unknown user.
 */
export function batchActiveSegments(
  reads: Sql,
  { concurrency, maxWait, batchSizes }: BatchOptions
): DataLoader<UserId, ActiveSegmentsText | undefined> {
  let inProgress = 0
  const waiting = new Set<() => void>()

  async function load(userIds: readonly UserId[]): Promise<(ActiveSegmentsText | undefined)[]> {
    inProgress += 1
    batchSizes?.observe(userIds.length)
    try {
      const segmentsOfUsers = await retryIdempotent(() => selectActiveSegments(reads, userIds))
      return userIds.map((userId) => segmentsOfUsers.get(userId))
    } finally {
      inProgress -= 1
      const [sendNext] = waiting
      if (inProgress < concurrency) sendNext?.()
    }
  }

  function schedule(dispatch: () => void): void {
    setImmediate(() => {
      if (inProgress < concurrency) {
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

  return new DataLoader(load, { cache: false, maxBatchSize: MAX_LOOKUP_USERS, batchScheduleFn: schedule })
}
