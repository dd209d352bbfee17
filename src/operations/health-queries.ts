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

/**
 * Proves that the server accepts writes and that the role may write, without writing: it fails as any write would, and
 * matches no row.
 *
 * @throws {PostgresError} 25006 if the server is read-only, 42501 if the role lacks the right.
 */
export async function proveWritable(sql: Sql): Promise<void> {
  await sql`update imports set ended_at = ended_at where false`
}
