import postgres from 'postgres'
import type { Test } from 'tap'
import { isDistributed, type TestDatabase, waitUntil } from './service.ts'

/**
 * Locks a table, so that statements that need it stay in progress until the test releases it.
 *
 * @param mode `share` prevents only writes.
 * @returns a function that releases the lock.
 */
export async function holdTable(
  t: Test,
  database: TestDatabase,
  table: string,
  mode: 'share' | 'access exclusive' = 'access exclusive'
): Promise<() => Promise<void>> {
  const sql = postgres(database.url, { max: 1 })
  t.teardown(() => sql.end({ timeout: 1 }))
  await sql.unsafe(`begin; lock table ${table} in ${mode} mode`)
  return async () => {
    await sql.unsafe('commit')
  }
}

/** Counts the service's connections that wait for a lock, all or those with one name. */
export async function countBlocked({ sql }: TestDatabase, name = 'user-segments%'): Promise<number> {
  const [row] = await sql<[{ count: number }]>`
    select count(*)::integer from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock'
      -- What follows is the instance, or the id of a report's order.
      and regexp_replace(application_name, '^(user-segments \\w+) .*', '\\1') like ${name}`
  if (!isDistributed) return row.count
  // The coordinator's own sessions do not show that they wait for a lock on another node.
  const [{ waiting }] = await sql<[{ waiting: number }]>`
    select count(distinct waiting_gpid)::integer as waiting
    from citus_lock_waits
    join citus_stat_activity on global_pid = waiting_gpid
    where datname = current_database()`
  return Math.max(row.count, waiting)
}

/**
 * Lets two writes collide: the first one waits for the locked table, and the second one for the first.
 *
 * @returns their results.
 */
export async function crossWrites<First, Second>(
  t: Test,
  database: TestDatabase,
  table: string,
  first: () => Promise<First>,
  second: () => Promise<Second>
): Promise<[First, Second]> {
  const release = await holdTable(t, database, table, 'share')
  const one = first()
  await waitForBlocked(database, 1)
  const other = second()
  await waitForBlocked(database, 2)
  await release()
  return Promise.all([one, other])
}

/** Waits until that many connections of the service wait for a lock, of all or of those with one name. */
export async function waitForBlocked(database: TestDatabase, count: number, name?: string): Promise<void> {
  await waitUntil(
    () => countBlocked(database, name),
    (blocked) => blocked === count
  )
}
