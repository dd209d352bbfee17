/** The making of reports, whose state is the table `reports`: any instance may take what is queued. */
import type { CalendarDate, Slug, UserId } from '../../schemas/common.ts'
import type { Sql } from '../database/connect.ts'

/** Attempts at a report, of which the last one's failure is final. */
const MAX_ATTEMPTS = 5
/** Rows of a clean-up's statement. */
const SWEEP_LIMIT = 1_000

export type ReportJob = {
  filename: string
  /** Of this attempt. It names the file, and nothing is written by who no longer holds it. */
  token: string
  /** Whose history; null where it is not one user's. */
  user_id: UserId | null
  /** In which segment; null where it is in all. */
  segment_slug: Slug | null
  from_date: CalendarDate
  to_date: CalendarDate
  attempt: number
  /** Of the order. */
  request_id: string | null
  created_at: Date
  /** Of the attempt that this one takes over from: what it has stored belongs to nobody. */
  lost_token: string | null
}

/** What an attempt has made. */
export type MadeReport = {
  rows: number
  bytes: number
  sha256: string
  /** Microseconds since 1970 by the database's clock: the report holds all that was committed before. */
  snapshotAt: bigint
}

/**
 * Takes the report that has waited longest, or one whose instance has given no sign of life for its lease.
 *
 * @param lease milliseconds for which it is this attempt's, unless it is renewed.
 * @param ofUser whether it has to be one user's.
 * @returns undefined where there is nothing to do.
 */
export async function claimReport(
  sql: Sql,
  token: string,
  lease: number,
  ofUser = false
): Promise<ReportJob | undefined> {
  const [job] = await sql<ReportJob[]>`
    with next as (
      select filename, token as lost_token
      from reports
      where (
          (status = 'queued' and run_at <= now())
          or (status = 'running' and lease_until < now() and attempt < ${MAX_ATTEMPTS})
        )
        and (user_id is not null or not ${ofUser})
      order by run_at
      limit 1
      for update skip locked
    )
    update reports r
    set status = 'running',
      attempt = attempt + 1,
      token = ${token},
      -- Without it, reports of more than a user are left alone (see leave_report).
      claimed_at = clock_timestamp(),
      lease_until = now() + make_interval(secs => ${lease / 1000}),
      rows = 0
    from next
    where r.filename = next.filename
    returning
      r.filename, token, user_id, segment_slug, from_date::text, to_date::text, attempt, request_id, created_at,
      lost_token`
  return job
}

/**
 * Keeps the report this attempt's for another `lease` milliseconds.
 *
 * @returns false where it no longer is.
 */
export async function renewReport(sql: Sql, token: string, lease: number, rows: number): Promise<boolean> {
  const { count } = await sql`
    update reports
    set lease_until = now() + make_interval(secs => ${lease / 1000}),
      rows = ${rows}
    where token = ${token}
      and status = 'running'`
  return count > 0
}

/**
 * Publishes what the attempt has made; or queues the report again, where a later order wants a newer one. Can be
 * repeated.
 *
 * @param settlingTime milliseconds after its end in which an interval's history may still change.
 * @param timeToLive seconds for which it is kept.
 * @returns undefined where the report is no longer this attempt's: then its file belongs to nobody.
 */
export async function finishReport(
  sql: Sql,
  token: string,
  { rows, bytes, sha256, snapshotAt }: MadeReport,
  settlingTime: number,
  timeToLive: number
): Promise<'ready' | 'queued' | undefined> {
  const [report] = await sql<{ status: 'ready' | 'queued' }[]>`
    with made as (
      select
        filename,
        snapshot.taken_at,
        snapshot.taken_at < ordered_at
          and snapshot.taken_at < to_date::timestamp at time zone 'utc'
            + make_interval(secs => ${settlingTime / 1000}) as outdated
      from reports
      cross join (
        select to_timestamp(0) + ${String(snapshotAt)}::bigint * interval '1 microsecond' as taken_at
      ) snapshot
      where token = ${token}
      for update of reports
    )
    update reports r
    set status = case when outdated then 'queued' else 'ready' end,
      token = case when not outdated then r.token end,
      lease_until = null,
      attempt = case when outdated then 0 else r.attempt end,
      run_at = case when outdated then now() else r.run_at end,
      rows = case when outdated then 0 else ${rows}::bigint end,
      bytes = case when not outdated then ${bytes}::bigint end,
      sha256 = case when not outdated then ${sha256} end,
      snapshot_at = case when not outdated then taken_at end,
      error = null,
      finished_at = case when not outdated then now() end,
      expires_at = case when not outdated then now() + make_interval(secs => ${timeToLive}) end
    from made
    where r.filename = made.filename
    returning r.status`
  return report?.status
}

/**
 * Gives the report up for this time: it is tried again after a pause that grows, or has failed for good.
 *
 * @param reason what the caller may know.
 * @returns undefined where the report is no longer this attempt's.
 */
export async function failReport(
  sql: Sql,
  token: string,
  reason: string,
  timeToLive: number
): Promise<'queued' | 'failed' | undefined> {
  const [report] = await sql<{ status: 'queued' | 'failed' }[]>`
    update reports
    set status = case when attempt < ${MAX_ATTEMPTS} then 'queued' else 'failed' end,
      token = null,
      lease_until = null,
      run_at = now() + make_interval(secs => 4 ^ (attempt - 1) * (0.5 + random())),
      error = ${reason},
      finished_at = case when attempt >= ${MAX_ATTEMPTS} then now() end,
      expires_at = case when attempt >= ${MAX_ATTEMPTS} then now() + make_interval(secs => ${timeToLive}) end
    where token = ${token}
      and status = 'running'
    returning status`
  return report?.status
}

/** Hands the report back, as if this attempt had never been. */
export async function releaseReport(sql: Sql, token: string): Promise<void> {
  await sql`
    update reports
    set status = 'queued',
      token = null,
      lease_until = null,
      attempt = attempt - 1,
      rows = 0
    where token = ${token}
      and status = 'running'`
}

/**
 * Ends what is over: reports whose last attempt's lease has run out have failed; what has lived its time is expired,
 * and forgotten after as long again.
 *
 * @returns the reports whose files nobody may read any more.
 */
export async function expireReports(
  sql: Sql,
  timeToLive: number
): Promise<{ filename: string; token: string }[]> {
  await sql`
    update reports
    set status = 'failed',
      token = null,
      lease_until = null,
      error = 'the instance that made it has ended',
      finished_at = now(),
      expires_at = now() + make_interval(secs => ${timeToLive})
    where status = 'running'
      and lease_until < now()
      and attempt >= ${MAX_ATTEMPTS}`
  await sql`
    delete from reports
    where status in ('failed', 'expired')
      and expires_at < now() - make_interval(secs => ${timeToLive})`
  return sql<{ filename: string; token: string }[]>`
    with overdue as (
      select filename, token
      from reports
      where status = 'ready'
        and expires_at <= now()
      order by expires_at
      limit ${SWEEP_LIMIT}
      for update skip locked
    )
    update reports r
    set status = 'expired',
      token = null
    from overdue
    where r.filename = overdue.filename
    returning overdue.filename, overdue.token`
}

/** Which of the tokens name no report that is being made or is ready. */
export async function selectUnknownTokens(sql: Sql, tokens: string[]): Promise<string[]> {
  const rows = await sql<{ token: string }[]>`
    select token
    from unnest(${tokens}::text[]::uuid[]) as unknown (token)
    where not exists (select from reports where reports.token = unknown.token)`
  return rows.map(({ token }) => token)
}
