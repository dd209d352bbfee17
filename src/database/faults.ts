import postgres from 'postgres'
import { ConnectionError } from './driver/connection-error.ts'

/**
 * SQLSTATE classes and codes of transient faults. These end without a change of the request or the service, or when the
 * operator has fixed them: connection (08), authorization (28), unknown database (3D), database that accepts no
 * connections (55000), missing rights of the role (42501), ids used up (2200H), resources (53), operator intervention
 * (57), system error such as a disk failure (58), lock not available (55P03), serialization failure and deadlock (40),
 * read-only server after a failover (25006), idle-in-transaction timeout (25P03).
 *
 * @see https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const transient = /^(08|28|3D|53|57|58|40|2200H|42501|55000|55P03|25006|25P03)/

/**
 * The transient faults that may be over immediately: serialization failure, deadlock, server starting up, too many
 * connections, server that has become a standby. An SQL error rolls back its statement and its transaction, so retrying
 * is safe.
 */
const brief = new Set(['40001', '40P01', '57P03', '53300', '25006'])

/**
 * What a transaction read before it took its locks has changed before it held them, so it has taken the wrong ones. Like a
 * serialization failure, it is rolled back, and a retry may succeed immediately.
 */
export class ConcurrentChange extends Error {
  override name = 'ConcurrentChange'
}

/** Undefined table, column, function, type or schema: the schema lacks a migration. */
const outdated = new Set(['42P01', '42703', '42883', '42704', '3F000'])

/** Whether a statement failed because the schema lacks a table, column or function that this version needs. */
export function isSchemaOutdated(error: unknown): error is postgres.PostgresError {
  return error instanceof postgres.PostgresError && outdated.has(error.code)
}

/** Whether a statement has reached the lock timeout. Then others hold the lock, and the database works. */
export function isLockTimeout(error: unknown): boolean {
  return error instanceof postgres.PostgresError && error.code === '55P03'
}

/** Whether the same request may succeed later, because the database is temporarily unavailable. */
export function isDatabaseUnavailable(error: unknown): boolean {
  if (error instanceof postgres.PostgresError) return transient.test(error.code)
  return error instanceof ConnectionError || error instanceof ConcurrentChange
}

/**
 * Whether a step of a background job may succeed later. A statement timeout (57014) is not transient here: the step
 * would take as long again.
 */
export function isTransient(error: unknown): boolean {
  const isTooSlow = error instanceof postgres.PostgresError && error.code === '57014'
  return isDatabaseUnavailable(error) && !isTooSlow
}

/** Whether an immediate retry, on another connection, may succeed. */
export function isBrief(error: unknown): boolean {
  if (error instanceof postgres.PostgresError) return brief.has(error.code)
  return error instanceof ConnectionError || error instanceof ConcurrentChange
}

/** Whether the failed statement or transaction certainly had no effect. */
export function hadNoEffect(error: unknown): boolean {
  return !(error instanceof ConnectionError && error.mayHaveEffect)
}
