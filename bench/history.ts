/** A user with a long history, and the report of it. */
import type { Sql } from 'postgres'

/** Periods of the user. Each is two rows of the report. */
export const PERIODS = 1_000_000

/** Seconds from the start of one period to the start of the next: all of them take 347 days. */
const PERIOD_INTERVAL = 30
/** Segments that the user enters in turn. */
const SEGMENTS = 10
/** Days from the first period until today. */
const HISTORY_DAYS = 390

const DAY = 86_400_000

/** The days [from, to) of the whole history. They include today, so that each order makes a new report. */
export function reportInterval(): { from: string; to: string } {
  const day = (days: number) => new Date(Date.now() + days * DAY).toISOString().slice(0, 10)
  return { from: day(-HISTORY_DAYS - 1), to: day(1) }
}

/** Periods of the user with a short history. */
export const SHORT_PERIODS = 2_000

/** Creates a user with a short history, unless it exists. Returns the user's id. */
export async function provideShortHistory(sql: Sql, users: number): Promise<number> {
  const userId = users + 2
  await insertHistory(sql, userId, SHORT_PERIODS)
  return userId
}

/** Creates a user with a history after the generated users, unless it exists. Returns the user's id. */
export async function provideHistory(sql: Sql, users: number): Promise<number> {
  const userId = users + 1
  await insertHistory(sql, userId, PERIODS)
  return userId
}

/** Creates a user with periods, unless it exists. */
async function insertHistory(sql: Sql, userId: number, periods: number): Promise<void> {
  const added = await sql`insert into users (id) values (${userId}) on conflict do nothing returning id`
  if (added.length === 0) return
  await sql`
    insert into memberships (user_id, segment_id, added_at, removed_at)
    select
      ${userId}::bigint,
      1 + n % ${SEGMENTS}::int,
      start + make_interval(secs => n * ${PERIOD_INTERVAL}::int),
      start + make_interval(secs => n * ${PERIOD_INTERVAL}::int + 15)
    from generate_series(0, ${periods - 1}::int) n
    cross join (select current_date - ${HISTORY_DAYS}::int + interval '0.123456 s' as start) history`
  await sql`vacuum (analyze) memberships`
}

/**
 * A COPY of the report that `selectHistory` in src/reports/queries.ts selects. The values are in the text, because COPY
 * takes no parameters.
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
