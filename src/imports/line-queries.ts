/** Stores the lines of uploads in the table `import_lines`, checks them, and removes them afterwards. */
import type { Slug, Time, UserId } from '../../schemas/common.ts'
import { formatTime, type Pool, type Sql } from '../database/connect.ts'
import { isActiveIn, type Rival } from '../database/exclusive-groups.ts'
import { toTimestamp } from '../database/times.ts'
import { transaction } from '../database/transaction.ts'

/** Creates an import. @returns its id. */
export async function beginImport(sql: Sql): Promise<string> {
  const [row] = await sql<[{ id: string }]>`
    insert into imports default values
    returning id::text`
  return row.id
}

/** A batch of an import's lines. */
export type Batch = { importId: string; number: number }

/** Adds lines without an expiry and without their numbers. */
export async function insertUsers(sql: Sql, { importId, number }: Batch, userIds: UserId[]): Promise<void> {
  await sql`
    insert into import_lines (import_id, batch, user_id)
    select ${importId}, ${number}, unnest(${userIds}::bigint[])`
}

/**
 * Adds lines with their numbers.
 *
 * @param expiries an empty text for lines without an expiry: with `array_nulls = off`, PostgreSQL reads no null in an array.
 * @param lines the lines' numbers, as text.
 */
export async function insertNumberedUsers(
  sql: Sql,
  { importId, number }: Batch,
  userIds: UserId[],
  expiries: string[],
  lines: string[]
): Promise<void> {
  await sql`
    insert into import_lines (import_id, batch, user_id, expires_at, line)
    select ${importId}, ${number}, user_id, nullif(expires_at, '')::timestamptz, line
    from unnest(${userIds}::bigint[], ${expiries}::text[], ${lines}::bigint[]) as l (user_id, expires_at, line)`
}

/** Marks an import as ended, whether it took effect or not. `sweepImports` then removes its lines. */
export async function endImport(sql: Sql, importId: string): Promise<void> {
  await sql`
    update imports
    set ended_at = now()
    where id = ${importId}`
}

/**
 * Removes the next batches of an import that has ended or is older than an import can be, which means that its instance
 * has crashed. Removes the import itself once no lines are left.
 *
 * @param longest the longest time that an import may take, in seconds.
 * @param limit how many batches to remove.
 * @returns whether there was one.
 */
export function sweepImports(pool: Pool, longest: number, limit: number): Promise<boolean> {
  return transaction(
    pool,
    async (sql) => {
      const [ended] = await sql<{ id: string }[]>`
        select id::text
        from imports
        where ended_at is not null
          or begun_at < now() - make_interval(secs => ${longest})
        limit 1
        for update skip locked`
      if (!ended) return false
      const [{ first }] = await sql<[{ first: number | null }]>`
        select min(batch) as first
        from import_lines
        where import_id = ${ended.id}`
      if (first === null) await sql`delete from imports where id = ${ended.id}`
      else await sql`delete from import_lines where import_id = ${ended.id} and batch < ${first + limit}`
      return true
    },
    { settings: { synchronous_commit: 'off' } }
  )
}

/** The stored lines of an upload. */
export type StoredLines = {
  importId: string
  /** The number of rows in `import_lines`. */
  stored: number
  /** Whether any of them has an expiry. */
  hasExpiries: boolean
  /** Whether each line was stored with its number. */
  isNumbered: boolean
}

/**
 * Lines of an import are missing, because PostgreSQL crashed and emptied the unlogged table. Or their numbers are, because
 * the segment has entered an exclusive group meanwhile. Nothing has changed.
 */
export class LinesLost extends Error {}

/** Lines whose expiry has passed by the database's clock: their number, and the first of them. */
export type LateLines = { count: number; first: { line: number; expires_at: Time }[] }

/**
 * Checks that no line has been lost, and finds those whose expiry has passed.
 *
 * @param shown the maximum number of late lines to return.
 * @throws {LinesLost}
 */
export async function checkLines(
  sql: Sql,
  { importId, stored, hasExpiries }: StoredLines,
  at: Time,
  shown: number
): Promise<LateLines> {
  const [{ count, late }] = await sql<[{ count: number; late: number }]>`
    select
      count(*)::double precision as count,
      count(*) filter (where expires_at <= ${toTimestamp(sql, at)})::double precision as late
    from import_lines
    where import_id = ${importId}`
  if (count !== stored) throw new LinesLost()
  if (!hasExpiries) return { count: 0, first: [] }

  const first = await sql<LateLines['first']>`
    select line::double precision, ${formatTime(sql, 'expires_at')} as expires_at
    from import_lines
    where import_id = ${importId}
      and expires_at <= ${toTimestamp(sql, at)}
    order by import_lines.line
    limit ${shown}`
  return { count: late, first: [...first] }
}

/**
 * A subquery for the users of an import, each once, with `user_id` and `expires_at`. Lines whose expiry has passed don't
 * count. Of a user's other lines the last one with an expiry counts, or otherwise one without.
 */
export function importedUsers(sql: Sql, { importId, hasExpiries }: StoredLines, at: Time) {
  if (!hasExpiries)
    return sql`
      select distinct user_id, null::timestamptz as expires_at
      from import_lines
      where import_id = ${importId}`
  return sql`
    select distinct on (user_id) user_id, expires_at
    from import_lines
    where import_id = ${importId}
      and (expires_at is null or expires_at > ${toTimestamp(sql, at)})
    order by user_id, expires_at is null, line desc`
}

/** Lines whose user is in another segment of the group: their number, and the first of them. */
export type ConflictingLines = { count: number; first: { line: number; user_id: UserId; slug: Slug }[] }

/**
 * Removes the lines whose user is in another segment of the group. Lines whose expiry has passed stay.
 *
 * @param shown the maximum number of such lines to return.
 * @throws {LinesLost} if there are such lines, and their numbers were not stored.
 */
export async function removeConflictingLines(
  sql: Sql,
  { importId, isNumbered }: StoredLines,
  rivals: readonly Rival[],
  at: Time,
  shown: number
): Promise<ConflictingLines> {
  if (rivals.length === 0) return { count: 0, first: [] }
  const ids = rivals.map(({ id }) => id)
  const first = await sql<{ line: number; user_id: UserId; segment_id: number }[]>`
    select line::double precision, import_lines.user_id::text, segment_id
    from import_lines
    join memberships on memberships.user_id = import_lines.user_id
    where import_id = ${importId}
      and (import_lines.expires_at is null or import_lines.expires_at > ${toTimestamp(sql, at)})
      and ${isActiveIn(sql, ids, at)}
    order by import_lines.line
    limit ${shown}`
  if (first.length === 0) return { count: 0, first: [] }
  if (!isNumbered) throw new LinesLost()
  const { count } = await sql`
    delete from import_lines
    using memberships
    where import_id = ${importId}
      and memberships.user_id = import_lines.user_id
      and (import_lines.expires_at is null or import_lines.expires_at > ${toTimestamp(sql, at)})
      and ${isActiveIn(sql, ids, at)}`
  const slugs = new Map(rivals.map(({ id, slug }) => [id, slug]))
  return {
    count,
    first: first.map(({ line, user_id, segment_id }) => ({
      line,
      user_id,
      slug: String(slugs.get(segment_id))
    }))
  }
}
