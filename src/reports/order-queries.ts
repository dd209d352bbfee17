/** Orders, finds and cancels reports. A row of `reports` is one edition of a report, which several orders may share. */
import type { Time } from '../../schemas/common.ts'
import type { ReportStatus } from '../../schemas/reports.ts'
import { formatTime, type Pool, type Sql, type Transaction } from '../database/connect.ts'
import { lockReportOrders } from '../database/locks.ts'
import { toTimestamp } from '../database/times.ts'
import { transaction } from '../database/transaction.ts'
import { MAX_REPORT_BYTES_OF_KEY, MAX_UNFINISHED_REPORTS, MAX_UNFINISHED_REPORTS_OF_KEY } from '../limits.ts'
import { type ReportRequest, reportFilename } from './queries.ts'

/**
 * Milliseconds after the end of an interval in which its history may still change. A write that begins before midnight
 * has a time before midnight, even if it is committed later. No write takes as long as this.
 */
export const SETTLING_TIME_MS = 3_600_000

/** Identifies the file of a report that is in progress or ready; otherwise null. */
export type ReportToken = string | null

export type ReportOrder = {
  request: ReportRequest
  requestId: string
  /** The name of the API key; empty if the service runs without keys. */
  orderer: string
  /** The token of a finished report whose file is missing. */
  lost: ReportToken
}

/** An order that has an edition. */
export type PlacedOrder = {
  /** The edition contains everything that was committed before this time. Null if its interval can no longer change. */
  as_of: Time | null
  series: string
  status: 'queued' | 'running' | 'ready'
  token: ReportToken
}

/** Why an order was refused: the bound that it would exceed. */
export type RefusedOrder = 'all reports' | 'reports of the key' | 'bytes of the key'

/** The time from which on the history of the interval of the edition can no longer change. */
function settledAt(sql: Sql) {
  return sql`(to_date::timestamp at time zone 'utc' + make_interval(secs => ${SETTLING_TIME_MS / 1000}))`
}

/**
 * Orders a report. The order shares the edition that is queued, or one whose content is final; otherwise it queues the
 * next edition. An edition in progress goes on, and a finished one stays until the next one is ready.
 */
export async function orderReport(
  db: Pool | Transaction,
  order: ReportOrder
): Promise<PlacedOrder | RefusedOrder> {
  if (order.lost !== null) await db`delete from reports where token = ${order.lost} and status = 'ready'`
  return (
    (await shareEdition(db, order)) ??
    transaction(db, async (sql) => {
      // Counted under the lock. Otherwise, concurrent orders would exceed the bounds.
      await lockReportOrders(sql)
      return (
        (await shareEdition(sql, order)) ?? (await findExceededBound(sql, order)) ?? queueEdition(sql, order)
      )
    })
  )
}

async function shareEdition(sql: Sql, { request, orderer }: ReportOrder): Promise<PlacedOrder | undefined> {
  const filename = reportFilename(request)
  const isShareable = sql`
    (status = 'queued'
      or (status = 'running' and claimed_at >= ${settledAt(sql)})
      or (status = 'ready' and snapshot_at >= ${settledAt(sql)} and expires_at > now()))`
  // The condition is repeated for the case that the edition changes between the subquery and its lock.
  const [order] = await sql<PlacedOrder[]>`
    update reports
    set orderers = case when ${orderer} = any (orderers) then orderers else orderers || ${orderer}::text end,
      ordered_at = case status when 'queued' then clock_timestamp() else ordered_at end
    where ${isShareable}
      and id = (
        select id
        from reports
        where filename = ${filename}
          and ${isShareable}
        order by status = 'ready' desc, status = 'running' desc, id
        limit 1
      )
    returning
      case when status = 'queued' and ordered_at < ${settledAt(sql)} then ${formatTime(sql, 'ordered_at')} end as as_of,
      series,
      status,
      token`
  return order
}

async function findExceededBound(
  sql: Sql,
  { request, orderer }: ReportOrder
): Promise<RefusedOrder | undefined> {
  const [held] = await sql<[{ unfinished: number; own: number; bytes: number }]>`
    select
      count(*)::integer as unfinished,
      (count(*) filter (where orderers[1] = ${orderer}))::integer as own,
      (
        select coalesce(sum(bytes), 0)::double precision
        from reports
        where status = 'ready'
          and orderers[1] = ${orderer}
          and filename <> ${reportFilename(request)}
      ) as bytes
    from reports
    where status in ('queued', 'running')`
  if (held.unfinished >= MAX_UNFINISHED_REPORTS) return 'all reports'
  // Without keys, all callers have the same name.
  if (orderer !== '' && held.own >= MAX_UNFINISHED_REPORTS_OF_KEY) return 'reports of the key'
  return held.bytes >= MAX_REPORT_BYTES_OF_KEY ? 'bytes of the key' : undefined
}

