/** Microseconds since 1970, which a Date can't represent. */
export type Microseconds = bigint

export const MICROSECONDS_OF_AN_HOUR = 3_600_000_000n
export const MICROSECONDS_OF_A_DAY = 24n * MICROSECONDS_OF_AN_HOUR

/** @param text RFC 3339 in UTC with microseconds, as the service writes times. */
export function parseTime(text: string): Microseconds {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/.test(text)) throw new Error(`not a time: ${text}`)
  return BigInt(Date.parse(`${text.slice(0, 23)}Z`)) * 1000n + BigInt(text.slice(23, 26))
}

/** The inverse of {@link parseTime}. */
export function writeTime(time: Microseconds): string {
  const milliseconds = new Date(Number(time / 1000n)).toISOString().slice(0, -1)
  return `${milliseconds}${String(time % 1000n).padStart(3, '0')}Z`
}

/** A day in UTC, as YYYY-MM-DD. */
export function dayOf(time: Microseconds): string {
  return new Date(Number(time / 1000n)).toISOString().slice(0, 10)
}

/** The day after a day, both as YYYY-MM-DD. */
export function dayAfter(day: string): string {
  return dayOf(parseTime(`${day}T00:00:00.000000Z`) + MICROSECONDS_OF_A_DAY)
}

/**
 * When a change took effect: between the beginning and the end of the call that caused it. Once the service has shown
 * the exact time, it must be the same everywhere and always.
 */
export class Moment {
  earliest: Microseconds
  latest: Microseconds

  constructor(earliest: Microseconds, latest: Microseconds) {
    this.earliest = earliest
    this.latest = latest
  }

  allows(time: Microseconds): boolean {
    return this.earliest <= time && time <= this.latest
  }

  /** @throws {Error} if the change cannot have taken effect at that time. */
  see(text: string, what: string): void {
    const time = parseTime(text)
    if (!this.allows(time))
      throw new Error(`${what} at ${text}: ${this.earliest} <= ${time} <= ${this.latest} does not hold`)
    this.earliest = time
    this.latest = time
  }

  /** Later by the given time, as far as the moment is known. */
  after(time: Microseconds): Moment {
    return new Moment(this.earliest + time, this.latest + time)
  }

  /** Moves the moment into the past, like everything else. */
  moveBack(by: Microseconds): void {
    this.earliest -= by
    this.latest -= by
  }
}
