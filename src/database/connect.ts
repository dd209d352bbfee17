import postgres from 'postgres'
import { ConfigError } from '../config.ts'
import { type StatementObserver, wrapStatements } from './statements.ts'
import { type Target, WatchedSocket } from './watched-socket.ts'

export type Sql = postgres.Sql

type DatabaseOptions = {
  /** Shown in pg_stat_activity. */
  name: string
  /** Connections at the most. */
  connections: number
  /** Milliseconds after which PostgreSQL gives a statement up. */
  statementTimeout: number
  /** Milliseconds after which PostgreSQL gives up waiting for a lock. */
  lockTimeout: number
  /** Seconds after which a connection that has nothing to do is closed. Unset: never. */
  idleTimeout?: number
  /** Whether connections are never renewed while they live, as their temporary tables would be lost. */
  keepsSessions?: boolean
  /** Further settings of PostgreSQL, for these connections. */
  settings?: Record<string, string>
  /** Is told of each statement. */
  observer?: StatementObserver
}

const CONNECT_TIMEOUT_SECONDS = 5
const MAX_BACKOFF_SECONDS = 1
/** Seconds without traffic after which the system asks whether the other side is still there. */
const KEEP_ALIVE_SECONDS = 5
/** Milliseconds beyond a statement's own time-out in which its answer, or its error, has to arrive. */
const ANSWER_MARGIN_MS = 1_000

/** A type of arrays as statements' parameters, by its object id: none comes back in a result. */
function arrayParameter(id: number, writeElement: (element: string) => string): postgres.PostgresType {
  return {
    to: id,
    from: [id],
    serialize: (elements: string[]) => `{${elements.map(writeElement).join()}}`,
    parse: (text: string) => text
  }
}

/**
 * What statements have arrays of. By itself postgres.js asks each new connection for the array types there are, and
 * nobody hears of it when that fails: a connection that is lost just then ended the process.
 */
const ARRAY_TYPES = {
  fetch_types: false,
  types: {
    bigints: arrayParameter(1016, (id) => id),
    texts: arrayParameter(1009, (text) => `"${text.replace(/["\\]/g, '\\$&')}"`)
  }
}

/**
 * A pool of connections to PostgreSQL. Connects on first use, and again after each loss.
 * bigint comes back as text, so that ids stay exact.
 *
 * @throws {ConfigError} where the URL is none.
 */
export function connectDatabase(url: string, options: DatabaseOptions): Sql {
  const timeout = options.statementTimeout + ANSWER_MARGIN_MS
  let attempts = 0
  // postgres.js knows these, its types don't.
  const untyped = {
    // A statement waits for a free connection, never on a busy one behind a statement that may wait for a lock.
    max_pipeline: 0,
    socket: (target: Target) => new WatchedSocket(target, attempts++, timeout).socket
  }
  try {
    const sql = postgres(url, {
      ...untyped,
      max: options.connections,
      ...ARRAY_TYPES,
      keep_alive: KEEP_ALIVE_SECONDS,
      idle_timeout: options.idleTimeout ?? 0,
      ...(options.keepsSessions ? { max_lifetime: null } : {}),
      connect_timeout: CONNECT_TIMEOUT_SECONDS,
      backoff: (retries) => Math.min(2 ** retries / 100, MAX_BACKOFF_SECONDS),
      onnotice: () => {},
      connection: {
        application_name: options.name,
        statement_timeout: options.statementTimeout,
        lock_timeout: options.lockTimeout,
        TimeZone: 'UTC',
        ...options.settings
      }
    })
    return wrapStatements(sql, options.observer)
  } catch {
    // The error itself shows the URL, and with it the password.
    throw new ConfigError('DATABASE_URL is not valid: its parts must be URL-encoded, its port a number')
  }
}

/** A column's time as answers and reports show it: RFC 3339 in UTC, with microseconds. */
export function formatTime(sql: Sql, column: string) {
  return sql`to_char(${sql(column)} at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`
}
