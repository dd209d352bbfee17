import { once } from 'node:events'
import type { Socket } from 'node:net'
import postgres from 'postgres'
import { ANSWER_MARGIN_MS, CONNECT_TIMEOUT_MS, KEEP_ALIVE_SECONDS } from '../../limits.ts'
import { SESSION_CHECK } from '../session-settings.ts'
import type { DatabaseTarget, Host } from '../url.ts'
import { ConnectionError } from './connection-error.ts'
import { openSocket } from './open-socket.ts'
import { PARAMETER_TYPES } from './parameter-types.ts'
import { createStatement, onSettled, type Statement } from './statement.ts'

export type ConnectionOptions = {
  target: DatabaseTarget
  /** Startup parameters. */
  settings: Record<string, string | number>
  /** Milliseconds after which PostgreSQL cancels a statement. */
  statementTimeout: number
}

/** The server has become a standby (read_only_sql_transaction): another connection may lead to the primary. */
const READ_ONLY = '25006'

/**
 * One connection to PostgreSQL, from its first statement until it is lost or closed. It never reconnects: the pool
 * replaces a lost connection with a new one.
 *
 * Internally it is a postgres.js pool of one connection, whose socket is opened here, once. This avoids most bugs of
 * postgres.js 3.4.9, which occur when it reconnects, or when it sends on a connection that it does not know to be lost:
 *
 * - statements of a transaction run outside of it ({@link https://github.com/porsager/postgres/issues/1216});
 * - a write to a closed socket ends the process ({@link https://github.com/porsager/postgres/issues/1208});
 * - statements never settle ({@link https://github.com/porsager/postgres/issues/1186});
 * - statements get the result or the error of an earlier, lost one
 *   ({@link https://github.com/porsager/postgres/issues/1119}).
 */
export class Connection {
  /** The open connections of all pools. */
  static readonly #all = new Set<Connection>()

  readonly createdAt = performance.now()
  readonly #options: ConnectionOptions
  readonly #onLost: (connection: Connection) => void
  #pool: postgres.Sql
  #sendByPool: (statement: Statement) => void
  readonly #pending = new Set<Statement>()
  /** Sends the statements that wait until the server has proved that it accepts writes. */
  readonly #waiting: (() => void)[] = []
  #isAccepted = false
  #isOutdated = false
  #nextHost = 0
  #host: Host | undefined
  #socket: Socket | undefined
  /** When the connection last became busy, by performance.now(). Infinite if no statement is in progress. */
  #waitingSince = Number.POSITIVE_INFINITY
  #answeredAt = performance.now()
  #isReady = false
  #isLost = false
  #cause: unknown

  /** @param onLost called once, when it is lost or closed. */
  constructor(options: ConnectionOptions, onLost: (connection: Connection) => void) {
    this.#options = options
    this.#onLost = onLost
    Connection.#all.add(this)
    this.#pool = this.#createPool()
    this.#sendByPool = handlerOf(this.#pool)
    this.#checkServer()
  }

  #createPool(): postgres.Sql {
    const { user, password, database, hosts } = this.#options.target
    // postgres.js has these options, but its types don't.
    const untyped = { max_pipeline: 0, socket: () => this.#open() }
    return postgres({
      ...PARAMETER_TYPES,
      ...untyped,
      // Only the number of hosts matters to postgres.js, because the sockets are opened here.
      host: hosts.map(() => 'database').join(),
      user,
      pass: password,
      database,
      ssl: false,
      max: 1,
      max_lifetime: null,
      idle_timeout: 0,
      connect_timeout: CONNECT_TIMEOUT_MS / 1000,
      keep_alive: KEEP_ALIVE_SECONDS,
      backoff: () => 0,
      onnotice: () => {},
      connection: this.#options.settings
    })
  }

  /**
   * Sends {@link SESSION_CHECK}, and connects to the next host if the server accepts no writes. `target_session_attrs`
   * of postgres.js is not used: it fails the statement that waits for the connection instead of sending it to the next
   * host, and takes a standby for `read-write` if `default_transaction_read_only` is off.
   */
  #checkServer(): void {
    const check = createStatement(SESSION_CHECK)
    check.handler = (statement) => this.#send(statement, (error) => error)
    check.then(
      ([row]) => {
        if (row?.isReadOnly && this.#options.target.requiresPrimary) this.#leaveServer()
        else this.#accept()
      },
      (error: unknown) => this.#lose(error)
    )
  }

