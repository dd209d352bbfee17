import type { Time } from '../../schemas/common.ts'
import type { Sql } from './connect.ts'

const timePattern =
  /^([0-9]{4})-([0-9]{2})-([0-9]{2})T((?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?(?:Z|([+-][0-9]{2}:[0-9]{2}))$/

/**
 * A time as PostgreSQL takes it: in UTC, with microseconds, beyond which it is cut off. By itself PostgreSQL rounds it,
 * out of the last year maybe, and knows no offset from 16 hours on.
 *
 * @returns undefined where the text is no RFC 3339, or a time that doesn't exist. No leap seconds.
 */
export function normalizeTime(text: string): Time | undefined {
  const match = timePattern.exec(text)
  if (!match) return undefined
  const [, year = '', month = '', day = '', time = '', fraction = '', offset] = match
  const local = `${year}-${month}-${day}T${time}`
  const milliseconds = Date.parse(`${local}${offset ?? 'Z'}`)
  if (Number.isNaN(milliseconds) || (day > '28' && !existsDay(`${year}-${month}-${day}`))) return undefined
  const utc = offset === undefined ? local : new Date(milliseconds).toISOString().slice(0, -'.000Z'.length)
  // Another length has a year beyond 9999.
  if (utc.startsWith('0000') || utc.length !== local.length) return undefined
  return `${utc}.${fraction.slice(0, 6).padEnd(6, '0')}Z`
}

/** By itself `Date` makes the first of March of the thirtieth of February. */
function existsDay(day: string): boolean {
  return new Date(day).toISOString().startsWith(day)
}

export const isTime = (text: string): boolean => normalizeTime(text) !== undefined

/**
 * A time of a request as PostgreSQL's. It goes there as text: of a timestamp postgres.js makes a Date first, which has
 * no microseconds.
 *
 * @param time what {@link isTime} lets through, or null.
 */
export function toTimestamp(sql: Sql, time: Time | null | undefined) {
  return sql`${(time && normalizeTime(time)) ?? null}::text::timestamptz`
}
