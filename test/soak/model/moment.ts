/** Microseconds since 1970: what a Date is too coarse for. */
export type Microseconds = bigint

export const MICROSECONDS_OF_AN_HOUR = 3_600_000_000n
export const MICROSECONDS_OF_A_DAY = 24n * MICROSECONDS_OF_AN_HOUR

/** @param text RFC 3339 in UTC with microseconds, as the service writes times. */
export function parseTime(text: string): Microseconds {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/.test(text)) throw new Error(`not a time: ${text}`)
  return BigInt(Date.parse(`${text.slice(0, 23)}Z`)) * 1000n + BigInt(text.slice(23, 26))
}

/** As {@link parseTime} reads it. */
export function writeTime(time: Microseconds): string {
  const milliseconds = new Date(Number(time / 1000n)).toISOString().slice(0, -1)
  return `${milliseconds}${String(time % 1000n).padStart(3, '0')}Z`
}

/** A day in UTC, as YYYY-MM-DD. */
export function dayOf(time: Microseconds): string {
  return new Date(Number(time / 1000n)).toISOString().slice(0, 10)
}

/** The next day, of one as YYYY-MM-DD. */
export function dayAfter(day: string): string {
  return dayOf(parseTime(`${day}T00:00:00.000000Z`) + MICROSECONDS_OF_A_DAY)
}

/**
 * When something took effect: between the beginning and the end of the call that caused it. From the first time the
 * service has named, it is that time, in all that happened at that moment, and for ever.
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

  /** @throws {Error} where it cannot have been then. */
  see(text: string, what: string): void {
    const time = parseTime(text)
    if (!this.allows(time))
      throw new Error(`${what} at ${text}: ${this.earliest} <= ${time} <= ${this.latest} does not hold`)
    this.earliest = time
    this.latest = time
  }

  /** So much later, as far as it is known. */
  after(time: Microseconds): Moment {
    return new Moment(this.earliest + time, this.latest + time)
  }

  /** Moves it back, along with all else. */
  moveBack(by: Microseconds): void {
    this.earliest -= by
    this.latest -= by
  }
}
