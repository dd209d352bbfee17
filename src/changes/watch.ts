import { setTimeout as sleep } from 'node:timers/promises'
import { type ChangeState, selectChangeState } from '../database/change-states.ts'
import type { Pool } from '../database/connect.ts'
import { CHANGE_POLL_MS } from '../limits.ts'
import { hasUnseenChanges } from './queries.ts'

/**
 * Watches for changes while anyone waits for one: a statement of a tenth of a millisecond every CHANGE_POLL_MS, however
 * many wait. `notify` would announce changes sooner, but makes the commits of all changes wait for each other.
 */
export class ChangeWatch {
  readonly #pool: Pool
  readonly #waiting = new Set<() => void>()
  #isWatching = false

  constructor(pool: Pool) {
    this.#pool = pool
  }

  /**
   * Begins to wait for changes. Those that a statement does not see which begins after this call are announced.
   *
   * @returns a function that resolves at the next announcement, or after `milliseconds`, or when the signal aborts.
   */
  listen(): { next: (milliseconds: number, signal: AbortSignal) => Promise<void>; end: () => void } {
    let announced = Promise.withResolvers<void>()
    const announce = () => announced.resolve()
    this.#waiting.add(announce)
    void this.#watch()
    return {
      next: async (milliseconds, signal) => {
        const timeout = new AbortController()
        const ended = AbortSignal.any([timeout.signal, signal])
        await Promise.race([
          announced.promise,
          sleep(milliseconds, undefined, { signal: ended, ref: false }).catch(() => {})
        ])
        timeout.abort()
        announced = Promise.withResolvers()
      },
      end: () => this.#waiting.delete(announce)
    }
  }

  async #watch(): Promise<void> {
    if (this.#isWatching) return
    this.#isWatching = true
    let seen: ChangeState | undefined
    while (this.#waiting.size > 0) {
      try {
        if (!seen || (await hasUnseenChanges(this.#pool, seen))) {
          seen = await selectChangeState(this.#pool)
          this.#announce()
        }
      } catch {
        // Those who wait read, and answer the failure.
        seen = undefined
        this.#announce()
      }
      await sleep(CHANGE_POLL_MS, undefined, { ref: false })
    }
    this.#isWatching = false
  }

  #announce(): void {
    for (const announce of this.#waiting) announce()
  }
}
