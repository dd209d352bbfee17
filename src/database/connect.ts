import { IDLE_IN_TRANSACTION_TIMEOUT_MS } from '../limits.ts'
import { createPool, type Pool, type Sql, type StatementObserver } from './pool.ts'
import { SESSION_SETTINGS } from './session-settings.ts'
import { type DatabaseTarget, readDatabaseUrl } from './url.ts'

export type { Pool, Sql, Transaction } from './pool.ts'

type DatabaseOptions = {
  /** The `application_name` in pg_stat_activity. */
  name: string
  /** The maximum number of connections. */
  connections: number
  /** Milliseconds after which PostgreSQL cancels a statement. */
  statementTimeout: number
  /** Milliseconds after which PostgreSQL cancels a statement that waits for a lock. */
  lockTimeout: number
  /** Milliseconds after which an idle connection is closed. Default: never. */
  idleTimeout?: number
  /** Further settings of PostgreSQL. */
  settings?: Record<string, string>
  /** Called for each statement. */
  observer?: StatementObserver
}

/**
 * Creates a pool of connections to PostgreSQL. It connects on first use, and replaces lost connections. Values of type
 * bigint are returned as text, so that ids stay exact.
 *
 * @throws {ConfigError} if the URL is not valid.
 */
export function connectDatabase(url: string | DatabaseTarget, options: DatabaseOptions): Pool {
  const target = typeof url === 'string' ? readDatabaseUrl(url) : url
  const { name, statementTimeout, lockTimeout, settings, ...pool } = options
  return createPool({
    ...pool,
    target,
    statementTimeout,
    settings: {
      application_name: name,
      ...target.settings,
      ...SESSION_SETTINGS,
      statement_timeout: statementTimeout,
      lock_timeout: lockTimeout,
      idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,
      ...settings
    }
  })
}

/** Formats a column's time as in the API and in reports: RFC 3339 in UTC, with microseconds. */
export function formatTime(sql: Sql, column: string) {
  return sql`to_char(${sql(column)} at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`
}
