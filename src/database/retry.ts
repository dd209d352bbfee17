import { setTimeout as sleep } from 'node:timers/promises'

/** Milliseconds before a second attempt, at the most; twice as many before each further one. */
const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 2_000

/**
 * Tries again as long as it may: after a pause of random length, so that those who failed together don't come back
 * together.
 *
 * @param mayRetry whether the error of the nth attempt may be followed by another one.
 * @see https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
 */
export async function retry<T>(
  attempt: () => Promise<T>,
  mayRetry: (error: unknown, attempts: number) => boolean
): Promise<T> {
  for (let attempts = 1; ; attempts += 1) {
    try {
      return await attempt()
    } catch (error) {
      if (!mayRetry(error, attempts)) throw error
      await sleep(Math.random() * Math.min(FIRST_PAUSE_MS * 2 ** (attempts - 1), LONGEST_PAUSE_MS))
    }
  }
}
