import type { CalendarDate, Slug, UserId } from '../../schemas/common.ts'
import type { ReportStatus } from '../../schemas/reports.ts'
import { formatTime, type Sql } from '../database/connect.ts'

/** The history of one user, of one segment, or of all users and segments. `from` is inclusive, `to` is exclusive. */
export type ReportRequest = {
  userId?: UserId | null
  /** In upper case. Never together with a user. */
  segment?: Slug | null
  from: CalendarDate
  to: CalendarDate
}

/**
 * The name of a report in its link. It is unique for a request: a slug may contain `_`, `-` and `.`, but the text after
 * the slug always has the same length.
 */
export function reportFilename({ userId, segment, from, to }: ReportRequest): string {
  const subject = userId ? `user-${userId}` : segment ? `segment-${segment}` : 'all'
  return `${subject}_${from}_${to}.csv`
}

/**
 * Milliseconds after the end of an interval in which its history may still change. A write that begins before midnight
 * has a time before midnight, even if it is committed later. No write takes as long as this.
 */
export const SETTLING_TIME_MS = 3_600_000

/** Checks whether the user or the segment exists, and whether `to` is later than tomorrow by the database's clock. */
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

/** Identifies the file of a report that is in progress or ready; otherwise null. */
export type ReportToken = string | null

/**
 * Orders a report. Its link then serves nothing older than this order. A finished report of an interval that can no
 * longer change is not generated again.
 *
 * @param lost the token of a finished report whose file is missing.
 * @param capacity the maximum number of unfinished reports.
 * @returns undefined if `capacity` reports are unfinished; then nothing was ordered. Otherwise the token, null unless
 * the report is ready.
 */
export async function orderReport(
  sql: Sql,
  request: ReportRequest,
  { requestId, lost, capacity }: { requestId: string; lost: ReportToken; capacity: number }
): Promise<{ token: ReportToken } | undefined> {
  const { userId = null, segment = null, from, to } = request
  const filename = reportFilename(request)
  // Reads first: the order of a report that can no longer change needs no lock.
  const [final] = await sql<{ token: ReportToken }[]>`
    select token
    from reports
    where filename = ${filename}
      and status = 'ready'
      and snapshot_at >= to_date::timestamp at time zone 'utc' + make_interval(secs => ${SETTLING_TIME_MS / 1000})
      and expires_at > now()
      and token is distinct from ${lost}::text::uuid`
  if (final) return final
  const [ordered] = await sql`
    insert into reports as r (filename, user_id, segment_slug, from_date, to_date, request_id)
    select
      ${filename}, ${userId}::bigint, ${segment}, ${from}::text::date, ${to}::text::date, ${requestId}
    where (select count(*) from reports where status in ('queued', 'running')) < ${capacity}::bigint
      or exists (select from reports where filename = ${filename} and status in ('queued', 'running'))
    on conflict (filename) do update
    set ordered_at = clock_timestamp(),
      -- A running attempt goes on. finishReport checks whether its content is new enough.
      status = case r.status when 'running' then 'running' else 'queued' end,
      token = case r.status when 'running' then r.token end,
      created_at = case when r.status in ('queued', 'running') then r.created_at else now() end,
      request_id = case when r.status in ('queued', 'running') then r.request_id else excluded.request_id end,
      run_at = case when r.status in ('queued', 'running') then r.run_at else now() end,
      attempt = case when r.status in ('queued', 'running') then r.attempt else 0 end,
      rows = case r.status when 'running' then r.rows else 0 end,
      bytes = null,
      sha256 = null,
      snapshot_at = null,
      error = case when r.status in ('queued', 'running') then r.error end,
      finished_at = null,
      expires_at = null
    returning filename`
  return ordered && { token: null }
}

/** An ordered report. The file of an expired one has been removed, or soon will be. */
export type OrderedReport = Omit<ReportStatus, 'status'> & {
  status: ReportStatus['status'] | 'expired'
  token: ReportToken
}

/** Reads the state of an ordered report; undefined if no report of this name was ordered. */
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

/** Reads the database's clock, in microseconds since 1970. */
export async function selectNow(sql: Sql): Promise<bigint> {
  const [{ now }] = await sql<[{ now: string }]>`select (extract(epoch from now()) * 1000000)::bigint as now`
  return BigInt(now)
}

/**
 * Selects the events of a report, oldest first, as arrays of text in the order of `reportColumns`. The order is total,
 * and the same as in the report of a single user.
 *
 * The subquery sorts the raw columns, and only then are they formatted as text: the first of two million events arrives
 * after 2 s instead of 5 s.
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
        and operation in ('add', 'delete')
        and happened_at >= ${from}::date::timestamp at time zone 'utc'
        and happened_at < ${to}::date::timestamp at time zone 'utc'
      order by happened_at, rank, user_id, segment_id
    ) events`.values()
}
