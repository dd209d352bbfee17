import postgres from 'postgres'
import type { Sql } from '../database/connect.ts'

/** SQLSTATE undefined_table: the database has never been migrated. */
const UNDEFINED_TABLE = '42P01'

/** Selects the migrations that have not been run. Other migrations do not matter: they belong to a newer version. */
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