async function queueEdition(sql: Sql, { request, requestId, orderer }: ReportOrder): Promise<PlacedOrder> {
  const { userId = null, segment = null, from, to, details } = request
  const filename = reportFilename(request)
  const [order] = await sql<[PlacedOrder]>`
    insert into reports (
      filename, series, user_id, segment_slug, from_date, to_date, details, orderers, request_id
    )
    select
      ${filename},
      coalesce(
        (
          select series
          from reports
          where filename = ${filename}
            and (expires_at is null or expires_at > now())
          order by id desc
          limit 1
        ),
        gen_random_uuid()
      ),
      ${userId}::bigint, ${segment}::text, ${from}::text::date, ${to}::text::date, ${details ?? false}::boolean,
      array[${orderer}::text], ${requestId}::text
    returning
      case when ordered_at < ${settledAt(sql)} then ${formatTime(sql, 'ordered_at')} end as as_of,
      series,
      status,
      token`
  return order
}

/** What a link names: a report, and the time of the order that it answers. */
export type ReportLink = { filename: string; asOf: Time | undefined }

/** An edition of a report. The file of an expired one has been removed, or soon will be. */
export type Edition = Omit<ReportStatus, 'status' | 'link'> & {
  id: string
  status: ReportStatus['status'] | 'expired'
  series: string
  token: ReportToken
  /** Seconds since 1970. */
  finished_seconds: number | null
}

/**
 * Finds the edition that a link serves: the newest finished one, unless it is older than the link allows; otherwise the
 * edition in progress. Without a time, a link allows any finished edition, until the interval can no longer change: then
 * it allows only final content.
 */
export async function selectEdition(sql: Sql, { filename, asOf }: ReportLink): Promise<Edition | undefined> {
  const time = toTimestamp(sql, asOf)
  const [edition] = await sql<Edition[]>`
    select
      id,
      state as status,
      series,
      token,
      rows::double precision,
      bytes::double precision,
      sha256,
      ${formatTime(sql, 'created_at')} as created_at,
      ${formatTime(sql, 'finished_at')} as finished_at,
      extract(epoch from finished_at)::double precision as finished_seconds,
      error
    from (
      select *, case when expires_at <= now() then 'expired' else status end as state
      from reports
      where filename = ${filename}
    ) editions
    where case
      when status in ('ready', 'expired') then
        snapshot_at >= least(
          coalesce(
            ${time},
            case when now() >= ${settledAt(sql)} then 'infinity'::timestamptz else '-infinity' end
          ),
          ${settledAt(sql)}
        )
      else ordered_at >= coalesce(${time}, '-infinity')
    end
    order by array_position(array['ready', 'running', 'queued', 'failed', 'expired'], state), snapshot_at desc, id desc
    limit 1`
  return edition
}

/** The file of an attempt. */
export type AttemptFile = { filename: string; token: string }

/**
 * Cancels the orders of a key for an edition. The edition stays if orders of other keys share it, and then counts
 * towards the limits of the next one. Otherwise its row is deleted, which aborts an attempt in progress.
 *
 * @returns undefined if the key has no order for the edition. Otherwise the file to remove, or null.
 */
export function cancelOrder(
  db: Pool | Transaction,
  id: string,
  orderer: string
): Promise<AttemptFile | null | undefined> {
  return transaction(db, async (sql) => {
    const [edition] = await sql<{ filename: string; token: ReportToken; is_shared: boolean }[]>`
      select filename, token, cardinality(orderers) > 1 as is_shared
      from reports
      where id = ${id}
        and ${orderer} = any (orderers)
      for update`
    if (!edition) return undefined
    if (edition.is_shared) {
      await sql`update reports set orderers = array_remove(orderers, ${orderer}) where id = ${id}`
      return null
    }
    await sql`delete from reports where id = ${id}`
    const { filename, token } = edition
    return token === null ? null : { filename, token }
  })
}

/**
 * Deletes what the reports may contain of a user: all reports of the user, and finished reports of all users and of
 * segments. Those in progress begin again. Call this in the transaction that erases the user; until it ends, no report
 * begins.
 *
 * @returns the files to remove after the transaction.
 */
export async function deleteReportsOf(sql: Sql, userId: string): Promise<AttemptFile[]> {
  // A report that began before the erasure was committed would contain the user.
  await sql`lock table reports in exclusive mode`
  const deleted = await sql<AttemptFile[]>`
    with removed as (
      delete from reports
      where user_id = ${userId}::bigint
        or (user_id is null and status in ('ready', 'failed', 'expired'))
      returning filename, token
    )
    select filename, token from removed where token is not null`
  const running = await sql<AttemptFile[]>`
    select filename, token from reports where user_id is null and status = 'running'`
  await sql`
    update reports
    set status = 'queued',
      token = null,
      lease_until = null,
      attempt = 0,
      rows = 0,
      run_at = now()
    where user_id is null
      and status = 'running'`
  return [...deleted, ...running]
}
