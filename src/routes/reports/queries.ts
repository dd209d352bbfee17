import type { CalendarDate, UserId } from '../../../schemas/common.ts'
import { formatTime, type Sql } from '../../database.ts'

/** Whose history, of [from, to). */
export type ReportRequest = { userId: UserId; from: CalendarDate; to: CalendarDate }

export type ReportOrder = {
  /** Microseconds since 1970 by the database's clock, before the order was answered. */
  orderedAt: bigint
  /** Whether the interval ended so long ago that its history can't change any more. */
  settled: boolean
  knownUser: boolean
  afterTomorrow: boolean
}

/**
 * Milliseconds after its end in which an interval's history may still change: a write that began before midnight
 * carries the time of its beginning and may be answered after it. The time-out of assignments is far below.
 */
export const SETTLING_TIME_MS = 3_600_000

/** What the database knows of an order: its clock is the one that periods are written by. */
export async function checkReportOrder(sql: Sql, { userId, to }: ReportRequest): Promise<ReportOrder> {
  const [row] = await sql<
    [{ ordered_at: string; settled: boolean; known_user: boolean; after_tomorrow: boolean }]
  >`
    select
      (extract(epoch from now()) * 1000000)::bigint as ordered_at,
      ${to}::date + make_interval(secs => ${SETTLING_TIME_MS / 1000}) <= now() at time zone 'utc' as settled,
      exists (select from users where id = ${userId}) as known_user,
      ${to}::date > (now() at time zone 'utc')::date + 1 as after_tomorrow`
  return {
    orderedAt: BigInt(row.ordered_at),
    settled: row.settled,
    knownUser: row.known_user,
    afterTomorrow: row.after_tomorrow
  }
}

/** Microseconds since 1970 by the database's clock. */
export async function selectNow(sql: Sql): Promise<bigint> {
  const [{ now }] = await sql<[{ now: string }]>`select (extract(epoch from now()) * 1000000)::bigint as now`
  return BigInt(now)
}

/**
 * The events of [from, to), oldest first: arrays of text, in the order of `reportColumns`.
 *
 * What is sorted are the bare columns, and text is made of them on the way out: of two million events the first
 * ones come after 2 s, not 5.
 */
export function selectUserHistory(sql: Sql, { userId, from, to }: ReportRequest) {
  return sql`
    select
      user_id::text,
      slug,
      operation,
      ${formatTime(sql, 'happened_at')}
    from (
      select user_id, slug, operation, happened_at
      from history
      where user_id = ${userId}
        and happened_at >= ${from}::date::timestamp at time zone 'utc'
        and happened_at < ${to}::date::timestamp at time zone 'utc'
      order by happened_at, rank, segment_id
    ) events`.values()
}
