import { CONNECTION_LIFETIME_MS } from '../limits.ts'
import { Connection, type ConnectionOptions } from './driver/connection.ts'
import { ConnectionError } from './driver/connection-error.ts'
import { createSql, createStatement, type Sql, type Statement } from './driver/statement.ts'
import type { WriteToken } from './write-tokens.ts'

export type { Sql } from './driver/statement.ts'

/** Called when a statement is submitted. The returned function is called when the statement has ended. */
export type StatementObserver = () => () => void

export type PoolOptions = ConnectionOptions & {
  /** The maximum number of connections. */
  connections: number
  /** Milliseconds after which an idle connection is closed. Default: never. */
  idleTimeout?: number
  observer?: StatementObserver
}

/** The tag of an open transaction. `transaction` joins it instead of beginning another one. */
export type Transaction = Sql & { readonly isTransaction: true }

/** A pool of connections to PostgreSQL. Each statement of the tag runs on any connection. */
export type Pool = Sql & {
  readonly isTransaction: false
  /**
   * The same pool for one caller. When `signal` aborts, statements that wait for a connection are dropped, and those in
   * progress are cancelled. A session that has begun goes on, so that its transaction is complete.
   */
  within(signal: AbortSignal): Pool
  /** The same pool for one caller, who receives the token of each transaction that `transaction` commits. */
  tracked(onCommit: (token: WriteToken) => void): Pool
  /** Runs a statement, and reserves its connection for the caller until the session ends. */
  openSession(text: string): Promise<Session>
  /** Reserves a connection while `work` runs statements on it, one after the other, outside of a transaction. */
  reserve<T>(work: (sql: Sql) => Promise<T>): Promise<T>
  /** Closes the pool. New statements fail; those in progress have `timeout` seconds to end. */
  end(options: { timeout: number }): Promise<void>
}

/** A connection that is reserved for one caller. */
export type Session = {
  /** Runs statements on this connection, one after the other. */
  sql: Transaction
  /** Runs the last commands and releases the connection. Resolves to the result of each command. */
  end(text: string): Promise<CommandResult[]>
  /** Returns the error of the first failed statement; undefined if none has failed. */
  failure(): unknown
  /** Releases the connection without a last command. */
  release(): void
  /** Receives the token of the transaction, if the caller wants to know it. */
  onCommit: ((token: WriteToken) => void) | undefined
}

/** The rows of a command, and its tag, such as `COMMIT`. */
export type CommandResult = Awaited<Statement>

type Receiver = (connection: Connection | undefined) => void

/** Creates a pool. It connects on first use, and replaces lost connections. */
export function createPool(options: PoolOptions): Pool {
  return viewPool(new Connections(options))
}

/** What one caller of a pool wants. */
type View = { signal?: AbortSignal; onCommit?: (token: WriteToken) => void }

function viewPool(connections: Connections, view: View = {}): Pool {
  const { signal, onCommit } = view
  return createSql((statement) => connections.run(statement, signal), {
    isTransaction: false as const,
    within: (signal: AbortSignal) => viewPool(connections, { ...view, signal }),
    tracked: (onCommit: (token: WriteToken) => void) => viewPool(connections, { ...view, onCommit }),
    openSession: async (text: string) => ({ ...(await connections.openSession(text, signal)), onCommit }),
    reserve: <T>(work: (sql: Sql) => Promise<T>) => connections.reserve(work),
    end: ({ timeout }: { timeout: number }) => connections.end(timeout)
  })
}

/** Nobody waits for the result of the statement any more. It was not sent. */
export class StatementAbandoned extends Error {}

/**
 * The most recently used connection is acquired first, because the processor's caches still hold the data of its
 * PostgreSQL process. A single read is a sixth faster than with ten connections in turn, as in a pool of postgres.js.
 */
class Connections {
  readonly #options: PoolOptions
  readonly #observe: StatementObserver
  readonly #open = new Set<Connection>()
  /** The most recently used connection is the last one. */
  readonly #idle: { connection: Connection; since: number }[] = []
  readonly #waiting: Receiver[] = []
  readonly #sweeper: NodeJS.Timeout | undefined
  #ended: PromiseWithResolvers<void> | undefined

  constructor(options: PoolOptions) {
    this.#options = options
    this.#observe = options.observer ?? (() => () => {})
    const { idleTimeout } = options
    if (idleTimeout) this.#sweeper = setInterval(() => this.#sweep(idleTimeout), idleTimeout / 2).unref()
  }

  run(statement: Statement, signal: AbortSignal | undefined): void {
    let cancelled: Promise<void> | undefined
    let cancel = () => {}
    const sent = (connection: Connection) => {
      cancel = () => {
        cancelled = connection.cancel(statement)
      }
      signal?.addEventListener('abort', cancel)
    }
    const settled = (connection: Connection, error: unknown) => {
      signal?.removeEventListener('abort', cancel)
      if (cancelled !== undefined) void cancelled.then(() => this.#release(connection))
      else this.#release(connection)
      return error
    }
    this.#send(statement, settled, signal, sent)
  }

  async openSession(text: string, signal: AbortSignal | undefined): Promise<Omit<Session, 'onCommit'>> {
    const begin = createStatement(text)
    const acquired = Promise.withResolvers<Connection>()
    begin.handler = (statement) =>
      this.#send(
        statement,
        (connection, error) => {
          if (error === undefined) acquired.resolve(connection)
          else connection.close()
          return withoutEffect(error)
        },
        signal
      )
    await begin
    return this.#createSession(await acquired.promise)
  }

