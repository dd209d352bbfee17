import DataLoader from 'dataloader'
import type { UserId } from '../../schemas/common.ts'
import type { ActiveSegmentsText } from '../../schemas/memberships.ts'
import type { Sql } from '../database/connect.ts'
import type { ReadServer, Requirement } from '../database/read-server.ts'
import { BEHIND, type ReadServers } from '../database/read-servers.ts'
import { retryIdempotent } from '../database/retry.ts'
import type { WriteToken } from '../database/write-tokens.ts'
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

/** Creates a loader of a user's active segments as JSON text; undefined for an unknown user. */
export function batchActiveSegments(
  reads: Sql,
  options: BatchOptions
): DataLoader<UserId, ActiveSegmentsText | undefined> {
  return batchLookups(options, async (userIds) => {
    const segmentsOfUsers = await retryIdempotent(() => selectActiveSegments(reads, userIds))
    return userIds.map((userId) => segmentsOfUsers.get(userId))
  })
}

/** A lookup on a read server. */
type Lookup = Requirement & { userId: UserId }

/** The same as {@link batchActiveSegments} on a read server; BEHIND for a lookup that it can't answer yet. */
function batchOnServer(
  server: ReadServer,
  options: BatchOptions
): DataLoader<Lookup, ActiveSegmentsText | undefined | typeof BEHIND> {
  return batchLookups(options, (lookups) =>
    server.read(lookups, async (sql, sees) => {
      const userIds = lookups.filter(sees).map(({ userId }) => userId)
      if (userIds.length === 0) return lookups.map(() => BEHIND)
      const segmentsOfUsers = await selectActiveSegments(sql, userIds)
      return lookups.map((lookup) => (sees(lookup) ? segmentsOfUsers.get(lookup.userId) : BEHIND))
    })
  )
}

/**
 * Looks up a user's active segments.
 *
 * @param tokens those of the writes that the answer must contain.
 * @returns JSON text; undefined for an unknown user.
 */
export type LookUpActiveSegments = (
  userId: UserId,
  tokens: readonly WriteToken[]
) => Promise<ActiveSegmentsText | undefined>

/** Creates the lookup on the read servers and on DATABASE_URL. Each of them has batches of its own. */
export function createLookup(
  reads: Sql,
  readServers: ReadServers,
  options: BatchOptions
): LookUpActiveSegments {
  const onPrimary = batchActiveSegments(reads, options)
  const onServers = new Map(readServers.servers.map((server) => [server, batchOnServer(server, options)]))
  if (onServers.size === 0) return (userId) => onPrimary.load(userId)
  return (userId, tokens) => {
    const lookup: Lookup = { userId, tokens }
    return readServers.route(
      lookup,
      async (server) => onServers.get(server)?.load(lookup) ?? BEHIND,
      () => onPrimary.load(userId)
    )
  }
}

/**
 * Combines lookups into queries for many users. Lookups of the same turn of the event loop form one query;
 * while `concurrency` queries are in progress, further lookups wait and form the next one. So batches grow with the
 * load, which makes each lookup cheaper, and a single lookup does not wait. A slow query (it reads from the disk, or
 * its connection is dead) delays the others by at most `maxWait`. Nothing is cached: a lookup sees everything that was
 * committed before it began.
 */
function batchLookups<Key, Value>(
  { concurrency, maxWait, batchSizes }: BatchOptions,
  query: (keys: readonly Key[]) => Promise<Value[]>
): DataLoader<Key, Value> {
  let inProgress = 0
  const waiting = new Set<() => void>()

  async function load(keys: readonly Key[]): Promise<Value[]> {
    inProgress += 1
    batchSizes?.observe(keys.length)
    try {
      return await query(keys)
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
