import postgres from 'postgres'
import { ConfigError } from './config.ts'

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
  /** Further settings of PostgreSQL, for these connections. */
  settings?: Record<string, string>
  /** Is told of each statement. */
  observer?: StatementObserver
}

/** Called when a statement is ordered; what it returns is called when that statement has ended. */
export type StatementObserver = () => () => void

const CONNECT_TIMEOUT_SECONDS = 5
/**
 * A statement waits for a free connection, never on a busy one behind a statement that may wait for a lock.
 * postgres.js knows the option, its types don't.
 */
const NO_PIPELINING = { max_pipeline: 0 }
const MAX_BACKOFF_SECONDS = 1

/**
 * A pool of connections to PostgreSQL. Connects on first use, and again after each loss.
 * bigint comes back as text, so that ids stay exact.
 *
 * @throws {ConfigError} where the URL is none.
 */
export function connectDatabase(url: string, options: DatabaseOptions): Sql {
  try {
    const sql = postgres(url, {
      max: options.connections,
      ...NO_PIPELINING,
      idle_timeout: options.idleTimeout ?? 0,
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
    return options.observer ? watchStatements(sql, options.observer) : sql
  } catch {
    // The error itself shows the URL, and with it the password.
    throw new ConfigError('DATABASE_URL is not valid: its parts must be URL-encoded, its port a number')
  }
}

/**
 * postgres.js tells nobody what its connections do. But a statement is sent when its result is first asked for, which
 * that of a fragment never is.
 */
function watchStatements(sql: Sql, observer: StatementObserver): Sql {
  const origins = new WeakMap<object, { stack?: string }>()

  /** postgres.js keeps four frames to say where a failed statement stands, of which `call` would be the last. */
  function originOf(template: object): { stack?: string } {
    const known = origins.get(template)
    if (known) return known
    const origin = {}
    Error.captureStackTrace(origin, call)
    origins.set(template, origin)
    return origin
  }

  function call(target: Sql, self: unknown, parameters: [object]): unknown {
    const query: unknown = Reflect.apply(target, self, parameters)
    if (query instanceof Promise) {
      const origin = originOf(parameters[0])
      Reflect.defineProperty(query, 'origin', { get: () => origin.stack ?? '' })
      watchQuery(query, observer)
    }
    return query
  }

  return new Proxy(sql, { apply: call })
}

function watchQuery(query: Promise<unknown>, observer: StatementObserver): void {
  const then = query.then.bind(query)
  const order: typeof query.then = (...listeners) => {
    Reflect.deleteProperty(query, 'then')
    const end = observer()
    then(end, end)
    return then(...listeners)
  }
  // Shadows the method of its class until it is called for the first time.
  Reflect.defineProperty(query, 'then', { configurable: true, value: order })
}

/** A column's time as answers and reports show it: RFC 3339 in UTC, with microseconds. */
export function formatTime(sql: Sql, column: string) {
  return sql`to_char(${sql(column)} at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`
}

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
 * (08), authorization (28), unknown database (3D), resources (53), operator intervention (57), lock not available
 * (55P03), serialization failure and deadlock (40), read-only after a failover (25006).
 *
 * @see https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const passingFault = /^(08|28|3D|53|57|40|55P03|25006)/

/** Whether the same request may succeed later, because the database could not answer now. */
export function isDatabaseUnavailable(error: unknown): boolean {
  if (error instanceof postgres.PostgresError) return passingFault.test(error.code)
  return error instanceof Error && 'code' in error && connectionFailures.has(String(error.code))
}
