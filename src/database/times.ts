import type { Time } from '../../schemas/common.ts'
import { formatTime, type Sql } from './connect.ts'

const timePattern =
  /^([0-9]{4})-([0-9]{2})-([0-9]{2})T((?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?(?:Z|([+-][0-9]{2}:[0-9]{2}))$/

/**
 * Converts a time to UTC with microseconds, and truncates further digits. PostgreSQL would round them, possibly beyond
 * the year 9999, and would refuse offsets of 16 hours and more.
 *
 * @returns undefined if the text is not RFC 3339, or if the time does not exist. Leap seconds are not supported.
 */
export function normalizeTime(text: string): Time | undefined {
  const match = timePattern.exec(text)
  if (!match) return undefined
  const [, year = '', month = '', day = '', time = '', fraction = '', offset] = match
  const local = `${year}-${month}-${day}T${time}`
  const milliseconds = Date.parse(`${local}${offset ?? 'Z'}`)
  if (Number.isNaN(milliseconds) || (day > '28' && !existsDay(`${year}-${month}-${day}`))) return undefined
  const utc = offset === undefined ? local : new Date(milliseconds).toISOString().slice(0, -'.000Z'.length)
  // A year beyond 9999 makes the text longer.
  if (utc.startsWith('0000') || utc.length !== local.length) return undefined
  return `${utc}.${fraction.slice(0, 6).padEnd(6, '0')}Z`
}

/** `Date` turns February 30 into a day of March. */
function existsDay(day: string): boolean {
  return new Date(day).toISOString().startsWith(day)
}

export const isTime = (text: string): boolean => normalizeTime(text) !== undefined

/** Whether the text is a calendar date that exists, or a time. */
export const isDayOrTime = (text: string): boolean => isTime(text) || isTime(`${text}T00:00:00Z`)

/** The start of a day, or the time itself; null if it is undefined. The results can be compared as text. */
export function startOf(dayOrTime: string | undefined): Time | null {
  if (dayOrTime === undefined) return null
  return normalizeTime(dayOrTime) ?? `${dayOrTime}T00:00:00.000000Z`
}

/**
 * A time as the parameter of a statement.
 *
 * @param time a text for which {@link isTime} is true, or null.
 */
export function toTimestamp(sql: Sql, time: Time | null | undefined) {
  return sql`${(time && normalizeTime(time)) ?? null}::timestamptz`
}

/** A condition on the views of periods: the period was active at a moment, which is a fragment. */
export function wasActive(sql: Sql, moment: ReturnType<typeof toTimestamp>) {
  return sql`(added_at <= ${moment} and (ended_at is null or ended_at > ${moment}))`
}

/**
 * Returns the time at which a change of many members of a segment takes effect: always later than the latest removal from
 * it, even if the server's clock has gone back. The caller holds the segment's lock.
 *
 * @param from the earliest time; null: now.
 */
export async function nextMoment(sql: Sql, segmentId: number, from: Time | null = null): Promise<Time> {
  const [row] = await sql<[{ moment: Time }]>`
    select ${formatTime(sql, 'moment')} as moment
    from next_moment(${segmentId}, coalesce(${toTimestamp(sql, from)}, clock_timestamp())) as moment`
  return row.moment
}

/** Reads the time of the database's clock. Unlike `now()`, it goes on during a transaction. */
export async function readClock(sql: Sql): Promise<Time> {
  const [row] = await sql<[{ at: Time }]>`
    select ${formatTime(sql, 'now')} as at
    from clock_timestamp() as now`
  return row.at
}
