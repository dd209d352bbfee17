import { setTimeout as sleep } from 'node:timers/promises'
import { FIRST_PAUSE_MS, LAST_RETRY_MS, LONGEST_PAUSE_MS, MAX_ATTEMPTS } from '../limits.ts'
import { hadNoEffect, isBrief, isDatabaseUnavailable } from './faults.ts'

/**
 * Runs a statement that may run twice, such as a read. Retries after a brief fault: at most four attempts, within 2 s.
 */
export function retryIdempotent<T>(statement: () => Promise<T>): Promise<T> {
  return retry(statement, mayRetrySoon(isBrief))
}

/**
 * Runs a write (a statement or a transaction). Retries after a brief fault if the failed attempt certainly had no
 * effect: at most four attempts, within 2 s. If the connection was lost after the write was sent, it may have taken
 * effect; then it is not retried, and the client gets 503.
 */
export function retryWrite<T>(write: () => Promise<T>): Promise<T> {
  return retry(
    write,
    mayRetrySoon((error) => isBrief(error) && hadNoEffect(error))
  )
}

/**
 * Runs a statement that may run twice and that no request waits for. Retries after each transient fault.
 *
 * @param signal stops the retries.
 */
export function retryUntilDone<T>(statement: () => Promise<T>, signal: AbortSignal): Promise<T> {
  return retry(statement, (error) => isDatabaseUnavailable(error) && !signal.aborted)
}

function mayRetrySoon(isHarmless: (error: unknown) => boolean) {
  const started = performance.now()
  return (error: unknown, attempts: number): boolean =>
    attempts < MAX_ATTEMPTS && performance.now() - started < LAST_RETRY_MS && isHarmless(error)
}

/**
 * Retries while `mayRetry` allows it. The pauses have random lengths, so that requests that failed together are not
 * retried together.
 *
 * @param mayRetry whether to retry after the error of the nth attempt.
 * @see https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
 */
async function retry<T>(
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