  #accept(): void {
    this.#isAccepted = true
    for (const send of this.#waiting.splice(0)) send()
  }

  #leaveServer(): void {
    if (this.#isLost) return
    this.#isReady = false
    if (this.#nextHost >= this.#options.target.hosts.length) {
      this.#lose(Object.assign(new Error('the database accepts no writes'), { code: READ_ONLY }))
      return
    }
    const [pool, socket] = [this.#pool, this.#socket]
    this.#socket = undefined
    void pool.end({ timeout: 0 }).then(() => socket?.destroy())
    this.#pool = this.#createPool()
    this.#sendByPool = handlerOf(this.#pool)
    this.#checkServer()
  }

  get isLost(): boolean {
    return this.#isLost
  }

  /** Whether its server is known to refuse writes. The connection is to be closed once it is idle. */
  get isOutdated(): boolean {
    return this.#isOutdated
  }

  /**
   * Sends a statement after all earlier ones. It always settles: with a result, an error of PostgreSQL, or a
   * {@link ConnectionError}.
   *
   * @param settled called when the statement has ended, before its promise settles. The promise is rejected with the
   * error that this returns.
   */
  send(statement: Statement, settled: (error?: unknown) => unknown): void {
    if (this.#isAccepted || this.#isLost) this.#send(statement, settled)
    else this.#waiting.push(() => this.#send(statement, settled))
  }

  #send(statement: Statement, settled: (error?: unknown) => unknown): void {
    onSettled(statement, (given) => {
      this.#settle(statement)
      return settled(this.#toError(statement, given))
    })
    if (this.#isLost) {
      this.#fail(statement)
      return
    }
    const { cursorFn } = statement
    if (cursorFn) statement.cursorFn = (rows) => this.#continueCursor(cursorFn(rows))
    this.#pending.add(statement)
    if (this.#pending.size === 1) {
      this.#waitingSince = performance.now()
      this.#watch()
    }
    this.#sendByPool(statement)
  }

  /**
   * Asks PostgreSQL to cancel a statement in progress. The connection must not get another statement before this
   * resolves, which would be cancelled instead. It is a best effort: PostgreSQL does not say what came of it.
   *
   * @see https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS
   */
  async cancel(statement: Statement): Promise<void> {
    const { state } = statement
    if (!state || !this.#host || !this.#pending.has(statement)) return
    const request = Buffer.alloc(16)
    request.writeInt32BE(16)
    request.writeInt32BE(80_877_102, 4)
    request.writeUInt32BE(state.pid, 8)
    request.writeUInt32BE(state.secret, 12)
    try {
      const socket = await openSocket(this.#host, this.#options.target.encryption)
      socket.setTimeout(CONNECT_TIMEOUT_MS, () => socket.destroy())
      const closed = once(socket, 'close')
      socket.resume().end(request)
      await closed
    } catch {
      // The statement timeout ends the statement instead.
    }
  }

  /** Closes the connection. Statements in progress fail. */
  close(): void {
    this.#lose(undefined)
  }

  #settle(statement: Statement): void {
    this.#pending.delete(statement)
    this.#answeredAt = performance.now()
    if (this.#pending.size > 0) return
    this.#waitingSince = Number.POSITIVE_INFINITY
    this.#socket?.setTimeout(0)
  }

  /** Returns the error that a statement is rejected with; undefined if it succeeded. */
  #toError(statement: Statement, error: unknown): unknown {
    if (statement.state === null) this.#lose(error)
    else this.#isReady = true
    if (error instanceof postgres.PostgresError && error.code === READ_ONLY) this.#giveUpServer(error)
    const isNever = error !== undefined && statement.state === null
    if (!isNever || error instanceof ConnectionError || error instanceof postgres.PostgresError) return error
    return notReached(error)
  }

  /**
   * Never resolves if the connection has been lost meanwhile: postgres.js would write to a closed socket, which ends
   * the process.
   *
   * @see https://github.com/porsager/postgres/issues/1208
   */
  async #continueCursor(answer: unknown): Promise<unknown> {
    const awaited = await answer
    return this.#isLost ? new Promise(() => {}) : awaited
  }

  #fail(statement: Statement): void {
    const isLost = this.#isReady || statement.state !== null
    statement.reject(
      isLost
        ? new ConnectionError('the connection to the database is lost', {
            mayHaveEffect: statement.state !== null,
            cause: this.#cause
          })
        : notReached(this.#cause)
    )
  }

  /**
   * PostgreSQL ends each statement by its own timeout. A connection that stays silent for longer is dead, even if the
   * system has not reported it: a firewall has dropped it, or the other end is gone.
   */
  #watch(): void {
    this.#socket?.setTimeout(this.#options.statementTimeout + ANSWER_MARGIN_MS)
  }

  /** Also closes other silent connections to the same server. Detecting them one by one would cost a statement each. */
  #giveUp(): void {
    const since = this.#waitingSince
    this.#lose(new Error('the database has stopped answering'))
    for (const other of Connection.#all)
      if (
        other.#isSilentSince(since) &&
        other.#host?.host === this.#host?.host &&
        other.#host?.port === this.#host?.port
      )
        other.#lose(new Error('the database has stopped answering others'))
  }

  /**
   * Also closes the other connections to the server, now or when they are idle. Otherwise those that only read would
   * stay, and read what the new primary has changed meanwhile.
   */
  #giveUpServer(error: Error): void {
    for (const other of Connection.#all)
      if (other.#host?.host === this.#host?.host && other.#host?.port === this.#host?.port) {
        other.#isOutdated = true
        if (other.#pending.size === 0) other.#lose(error)
      }
    this.#lose(error)
  }

  /**
   * Whether the connection is idle, or became busy at `time` or later and has not answered since. A connection
   * that has been busy for longer may have a long statement in progress.
   */
  #isSilentSince(time: number): boolean {
    if (this.#waitingSince === Number.POSITIVE_INFINITY) return true
    return this.#waitingSince >= time && this.#answeredAt < time + ANSWER_MARGIN_MS
  }

  /** Whether the connection has been established, or a statement has been sent, so that no other host may be tried. */
  #isInUse(): boolean {
    return this.#isReady || [...this.#pending].some(({ state }) => state !== null)
  }

  /**
   * Opens a socket to the next host. postgres.js calls this again if the last socket closed.
   */
  async #open(): Promise<Socket> {
    const { hosts, encryption } = this.#options.target
    let failure: unknown = new Error('the server has closed the connection before it was ready')
    for (let host = hosts[this.#nextHost]; host && !this.#isLost; host = hosts[this.#nextHost]) {
      this.#nextHost += 1
      this.#host = host
      try {
        return this.#adopt(await openSocket(host, encryption))
      } catch (error) {
        failure = error
      }
    }
    // With several hosts, postgres.js does not report this failure.
    this.#lose(failure)
    throw failure
  }

  #adopt(socket: Socket): Socket {
    if (this.#isLost) {
      socket.destroy()
      throw new Error('closed meanwhile')
    }
    this.#socket = socket
    let failure: Error | undefined
    socket.on('error', (error) => {
      failure = error
      if (socket === this.#socket && this.#isInUse()) this.#lose(error)
    })
    socket.once('timeout', () => this.#giveUp())
    socket.once('end', () => {
      if (socket === this.#socket && this.#isInUse()) this.#lose(failure)
    })
    socket.once('close', () => {
      if (socket !== this.#socket) return
      if (this.#isInUse() || this.#nextHost >= this.#options.target.hosts.length) this.#lose(failure)
    })
    this.#watch()
    return socket
  }

  #lose(cause: unknown): void {
    if (this.#isLost) return
    this.#isLost = true
    Connection.#all.delete(this)
    this.#cause = cause
    for (const statement of this.#pending) this.#fail(statement)
    for (const send of this.#waiting.splice(0)) send()
    // Ends the session in PostgreSQL if the server is still there.
    void this.#pool.end({ timeout: 0 }).then(() => this.#socket?.destroy())
    this.#onLost(this)
  }
}

/** The function by which a pool of postgres.js sends its statements. */
function handlerOf(pool: postgres.Sql): (statement: Statement) => void {
  return (pool`` as unknown as Statement).handler
}

function notReached(cause: unknown): ConnectionError {
  const code = cause instanceof Error && 'code' in cause ? { code: String(cause.code) } : {}
  return new ConnectionError('the database cannot be reached', { ...code, mayHaveEffect: false, cause })
}
