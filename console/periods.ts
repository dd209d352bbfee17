import type { TimelineEntry } from '../client/src/index.ts'

/** A time in which a user was in a segment. */
export type Period = {
  /** Milliseconds since 1970. */
  from: number
  /** Milliseconds since 1970; undefined while it lasts. */
  to: number | undefined
  /** Why it began. Of one that began before the entries do: undefined. */
  began: TimelineEntry | undefined
  /** Why it ended. */
  ended: TimelineEntry | undefined
}

export type Lane = { slug: string; periods: Period[] }

/**
 * The periods of each segment, in the order in which the user first joined them.
 *
 * @param entries oldest first.
 * @param start milliseconds since 1970: where periods begin whose beginning is in none of the entries.
 */
export function toLanes(entries: readonly TimelineEntry[], start: number): Lane[] {
  const lanes = new Map<string, Lane>()
  for (const entry of entries) {
    const lane = lanes.get(entry.slug) ?? { slug: entry.slug, periods: [] }
    lanes.set(entry.slug, lane)
    const time = Date.parse(entry.time)
    const running = lane.periods.at(-1)
    if (entry.operation === 'add')
      lane.periods.push({ from: time, to: undefined, began: entry, ended: undefined })
    else if (entry.operation === 'delete') {
      if (running && running.to === undefined) Object.assign(running, { to: time, ended: entry })
      else lane.periods.push({ from: start, to: time, began: undefined, ended: entry })
    }
  }
  return [...lanes.values()]
}
