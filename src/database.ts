import { connect, type Socket } from 'node:net'
import postgres from 'postgres'
import { ConfigError } from './config.ts'
import { retry } from './retry.ts'

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

/** Called when a statement is ordered; what it returns is called when that statement has ended. */
export type StatementObserver = () => () => void

const CONNECT_TIMEOUT_SECONDS = 5
const MAX_BACKOFF_SECONDS = 1
/** Seconds without traffic after which the system asks whether the other side is still there. */
const KEEP_ALIVE_SECONDS = 5
/** Milliseconds beyond a statement's own time-out in which its answer, or its error, has to arrive. */
const ANSWER_MARGIN_MS = 1_000
const WATCH_INTERVAL_MS = 500
/** Milliseconds in which others may still have been answered after a connection's last statement, which was lost with them. */
const SILENCE_MARGIN_MS = 1_000

/** What postgres.js hands to the function that opens its sockets. */
type Target = { host: string[]; port: number[]; path: string | undefined }

/**
 * Whether an answer ends here, by PostgreSQL's message that it is ready for the next statement. Where the message came
 * in two parts this is not seen, and an idle connection is opened anew for nothing.
 */
function endsAnswer(chunk: Buffer): boolean {
  const message = chunk.subarray(-6)
  return message.length === 6 && message[0] === 0x5a && message.readUInt32BE(1) === 5
}

/**
 * Has a socket tell of an error only when it is closed. In between, postgres.js would send a statement on a connection
 * that was idle, to nobody, and take it for done when the next connection is ready.
 */
function tellErrorWithClose(socket: Socket): Socket {
  const emit = socket.emit.bind(socket)
  let error: unknown
  socket.emit = (event: string, ...parameters: unknown[]) => {
    if (event === 'error') {
      error ??= parameters[0]
      return true
    }
    if (event === 'close' && error !== undefined) emit('error', error)
    return emit(event, ...parameters)
  }
  return socket
}

/**
 * A connection's socket, given up when what was sent on it has had no whole answer for `timeout` milliseconds.
 * PostgreSQL ends each statement by its own time-out, so the connection is dead then, though nobody has said so: a
 * firewall has forgotten it, or its other end is gone. Without this its place in the pool would be lost for as long.
 *
 * On an encrypted connection the end of an answer can't be seen: there, any answer counts as a whole one.
 */
class WatchedSocket {
  /** Those that are open, of all pools. */
  static readonly #open = new Set<WatchedSocket>()

  readonly socket: Socket
  readonly #target: string
  /** By performance.now(), as the other times. Being opened counts as an answer. */
  #answeredAt = performance.now()
  #waitingSince = Number.POSITIVE_INFINITY
  #isReady = false
  #written = 0
  #read = 0

