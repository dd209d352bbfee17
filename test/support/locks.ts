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
