import DataLoader from 'dataloader'
import { MAX_LOOKUP_USERS } from '../limits.ts'
import type { Sql } from './connect.ts'
import type { ReadServer, Requirement } from './read-server.ts'
import { BEHIND, type ReadServers } from './read-servers.ts'
import { retryIdempotent } from './retry.ts'
import type { WriteToken } from './write-tokens.ts'

type BatchOptions = {
  /** While this many queries are in progress, lookups wait for the next query. */
  concurrency: number
  /** The longest that a lookup waits, in milliseconds. After it, a further query is sent. */
  maxWait: number
  /** Observes the number of keys of each query. */
  batchSizes?: { observe(keys: number): void }
}

/** Fewer queries mean larger batches, which cost less per key. A query takes 1 to 3 ms if its pages are in memory. */
export const LOOKUP_BATCHES = { concurrency: 2, maxWait: 5 }

/** Reads the values of many keys with one query. A key without a value is absent from the result. */
type ReadMany<Key, Value> = (sql: Sql, keys: readonly Key[]) => Promise<Map<Key, Value>>

/** Creates a loader of values; undefined for a key without a value. */
export function batchLookups<Key, Value>(
  reads: Sql,
  readMany: ReadMany<Key, Value>,
  options: BatchOptions
): DataLoader<Key, Value | undefined> {
  return createLoader(options, async (keys) => {
    const values = await retryIdempotent(() => readMany(reads, keys))
    return keys.map((key) => values.get(key))
  })
}

/** A lookup on a read server. */
type Lookup<Key> = Requirement & { key: Key }

/** The same as {@link batchLookups} on a read server; BEHIND for a lookup that it can't answer yet. */
function batchOnServer<Key, Value>(
  server: ReadServer,
  readMany: ReadMany<Key, Value>,
  options: BatchOptions
): DataLoader<Lookup<Key>, Value | undefined | typeof BEHIND> {
  return createLoader(options, (lookups) =>
    server.read(lookups, async (sql, sees) => {
      const keys = lookups.filter(sees).map(({ key }) => key)
      if (keys.length === 0) return lookups.map(() => BEHIND)
      const values = await readMany(sql, keys)
      return lookups.map((lookup) => (sees(lookup) ? values.get(lookup.key) : BEHIND))
    })
  )
}

/**
 * Looks up the value of a key.
 *
 * @param tokens those of the writes that the answer must contain.
 * @returns undefined for a key without a value.
 */
export type LookUp<Key, Value> = (key: Key, tokens: readonly WriteToken[]) => Promise<Value | undefined>

/** Creates the lookup on the read servers and on DATABASE_URL. Each of them has batches of its own. */
export function createLookup<Key, Value>(
  reads: Sql,
  readServers: ReadServers,
  readMany: ReadMany<Key, Value>,
  options: BatchOptions
): LookUp<Key, Value> {
  const onPrimary = batchLookups(reads, readMany, options)
  const onServers = new Map(
    readServers.servers.map((server) => [server, batchOnServer(server, readMany, options)])
  )
  if (onServers.size === 0) return (key) => onPrimary.load(key)
  return (key, tokens) => {
    const lookup: Lookup<Key> = { key, tokens }
    return readServers.route(
      lookup,
      async (server) => onServers.get(server)?.load(lookup) ?? BEHIND,
      () => onPrimary.load(key)
    )
  }
}

/**
 * Combines lookups into queries for many keys. Lookups of the same turn of the event loop form one query;
 * while `concurrency` queries are in progress, further lookups wait and form the next one. So batches grow with the
 * load, which makes each lookup cheaper, and a single lookup does not wait. A slow query (it reads from the disk, or
 * its connection is dead) delays the others by at most `maxWait`. Nothing is cached: a lookup sees everything that was
 * committed before it began.
 */
function createLoader<Key, Value>(
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
