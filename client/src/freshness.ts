import type { Change } from './contract-types.ts'

/** Whether a membership that expires at this time, or never, has not expired. */
export function isCurrent(expiresAt: string | null): boolean {
  return expiresAt === null || Date.parse(expiresAt) > Date.now()
}

/** The moment of which the answers of a feed are, in milliseconds of this machine's clock. */
export class Freshness {
  /** Minus infinity before the first answer without changes. */
  knownAt = Number.NEGATIVE_INFINITY

  /** An answer has been applied. */
  advance(changes: readonly Change[]): void {
    // Without changes, it is of the present. Otherwise, more changes may follow, but none that are older.
    const last = changes.at(-1)
    const moment = last === undefined ? Date.now() : Math.min(Date.now(), Date.parse(last.time))
    this.knownAt = Math.max(this.knownAt, moment)
  }
}
