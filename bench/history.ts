/** A user with a long history, and its report. */
import type { Sql } from 'postgres'

/** Each of these periods is two rows of the report. */
export const PERIODS = 1_000_000

/** Seconds between two periods: all of them are of the last year but one. */
const PERIOD_INTERVAL = 30
/** Segments that the user enters in turn. */
const SEGMENTS = 10
/** Days from the first period to now. */
const HISTORY_DAYS = 390

const DAY = 86_400_000

/** The days [from, to) that hold all of it. Today is among them, so that each order makes the report anew. */
export function reportInterval(): { from: string; to: string } {
  const day = (days: number) => new Date(Date.now() + days * DAY).toISOString().slice(0, 10)
  return { from: day(-HISTORY_DAYS - 1), to: day(1) }
}

/** Gives the user that follows the generated ones a history, unless it has one. Returns the user's id. */
export async function provideHistory(sql: Sql, users: number): Promise<number> {
  const userId = users + 1
  const added = await sql`insert into users (id) values (${userId}) on conflict do nothing returning id`
  if (added.length === 0) return userId
  await sql`
    insert into memberships (user_id, segment_id, added_at, removed_at)
    select
      ${userId}::bigint,
      1 + n % ${SEGMENTS}::int,
      start + make_interval(secs => n * ${PERIOD_INTERVAL}::int),
      start + make_interval(secs => n * ${PERIOD_INTERVAL}::int + 15)
    from generate_series(0, ${PERIODS - 1}::int) n
    cross join (select current_date - ${HISTORY_DAYS}::int + interval '0.123456 s' as start) history`
  await sql`vacuum (analyze) memberships`
  return userId
}

/**
 * The report of selectHistory in src/reports/queries.ts, as PostgreSQL itself writes it. It is text, as
 * COPY takes no parameters.
 */
export function copyStatement(userId: number, { from, to }: { from: string; to: string }): string {
  return `
    copy (
      select
        user_id,
        slug as segment_slug,
        operation,
        to_char(happened_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as date
      from (
        select user_id, slug, operation, happened_at
        from history
        where user_id = ${userId}
          and happened_at >= '${from}'::date::timestamp at time zone 'utc'
          and happened_at < '${to}'::date::timestamp at time zone 'utc'
        order by happened_at, rank, segment_id
      ) events
    ) to stdout with (format csv, header)`
}
