import postgres from 'postgres'
import type { Test } from 'tap'
import type { TestDatabase } from './service.ts'

/**
 * Keeps everyone else from a table, so that whatever needs it is in progress until the test lets go.
 *
 * @returns a function that lets go.
 */
export async function holdTable(
  t: Test,
  database: TestDatabase,
  table: string
): Promise<() => Promise<void>> {
  const sql = postgres(database.url, { max: 1 })
  t.teardown(() => sql.end({ timeout: 1 }))
  await sql.unsafe(`begin; lock table ${table} in access exclusive mode`)
  return async () => {
    await sql.unsafe('commit')
  }
}

/** How many of the service's connections wait for a lock now; of all, or of those of one name. */
export async function countBlocked({ sql }: TestDatabase, name = 'user-segments%'): Promise<number> {
  const [row] = await sql<[{ count: number }]>`
    select count(*)::integer from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock'
      -- That of a report also has its order's id.
      and regexp_replace(application_name, '^(user-segments report) .*', '\\1') like ${name}`
  return row.count
}