  async reserve<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    const acquired = Promise.withResolvers<Connection | undefined>()
    this.#acquire(acquired.resolve)
    const connection = await acquired.promise
    if (!connection) throw poolClosed()
    const session = this.#createSession(connection)
    try {
      return await work(session.sql)
    } finally {
      session.release()
    }
  }

  async end(timeout: number): Promise<void> {
    if (!this.#ended) {
      this.#ended = Promise.withResolvers()
      clearInterval(this.#sweeper)
      for (const receive of this.#waiting.splice(0)) receive(undefined)
      for (const { connection } of this.#idle.splice(0)) connection.close()
      if (this.#open.size === 0) this.#ended.resolve()
    }
    const overdue = setTimeout(() => {
      for (const connection of this.#open) connection.close()
    }, timeout * 1000)
    await this.#ended.promise
    clearTimeout(overdue)
  }

  #createSession(connection: Connection): Omit<Session, 'onCommit'> {
    let isOver = false
    let failure: unknown
    const send = (statement: Statement) => {
      if (isOver) {
        statement.reject(new Error('the session has ended'))
        return
      }
      // A failed statement that nobody awaits must not end the process. Its failure shows when the transaction ends.
      statement.catch(() => {})
      const observed = this.#observe()
      connection.send(statement, (error) => {
        observed()
        failure ??= withoutEffect(error)
        return withoutEffect(error)
      })
    }
    const sql = createSql(send, { isTransaction: true as const })
    const end = async (text: string) => {
      isOver = true
      const last = createStatement(text)
      last.handler = (statement) => {
        const observed = this.#observe()
        connection.send(statement, (error) => {
          observed()
          if (error !== undefined) connection.close()
          this.#release(connection)
          return error
        })
      }
      const results = await last
      return hasManyResults(results) ? results : [results]
    }
    const release = () => {
      isOver = true
      this.#release(connection)
    }
    return { sql, end, release, failure: () => failure }
  }

  /**
   * @param signal drops the statement if it aborts before a connection is available.
   * @param sent called when the statement is sent.
   */
  #send(
    statement: Statement,
    settled: (connection: Connection, error?: unknown) => unknown,
    signal?: AbortSignal,
    sent?: (connection: Connection) => void
  ): void {
    const observed = this.#observe()
    const drop = () => {
      const index = this.#waiting.indexOf(receive)
      if (index >= 0) this.#waiting.splice(index, 1)
      observed()
      statement.reject(new StatementAbandoned('nobody waits for the result any more'))
    }
    const receive: Receiver = (connection) => {
      signal?.removeEventListener('abort', drop)
      if (!connection) {
        observed()
        statement.reject(poolClosed())
        return
      }
      connection.send(statement, (error) => {
        observed()
        return settled(connection, error)
      })
      sent?.(connection)
    }
    if (signal?.aborted) {
      drop()
      return
    }
    signal?.addEventListener('abort', drop)
    this.#acquire(receive)
  }

  #acquire(receive: Receiver): void {
    if (this.#ended) {
      receive(undefined)
      return
    }
    const connection = this.#idle.pop()?.connection
    if (connection) receive(connection)
    else if (this.#open.size < this.#options.connections) receive(this.#add())
    else this.#waiting.push(receive)
  }

  #add(): Connection {
    const connection = new Connection(this.#options, (lost) => this.#remove(lost))
    this.#open.add(connection)
    return connection
  }

  #release(connection: Connection): void {
    if (connection.isLost) return
    const age = performance.now() - connection.createdAt
    if (this.#ended || connection.isOutdated || age > CONNECTION_LIFETIME_MS * (1 + Math.random())) {
      connection.close()
      return
    }
    const receive = this.#waiting.shift()
    if (receive) receive(connection)
    else this.#idle.push({ connection, since: performance.now() })
  }

  #remove(lost: Connection): void {
    this.#open.delete(lost)
    const index = this.#idle.findIndex(({ connection }) => connection === lost)
    if (index >= 0) this.#idle.splice(index, 1)
    const receive = this.#waiting.shift()
    if (receive) receive(this.#add())
    if (this.#open.size === 0) this.#ended?.resolve()
  }

  #sweep(idleTimeout: number): void {
    const now = performance.now()
    while (this.#idle[0] && now - this.#idle[0].since >= idleTimeout) this.#idle.shift()?.connection.close()
  }
}

/** postgres.js resolves a statement of several commands to an array of their results. */
function hasManyResults(results: CommandResult | CommandResult[]): results is CommandResult[] {
  return !('command' in results)
}

function poolClosed(): ConnectionError {
  return new ConnectionError('the pool has been closed', { code: 'CONNECTION_ENDED', mayHaveEffect: false })
}

/** If a connection is lost before its transaction commits, PostgreSQL rolls the transaction back. */
function withoutEffect(error: unknown): unknown {
  if (!(error instanceof ConnectionError)) return error
  const { message, code, cause } = error
  return new ConnectionError(message, { code, mayHaveEffect: false, cause })
}
