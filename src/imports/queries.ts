import type { Slug, UserId } from '../../schemas/common.ts'
import { formatTime, type Sql } from '../database/connect.ts'

/** Whether there is such a segment, and it is not deleted. */
export async function existsSegment(sql: Sql, slug: Slug): Promise<boolean> {
  const rows = await sql`
    select
    from segments
    where slug = ${slug}
      and deleted_at is null`
  return rows.length > 0
}

/** Makes the session's table, which the upload is gathered in. */
export async function beginImport(sql: Sql): Promise<void> {
  await sql`select begin_import()`
}

/** Adds lines without an expiry to the session's table. */
export async function insertUsers(sql: Sql, userIds: UserId[]): Promise<void> {
  await sql`
    insert into pg_temp.import_lines (user_id)
    select unnest(${userIds}::bigint[])`
}

/**
 * Adds lines with an expiry to the session's table.
 *
 * @param lines the lines' numbers, as text.
 */
export async function insertExpiringUsers(
  sql: Sql,
  userIds: UserId[],
  expiries: string[],
  lines: string[]
): Promise<void> {
  await sql`
    insert into pg_temp.import_lines (user_id, expires_at, line)
    select user_id, expires_at::timestamptz, line
    from unnest(${userIds}::bigint[], ${expiries}::text[], ${lines}::bigint[]) as l (user_id, expires_at, line)`
}

/** How an upload takes effect. */
export type ImportOptions = {
  /** Whether nothing is changed, and only counted. */
  countOnly: boolean
  /** Whether lines whose expiry has passed are left out; otherwise nothing is changed where there is one. */
  skip: boolean
  /** Whose doing it is: the name of the API key. */
  actor: string | undefined
}

export type ImportedMembers = {
  added: number
  new_users: number
  /** Lines whose expiry has passed, by the database's clock. */
  late: number
  /** The first of them. */
  late_lines: { line: number; expires_at: string }[]
}

/**
 * Puts the gathered users into a segment, all at one moment. What `change_user_segments` does for one user this does
 * for all.
 *
 * @param shown how many of the late lines are returned at the most.
 * @returns undefined, with nothing changed, where there is no such segment or it is deleted.
 */
export async function importMembers(
  sql: Sql,
  slug: Slug,
  { countOnly, skip, actor }: ImportOptions,
  shown: number
): Promise<ImportedMembers | undefined> {
  const [imported] = await sql<ImportedMembers[]>`
    select
      added::double precision,
      new_users::double precision,
      late::double precision,
      (
        select coalesce(
          json_agg(json_build_object('line', line, 'expires_at', ${formatTime(sql, 'expires_at')}) order by line),
          '[]'
        )
        from unnest(late_lines, late_expiries) as l (line, expires_at)
      ) as late_lines
    from import_members(${slug}, ${countOnly}, ${skip}, ${shown}, ${actor ?? null})`
  return imported
}

/**
 * Takes the gathered users out of a segment, all at one moment.
 *
 * @returns how many were in it; undefined, with nothing changed, where there is no such segment or it is deleted.
 */
export async function importRemovals(
  sql: Sql,
  slug: Slug,
  { countOnly, actor }: ImportOptions
): Promise<number | undefined> {
  const [row] = await sql<[{ removed: number | null }]>`
    select import_removals(${slug}, ${countOnly}, ${actor ?? null})::double precision as removed`
  return row.removed ?? undefined
}

/**
 * Makes the gathered users known.
 *
 * @returns how many of them the service had never seen.
 */
export async function importUsers(sql: Sql, { countOnly, actor }: ImportOptions): Promise<number> {
  const [row] = await sql<[{ new_users: number }]>`
    select import_users(${countOnly}, ${actor ?? null})::double precision as new_users`
  return row.new_users
}
