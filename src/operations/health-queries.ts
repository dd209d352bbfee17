import postgres from 'postgres'
import type { Sql } from '../database/connect.ts'

/** SQLSTATE undefined_table: nothing was ever migrated here. */
const UNDEFINED_TABLE = '42P01'

/** Which of the migrations have not been run. Others that were run do not matter: they are of a newer version. */
export async function selectMissingMigrations(sql: Sql, migrations: string[]): Promise<string[]> {
  try {
    const rows = await sql<{ name: string }[]>`
      select name from unnest(${migrations}::text[]) as needed (name)
      where name not in (select name from pgmigrations)
      order by name`
    return rows.map(({ name }) => name)
  } catch (error) {
    if (error instanceof postgres.PostgresError && error.code === UNDEFINED_TABLE) return migrations
    throw error
  }
}
