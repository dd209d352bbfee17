import type { CalendarDate } from '../../schemas/common.ts'
import type { GivenInterval } from '../../schemas/reports.ts'
import { invalidRequest } from '../http/errors.ts'

/** The part of the request with the interval, as error messages call it. */
export type IntervalPlace = 'query parameter' | 'body field'

/** `from` is inclusive, `to` is exclusive; null means that it ends with the current month, or with `from`'s month. */
type ReadInterval = { from: CalendarDate; to: CalendarDate | null }

/**
 * Reads the interval of an order.
 *
 * @throws {ApiError} if it is incomplete or empty, or if a month is given as well.
 */
export function readInterval({ from, to, month }: GivenInterval, place: IntervalPlace): ReadInterval {
  if (month !== undefined) {
    if (from !== undefined || to !== undefined)
      throw invalidRequest(`${place} (month) cannot be combined with (from) or (to)`)
    return { from: `${month}-01`, to: null }
  }
  if (from === undefined) throw invalidRequest(`${place} (from) is missing`)
  if (to === undefined) throw invalidRequest(`${place} (to) is missing`)
  if (from >= to) throw invalidRequest(`${place} (from) must be before (to): ${from} is not before ${to}`)
  return { from, to }
}

/** The first day of the next month. Years are from 1 to 9999. */
function nextMonth(day: CalendarDate): CalendarDate {
  const [year = 0, month = 0] = day.split('-').map(Number)
  const [nextYear, next] = month === 12 ? [year + 1, 1] : [year, month + 1]
  return `${String(nextYear).padStart(4, '0')}-${String(next).padStart(2, '0')}-01`
}

/**
 * Ends the interval of a month at the end of the month, or tomorrow, whichever is earlier.
 *
 * @param tomorrow by the database's clock.
 * @throws {ApiError} if the interval ends later than tomorrow, or is a month in the future.
 */
export function endInterval(
  { from, to }: ReadInterval,
  tomorrow: CalendarDate,
  place: IntervalPlace
): { from: CalendarDate; to: CalendarDate } {
  if (to === null) {
    if (from >= tomorrow) throw invalidRequest(`${place} (month) must be the current month at the latest`)
    const end = nextMonth(from)
    return { from, to: end < tomorrow ? end : tomorrow }
  }
  if (to > tomorrow) throw invalidRequest(`${place} (to) must be tomorrow at the latest: ${to} is later`)
  return { from, to }
}
