import postgres from 'postgres'
import { retry } from './retry.ts'
import { unsent } from './statements.ts'

/** Codes of Node.js and postgres.js for a server that could not be reached, or was lost. */
const connectionFailures = new Set([
  'CONNECTION_CLOSED',
  'CONNECTION_DESTROYED',
  'CONNECTION_ENDED',
  'CONNECT_TIMEOUT',
  'EAI_AGAIN',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EPIPE',
  'ETIMEDOUT'
])

/**
 * SQLSTATE classes and codes of faults that pass, by themselves or when the operator has mended them: connection
 * (08), authorization (28), unknown database (3D), one that is closed (55000), resources (53), operator intervention
 * (57), lock not available (55P03), serialization failure and deadlock (40), read-only after a failover (25006).
 *
 * @see https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const passingFault = /^(08|28|3D|53|57|40|55000|55P03|25006)/

/** Whether a statement has waited for a lock for as long as it may: others hold it, and the database is well. */
export function isLockTimeout(error: unknown): boolean {
  return error instanceof postgres.PostgresError && error.code === '55P03'
}

/** Whether the same request may succeed later, because the database could not answer now. */
export function isDatabaseUnavailable(error: unknown): boolean {
  if (error instanceof postgres.PostgresError) return passingFault.test(error.code)
  return error instanceof Error && 'code' in error && connectionFailures.has(String(error.code))
}

/**
 * Faults in which the statement has had no effect: it was never sent, as there was no connection, or PostgreSQL has
 * taken it back (serialization failure and deadlock, 40), or never began it (57P03, 53300).
 */
const withoutEffect = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', '40001', '40P01', '57P03', '53300'])
/** Faults that are over with the next connection, but the statement may have been done. */
const connectionLost = new Set(['CONNECTION_CLOSED', 'ECONNRESET', 'EPIPE', '57P01', '57P02'])

const MAX_ATTEMPTS = 4
/** Milliseconds after which nothing is tried again: a caller waits for it. */
const LAST_RETRY_MS = 2_000

/** @param isHarmless whether what has failed may be done once more. */
function mayRetry(isHarmless: (code: string, error: Error) => boolean) {
  const started = performance.now()
  return (error: unknown, attempts: number): boolean =>
    attempts < MAX_ATTEMPTS &&
    performance.now() - started < LAST_RETRY_MS &&
    error instanceof Error &&
    'code' in error &&
    isHarmless(String(error.code), error)
}

/**
 * For what may be done twice, as reads may: tries again where the connection was lost or there was none, at most
 * four times, within 2 s.
 */
export function retryIdempotent<T>(statement: () => Promise<T>): Promise<T> {
  return retry(
    statement,
    mayRetry((code) => withoutEffect.has(code) || connectionLost.has(code))
  )
}

/**
 * Writes, and writes again where the first time certainly had no effect: at most four times, within 2 s. A write whose
 * connection was lost under way may have been done, and is left to the caller, who gets 503.
 */
export function retryWrite<T>(write: () => Promise<T>): Promise<T> {
  return retry(
    write,
    mayRetry((code, error) => withoutEffect.has(code) || (connectionLost.has(code) && unsent.has(error)))
  )
}