  constructor({ host, port, path }: Target, attempt: number, timeout: number) {
    const index = attempt % host.length
    const socket = path ? connect(path) : connect(port[index] ?? 5432, host[index])
    // By this name postgres.js checks a certificate.
    Object.assign(socket, { host: host[index], port: port[index] })
    this.socket = tellErrorWithClose(socket)
    this.#target = path ?? `${host[index]}:${port[index]}`
    WatchedSocket.#open.add(this)
    const watch = setInterval(() => this.#check(timeout), WATCH_INTERVAL_MS).unref()
    socket.on('data', (chunk) => {
      this.#read = socket.bytesRead
      if (endsAnswer(chunk)) this.#answer()
    })
    socket.once('end', () => this.#end())
    socket.once('close', () => {
      clearInterval(watch)
      WatchedSocket.#open.delete(this)
    })
  }

  #check(timeout: number): void {
    this.#look()
    const since = this.#waitingSince
    if (performance.now() - since < timeout) return
    this.socket.destroy()
    for (const other of WatchedSocket.#open)
      if (other.#isLostWith(this.#target, since)) other.socket.destroy()
  }

  /**
   * Whether it is given up with one that fell silent at that time. Found out one after the other, each that is dead would
   * cost a statement, and hold it up for as long as its pool allows. One that has nothing to do costs nothing, whatever
   * it was the last to answer; one that has been waiting for longer may have a long statement in hand.
   */
  #isLostWith(target: string, since: number): boolean {
    this.#look()
    if (this.#target !== target || this.#waitingSince < since) return false
    return this.#waitingSince === Number.POSITIVE_INFINITY || this.#answeredAt < since + SILENCE_MARGIN_MS
  }

  #look(): void {
    const { bytesRead, bytesWritten } = this.socket
    // What comes encrypted is not in its 'data'.
    if (bytesRead > this.#read) {
      this.#read = bytesRead
      this.#answer()
    }
    if (bytesWritten > this.#written) this.#waitingSince = Math.min(this.#waitingSince, performance.now())
  }

  /**
   * Where the server has ended the connection before it was ready for a statement, postgres.js connects anew for the same
   * statement, at once and again and again, as it takes the server's reason for the error of what was lost on the
   * connection before. An error of the socket ends that: the statement fails with it.
   */
  #end(): void {
    if (this.#isReady) return
    const error = new Error('the server has ended the connection before it was ready')
    this.socket.emit('error', Object.assign(error, { code: 'CONNECTION_CLOSED' }))
  }

  #answer(): void {
    this.#isReady = true
    this.#written = this.socket.bytesWritten
    this.#answeredAt = performance.now()
    this.#waitingSince = Number.POSITIVE_INFINITY
  }
}

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

/** What the types of postgres.js don't show: how it sends a statement and settles it, and the connection it was sent on. */
type Statement = Promise<unknown> & {
  handler: (statement: Statement) => void
  resolve: (result: unknown[] & { command: string | null }) => void
  reject: (error: unknown) => void
  state: object | null
}

/** Has all statements of a pool mended and observed. */
function wrapStatements(sql: Sql, observer: StatementObserver = () => () => {}): Sql {
  const callers = new WeakMap<object, { stack?: string }>()

  function call(target: Sql, self: unknown, parameters: [object]): unknown {
    const statement: unknown = Reflect.apply(target, self, parameters)
    if (!(statement instanceof Promise)) return statement
    const [template] = parameters
    const caller = callers.get(template) ?? captureCaller(call)
    callers.set(template, caller)
    wrapStatement(statement as Statement, caller, observer)
    return statement
  }

  return new Proxy(sql, { apply: call })
}

/** Errors of statements that were never sent. */
const unsent = new WeakSet<object>()

/**
 * Mends a statement's outcome. What postgres.js knows of a statement outlives its connection. Where one failed, or was
 * lost, after it had sent rows, the next result on that connection begins with as many holes; and where a server has
 * said why it ends a connection, that is the error of the statement for which there is a new one, before it was sent. On
 * encrypted connections, whose sockets are its own, a statement may be taken for done that nobody got: see
 * `tellErrorWithClose`. The frames by which it says where a failed statement stands end before the caller.
 *
 * Tells the observer, as postgres.js tells nobody what its connections do. It sends a statement, by its `handler`, when
 * the result is first asked for, which that of a fragment never is.
 *
 * What a statement has is replaced, and nothing added: V8 would keep it as a dictionary then, which takes postgres.js
 * several times as long.
 *
 * @see https://github.com/porsager/postgres/issues/1119
 */
function wrapStatement(statement: Statement, caller: { stack?: string }, observer: StatementObserver): void {
  const { handler, resolve, reject } = statement
  let end = () => {}
  // That of a lost connection is settled once more when the next one is ready.
  let isSettled = false

  statement.handler = (sent) => {
    end = observer()
    handler(sent)
  }
  statement.resolve = (result) => {
    if (isSettled) return
    isSettled = true
    end()
    if (Array.isArray(result) && result.command === null) {
      const error = new Error('the statement has met the end of its connection')
      reject(Object.assign(error, { code: 'CONNECTION_CLOSED' }))
      return
    }
    let holes = 0
    while (holes < result.length && !(holes in result)) holes += 1
    if (holes > 0) result.splice(0, holes)
    resolve(result)
  }
  statement.reject = (error) => {
    if (isSettled) return
    isSettled = true
    end()
    if (error instanceof Error) {
      if (statement.state === null) unsent.add(error)
      addFrame(error, caller)
    }
    reject(error)
  }
}

/** The frame of whoever called a function that is running. */
function captureCaller(called: (...parameters: never[]) => unknown): { stack?: string } {
  const caller = {}
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 1
  Error.captureStackTrace(caller, called)
  Error.stackTraceLimit = stackTraceLimit
  return caller
}

function addFrame(error: Error, { stack = '' }: { stack?: string }): void {
  const frame = stack.slice(stack.indexOf('\n') + 1)
  const value = `${error.stack}\n${frame}`
  Object.defineProperty(error, 'stack', { value, configurable: true, writable: true })
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
