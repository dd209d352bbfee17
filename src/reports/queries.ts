import type { CalendarDate, Slug, UserId } from '../../schemas/common.ts'
import type { ReportStatus } from '../../schemas/reports.ts'
import { formatTime, type Sql } from '../database/connect.ts'

/** Whose history, of [from, to): one user's, or all users', in one segment or in all. */
export type ReportRequest = {
  userId?: UserId | null
  /** In upper case. Never together with a user. */
  segment?: Slug | null
  from: CalendarDate
  to: CalendarDate
}

/**
 * The name that a report has for those who order it. No two reports share one: a slug may hold `_`, `-` and `.`, but
 * what follows it is always as long.
 */
export function reportFilename({ userId, segment, from, to }: ReportRequest): string {
  const subject = userId ? `user-${userId}` : segment ? `segment-${segment}` : 'all'
  return `${subject}_${from}_${to}.csv`
}

/**
 * Milliseconds after its end in which an interval's history may still change: a write that began before midnight
 * carries the time of its beginning and may be answered after it. The time-out of assignments is far below.
 */
export const SETTLING_TIME_MS = 3_600_000

/** Whether the user, or the segment, is known, and `to` is later than tomorrow by the database's clock. */
export async function checkReportOrder(
  sql: Sql,
  { userId, segment, to }: ReportRequest
): Promise<{ known: boolean; afterTomorrow: boolean }> {
  const known = userId
    ? sql`exists (select from users where id = ${userId})`
    : segment
      ? sql`exists (select from segments where slug = ${segment})`
      : sql`true`
  const [row] = await sql<[{ known: boolean; after_tomorrow: boolean }]>`
    select
      ${known} as known,
      ${to}::date > (now() at time zone 'utc')::date + 1 as after_tomorrow`
  return { known: row.known, afterTomorrow: row.after_tomorrow }
}

/** Names the file of a report that is being made or is ready; else null. */
export type ReportToken = string | null

/**
 * Sees to it that the report is made, and that its link answers with nothing older than this order. One of an
 * interval that can no longer change is not made again.
 *
 * @param lost the token of a finished report whose file is no longer there.
 * @param capacity reports unfinished at the most.
 * @returns undefined, and nothing is ordered, where as many are unfinished; else the token of a report that is ready.
 */
export async function orderReport(
  sql: Sql,
  request: ReportRequest,
  { requestId, lost, capacity }: { requestId: string; lost: ReportToken; capacity: number }
): Promise<{ token: ReportToken } | undefined> {
  const { userId = null, segment = null, from, to } = request
  const [row] = await sql<[{ filename: string | null; token: ReportToken }]>`
    select filename, case status when 'ready' then token end as token
    from order_report(
      ${reportFilename(request)}, ${userId}, ${from}, ${to}, make_interval(secs => ${SETTLING_TIME_MS / 1000}),
      ${requestId}, ${lost}, ${capacity}, ${segment}
    )`
  return row.filename === null ? undefined : { token: row.token }
}

/** An ordered report. An expired one has no file any more. */
export type OrderedReport = Omit<ReportStatus, 'status'> & {
  status: ReportStatus['status'] | 'expired'
  token: ReportToken
}

/** What is known of an ordered report; undefined where there is none of that name. */
export async function selectReport(sql: Sql, filename: string): Promise<OrderedReport | undefined> {
  const [report] = await sql<OrderedReport[]>`
    select
      case when expires_at <= now() then 'expired' else status end as status,
      token,
      rows::double precision,
      bytes::double precision,
      sha256,
      ${formatTime(sql, 'created_at')} as created_at,
      ${formatTime(sql, 'finished_at')} as finished_at,
      error
    from reports
    where filename = ${filename}`
  return report
}

/** Microseconds since 1970 by the database's clock. */
export async function selectNow(sql: Sql): Promise<bigint> {
  const [{ now }] = await sql<[{ now: string }]>`select (extract(epoch from now()) * 1000000)::bigint as now`
  return BigInt(now)
}

/**
 * The events of [from, to), oldest first: arrays of text, in the order of `reportColumns`. The order is total, and that of
 * each user's own report.
 *
 * What is sorted are the bare columns, and text is made of them on the way out: of two million events the first
 * ones come after 2 s, not 5.
 */
export function selectHistory(sql: Sql, { userId, segment, from, to }: ReportRequest) {
  const subject = userId ? sql`user_id = ${userId}` : segment ? sql`slug = ${segment}` : sql`true`
  return sql`
    select
      user_id::text,
      slug,
      operation,
      ${formatTime(sql, 'happened_at')}
    from (
      select user_id, slug, operation, happened_at
      from history
      where ${subject}
        and happened_at >= ${from}::date::timestamp at time zone 'utc'
        and happened_at < ${to}::date::timestamp at time zone 'utc'
      order by happened_at, rank, user_id, segment_id
    ) events`.values()
}
