import type { CalendarDate, Slug, UserId } from '../../schemas/common.ts'
import { formatTime, type Sql } from '../database/connect.ts'

/** The history of one user, of one segment, or of all users and segments. `from` is inclusive, `to` is exclusive. */
export type ReportRequest = {
  userId?: UserId | null
  /** In upper case. Never together with a user. */
  segment?: Slug | null
  from: CalendarDate
  to: CalendarDate
  /** Whether the report has the columns of `detailColumns`. */
  details?: boolean
}

/**
 * The name of a report in its link. It is unique for a request: a slug may contain `_`, `-` and `.`, but it is in upper
 * case, and the two dates after it always have the same length.
 */
export function reportFilename({ userId, segment, from, to, details }: ReportRequest): string {
  const subject = userId ? `user-${userId}` : segment ? `segment-${segment}` : 'all'
  return `${subject}_${from}_${to}${details ? '_details' : ''}.csv`
}

/** Checks whether the user or the segment exists, and reads tomorrow's date by the database's clock. */
export async function checkReportSubject(
  sql: Sql,
  { userId, segment }: Pick<ReportRequest, 'userId' | 'segment'>
): Promise<{ known: boolean; tomorrow: CalendarDate }> {
  const known = userId
    ? sql`exists (select from users where id = ${userId})`
    : segment
      ? sql`exists (select from segments where slug = ${segment})`
      : sql`true`
  const [row] = await sql<[{ known: boolean; tomorrow: CalendarDate }]>`
    select
      ${known} as known,
      to_char((now() at time zone 'utc')::date + 1, 'YYYY-MM-DD') as tomorrow`
  return row
}

/**
 * Reads the database's clock, in microseconds since 1970. The report that is read next contains everything that was
 * committed before.
 *
 * @param requestId the id of the request that ordered the report. PostgreSQL's views and logs show it for the connection.
 */
export async function beginReport(sql: Sql, requestId: string): Promise<bigint> {
  const [{ now }] = await sql<[{ now: string }]>`
    select
      (extract(epoch from now()) * 1000000)::bigint as now,
      set_config('application_name', ${`user-segments report ${requestId}`}, false)`
  return BigInt(now)
}

/**
 * Selects the events of a report, oldest first, as arrays of text in the order of `reportColumns` and `detailColumns`.
 * The order is total, and the same as in the report of a single user.
 *
 * The subquery sorts the raw columns, and only then are they formatted as text: the first of two million events arrives
 * after 2 s instead of 5 s. PostgreSQL sees that the outer order is the same and does not sort again; Citus sorts each
 * shard by the inner order, and the result by the outer one.
 */
export function selectHistory(sql: Sql, { userId, segment, from, to, details }: ReportRequest) {
  const subject = userId ? sql`user_id = ${userId}` : segment ? sql`slug = ${segment}` : sql`true`
  const detailValues = details ? sql`, cause::text, actor, ${formatTime(sql, 'expires_at')}` : sql``
  const detailColumns = details ? sql`, cause, actor, expires_at` : sql``
  return sql`
    select
      user_id::text,
      slug,
      operation,
      ${formatTime(sql, 'happened_at')}
      ${detailValues}
    from (
      select user_id, segment_id, slug, operation, happened_at, rank ${detailColumns}
      from history
      where ${subject}
        and operation in ('add', 'delete')
        and happened_at >= ${from}::date::timestamp at time zone 'utc'
        and happened_at < ${to}::date::timestamp at time zone 'utc'
      order by happened_at, rank, user_id, segment_id
    ) events
    order by events.happened_at, events.rank, events.user_id, events.segment_id`.values()
}
