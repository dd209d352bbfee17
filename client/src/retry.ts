import { SegmentsError } from './errors.ts'

/** The longest random pause before the second attempt, in milliseconds. It doubles before each further attempt. */
const FIRST_PAUSE_MS = 100
/** The upper limit of that pause. */
const LONGEST_PAUSE_MS = 5_000
/** A service that asks for a longer pause than this is not asked again: the caller decides. */
const LONGEST_RETRY_AFTER_MS = 30_000

/** Answers that may differ the next time. */
const TRANSIENT_STATUSES = [408, 429, 502, 503, 504]
const TRANSIENT_CODES = ['CONNECTION_FAILED', 'TIMEOUT', 'IDEMPOTENCY_KEY_IN_USE']

/** Whether the same request may succeed later. */
export function isTransient(error: unknown): error is SegmentsError {
  if (!(error instanceof SegmentsError)) return false
  return TRANSIENT_CODES.includes(error.code) || TRANSIENT_STATUSES.includes(error.status ?? 0)
}

/** A random pause in milliseconds, which grows with the number of failures: exponential back-off with full jitter. */
export function chooseBackoff(failures: number): number {
  return Math.random() * Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (failures - 1))
}

/**
 * The pause in milliseconds before the next attempt; undefined if there must be none.
 *
 * @param failures attempts that have failed, from 1.
 */
export function choosePause(error: unknown, failures: number): number | undefined {
  if (!isTransient(error)) return undefined
  const asked = (error.retryAfter ?? 0) * 1_000
  // Jitter as well, so that refused callers do not come back in the same moment.
  return asked > LONGEST_RETRY_AFTER_MS ? undefined : asked + chooseBackoff(failures)
}

/** Waits. @throws the reason of the signal, if it is aborted. */
export async function sleep(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted()
  let stop = () => {}
  try {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds)
      stop = () => {
        clearTimeout(timer)
        resolve()
      }
      signal?.addEventListener('abort', stop)
    })
  } finally {
    signal?.removeEventListener('abort', stop)
  }
  signal?.throwIfAborted()
}

/**
 * Repeats what fails transiently, without an end.
 *
 * @param onFault called with each transient error.
 * @throws the permanent errors, and the reason of the signal.
 */
export async function insist<T>(
  attempt: () => Promise<T>,
  signal: AbortSignal | undefined,
  onFault?: (error: SegmentsError) => void
): Promise<T> {
  for (let failures = 1; ; failures += 1) {
    try {
      return await attempt()
    } catch (error) {
      if (!isTransient(error)) throw error
      onFault?.(error)
      await sleep((error.retryAfter ?? 0) * 1_000 + chooseBackoff(failures), signal)
    }
  }
}
