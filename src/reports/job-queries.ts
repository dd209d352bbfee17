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
  details: boolean
  attempt: number
  /** The id of the request that ordered the report. */
  request_id: string | null
  created_at: Date
  /** The token of the previous attempt, if its lease has expired. Its file can be removed. */
  lost_token: string | null
  /** The size of the other finished reports of the key that ordered this one. */
  other_bytes: number
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
 * Claims the next report. Keys take turns: of the key whose last report began longest ago, the report that has waited
 * longest, or one whose lease has expired because its instance has crashed or stalled. Two editions of the same report
 * are not generated at the same time.
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
  const isClaimable = sql`
    ((r.status = 'queued' and r.run_at <= now())
      or (r.status = 'running' and r.lease_until < now() and r.attempt < ${MAX_ATTEMPTS}))
    and (r.user_id is not null or not ${ofUser})`
  // The condition is repeated for the case that a report changes between the first part and its lock.
  const [job] = await sql<ReportJob[]>`
    with first_of_keys as (
      select distinct on (r.orderers[1]) r.id, r.orderers[1] as orderer
      from reports r
      where ${isClaimable}
        and not exists (
          select from reports other
          where other.filename = r.filename
            and other.id <> r.id
            and other.status = 'running'
            and other.lease_until >= now()
        )
      order by r.orderers[1], r.run_at, r.id
    ),
    next as (
      select r.id, r.token as lost_token, r.orderers[1] as orderer
      from first_of_keys
      join reports r using (id)
      left join report_turns turn on turn.orderer = first_of_keys.orderer
      where ${isClaimable}
      order by turn.claimed_at nulls first, r.run_at
      limit 1
      for update of r skip locked
    ),
    turn as (
      insert into report_turns (orderer, claimed_at)
      select orderer, clock_timestamp() from next
      on conflict (orderer) do update
      set claimed_at = excluded.claimed_at
    )
    update reports r
    set status = 'running',
      attempt = attempt + 1,
      token = ${token},
      claimed_at = clock_timestamp(),
      lease_until = now() + make_interval(secs => ${lease / 1000}),
      rows = 0
    from next
    where r.id = next.id
    returning
      r.filename, r.token, r.user_id, r.segment_slug, r.from_date::text, r.to_date::text, r.details, r.attempt,
      r.request_id, r.created_at, next.lost_token,
      (
        select coalesce(sum(other.bytes), 0)::double precision
        from reports other
        where other.status = 'ready'
          and other.orderers[1] = r.orderers[1]
          and other.filename <> r.filename
      ) as other_bytes`
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
 * Publishes the result of an attempt. It replaces finished editions of the same report that are older, and takes over
 * their orderers, so that their links lead to it. Repeating the call is safe.
 *
 * @param timeToLive seconds for which the report is kept.
 * @returns the tokens of the replaced editions, whose files can be removed; undefined if the attempt no longer holds the
 * report. Then its own file can be removed.
 */
export async function finishReport(
  sql: Sql,
  token: string,
  { rows, bytes, sha256, snapshotAt }: GeneratedReport,
  timeToLive: number
): Promise<string[] | undefined> {
  const finished = await sql<{ replaced: string | null }[]>`
    with made as (
      select
        id,
        filename,
        orderers,
        to_timestamp(0) + ${String(snapshotAt)}::bigint * interval '1 microsecond' as taken_at
      from reports
      where token = ${token}
      for update
    ),
    replaced as (
      delete from reports r
      using made
      where r.filename = made.filename
        and r.id <> made.id
        and case
          when r.status = 'ready' then r.snapshot_at <= made.taken_at
          else r.status in ('failed', 'expired') and r.ordered_at <= made.taken_at
        end
      returning r.token, r.status, r.orderers
    ),
    finished as (
      update reports r
      set status = 'ready',
        lease_until = null,
        orderers = made.orderers || array(
          select distinct orderer
          from replaced
          cross join unnest(replaced.orderers) as orderer
          where replaced.status = 'ready'
            and orderer <> all (made.orderers)
        ),
        rows = ${rows}::bigint,
        bytes = ${bytes}::bigint,
        sha256 = ${sha256},
        snapshot_at = taken_at,
        error = null,
        finished_at = now(),
        expires_at = now() + make_interval(secs => ${timeToLive})
      from made
      where r.id = made.id
      returning r.id
    )
    select replaced.token as replaced
    from finished
    left join replaced on replaced.token is not null`
  if (finished.length === 0) return undefined
  return finished.flatMap(({ replaced }) => replaced ?? [])
}

/**
 * Ends a failed attempt. The report is queued again after a pause that grows, or has failed after the last attempt.
 *
 * @param reason the message that the API shows.
 * @param isFinal whether another attempt would fail as well.
 * @returns undefined if the attempt no longer holds the report.
 */
export async function failReport(
  sql: Sql,
  token: string,
  { reason, isFinal }: { reason: string; isFinal: boolean },
  timeToLive: number
): Promise<'queued' | 'failed' | undefined> {
  const attempts = isFinal ? 0 : MAX_ATTEMPTS
  const [report] = await sql<{ status: 'queued' | 'failed' }[]>`
    update reports
    set status = case when attempt < ${attempts} then 'queued' else 'failed' end,
      token = null,
      lease_until = null,
      run_at = now() + make_interval(secs => 4 ^ (attempt - 1) * (0.5 + random())),
      error = ${reason},
      finished_at = case when attempt >= ${attempts} then now() end,
      expires_at = case when attempt >= ${attempts} then now() + make_interval(secs => ${timeToLive}) end
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
      select id, filename, token
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
    where r.id = overdue.id
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
