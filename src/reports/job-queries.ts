/** Claims, renews and finishes report jobs. The queue is the table `reports`, and any instance may claim a report. */
import type { CalendarDate, Slug, UserId } from '../../schemas/common.ts'
import type { Sql } from '../database/connect.ts'

/** After this many failed attempts a report has failed. */
const MAX_ATTEMPTS = 5
/** Reports that one statement of the clean-up expires. */
const SWEEP_LIMIT = 1_000

export type ReportJob = {
  filename: string
  /** Identifies this attempt and its file. An attempt whose token has been replaced writes nothing. */
  token: string
  /** The user of the report; null for all users. */
  user_id: UserId | null
  /** The segment of the report; null for all segments. */
  segment_slug: Slug | null
  from_date: CalendarDate
  to_date: CalendarDate
  attempt: number
  /** The id of the request that ordered the report. */
  request_id: string | null
  created_at: Date
  /** The token of the previous attempt, if its lease has expired. Its file can be removed. */
  lost_token: string | null
}

/** The result of a successful attempt. */
export type GeneratedReport = {
  rows: number
  bytes: number
  sha256: string
  /** Microseconds since 1970 by the database's clock. The report contains everything that was committed before. */
  snapshotAt: bigint
}

/**
 * Claims the report that has waited longest, or one whose lease has expired because its instance has crashed or
 * stalled.
 *
 * @param lease milliseconds for which this attempt holds the report; `renewReport` extends them.
 * @param ofUser whether to claim only reports of one user.
 * @returns undefined if there is nothing to do.
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
 * Extends the lease of the attempt by `lease` milliseconds from now, and records its progress.
 *
 * @returns false if the attempt no longer holds the report.
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
 * Publishes the result of an attempt. If a later order needs newer content, it queues the report again instead.
 * Repeating the call is safe.
 *
 * @param settlingTime milliseconds after the end of an interval in which its history may still change.
 * @param timeToLive seconds for which the report is kept.
 * @returns undefined if the attempt no longer holds the report. Then its file can be removed.
 */
export async function finishReport(
  sql: Sql,
  token: string,
  { rows, bytes, sha256, snapshotAt }: GeneratedReport,
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
 * Ends a failed attempt. The report is queued again after a pause that grows, or has failed after the last attempt.
 *
 * @param reason the message that the API shows.
 * @returns undefined if the attempt no longer holds the report.
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

/** Returns the report to the queue. The attempt does not count. */
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
 * Marks reports as failed if the lease of their last attempt has expired, marks finished reports as expired after
 * `timeToLive` seconds, and deletes failed and expired ones after another `timeToLive` seconds.
 *
 * @returns the newly expired reports, whose files can be removed.
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

/** Returns the tokens that belong to no report that is in progress or ready. */
export async function selectUnknownTokens(sql: Sql, tokens: string[]): Promise<string[]> {
  const rows = await sql<{ token: string }[]>`
    select token
    from unnest(${tokens}::text[]::uuid[]) as unknown (token)
    where not exists (select from reports where reports.token = unknown.token)`
  return rows.map(({ token }) => token)
}

/**
 * Deletes the reports that may contain a user: those of the user, of a segment and of all users. An attempt in progress
 * then finds that it has lost its report, and removes its file.
 *
 * @returns the reports that have a file.
 */
export async function deleteReportsOf(
  sql: Sql,
  userId: UserId
): Promise<{ filename: string; token: string }[]> {
  const reports = await sql<{ filename: string; token: string | null }[]>`
    delete from reports
    where user_id is null
      or user_id = ${userId}
    returning filename, token`
  return reports.flatMap(({ filename, token }) => (token === null ? [] : [{ filename, token }]))
}
