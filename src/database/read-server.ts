import type { FastifyBaseLogger } from 'fastify'
import {
  POOL_CLOSE_TIMEOUT_SECONDS,
  READ_SERVER_CHECK_MS,
  READ_SERVER_LONGEST_RETRY_MS,
  READ_SERVER_RETRY_MS,
  READ_SERVER_TIMEOUT_MS
} from '../limits.ts'
import type { Pool, Sql } from './pool.ts'
import type { PrimaryWatch } from './primary-watch.ts'
import { type Identity, type ServerState, selectIdentity, selectServerState } from './read-server-queries.ts'
import { hasReached, hasSeen, type Position, parseToken, type WriteToken } from './write-tokens.ts'

/** What the answer of a lookup must contain. */
export type Requirement = {
  /** The tokens of writes. Without any: everything that was answered before the lookup began. */
  tokens: readonly WriteToken[]
  /** A position of the primary that was read after the lookup had begun. */
  position?: Position
}

/** Says whether what a server reads now contains what a lookup requires. */
export type Sees = (requirement: Requirement) => boolean

/** Which lookups a server can answer: none (it is left out), those with a token, or all. */
type Reads = 'none' | 'token' | 'all'

type ReadServerOptions = {
  /** The address, as in logs and metrics. */
  name: string
  pool: Pool
  /** A connection for the checks, which do not wait for lookups. */
  probe: Pool
  primary: PrimaryWatch
  /** Milliseconds by which a lookup without a token may be behind; 0: never. */
  staleness: number
  log: FastifyBaseLogger
}

/** The server may have missed any write. */
class ForeignServer extends Error {
  constructor() {
    super('it is neither a standby of the primary nor a node of the Citus cluster')
  }
}

/** A server for reads. What it serves is proved again for each read: this only chooses servers that are likely to serve. */
export class ReadServer {
  readonly name: string
  /** Lookups in progress. */
  inFlight = 0
  /** When it was last chosen for a lookup. */
  lastTurn = 0
  readonly #options: ReadServerOptions
  #reads: Reads | undefined
  /** Whether its writes are replayed as they come, so that waiting for one makes sense. */
  #isCurrent = false
  #isSynchronous = false
  /** Identifies the process of the server that the last check saw. */
  #startedAt: string | undefined
  #hasEnded = false
  #nextCheck = 0
  #pause = READ_SERVER_RETRY_MS

  constructor(options: ReadServerOptions) {
    this.#options = options
    this.name = options.name
  }

  get isServing(): boolean {
    return this.#reads === 'token' || this.#reads === 'all'
  }

  get isCurrent(): boolean {
    return this.#isCurrent
  }

  /** Whether the server is likely to answer a lookup with these tokens. */
  accepts(tokens: readonly WriteToken[]): boolean {
    return this.#reads === 'all' || (this.#reads === 'token' && tokens.length > 0)
  }

  /**
   * Runs statements on one connection, after it has been asked what it has seen.
   *
   * @param lookups what each lookup requires. Those without a token get a position, if writes wait for the server.
   * @param work must ask `sees` before it reads for a lookup.
   * @throws {Error} if the server fails, or does not answer within READ_SERVER_TIMEOUT_MS.
   */
  async read<T>(lookups: readonly Requirement[], work: (sql: Sql, sees: Sees) => Promise<T>): Promise<T> {
    if (this.#isSynchronous) await this.#addPosition(lookups)
    const answer = await withinTimeout(
      this.#options.pool.reserve(async (sql) => work(sql, await this.#ask(sql, lookups)))
    )
    this.#pause = READ_SERVER_RETRY_MS
    return answer
  }

  /** Without the primary, lookups without a token get no position, and so no answer from this server. */
  async #addPosition(lookups: readonly Requirement[]): Promise<void> {
    const lacking = lookups.filter(({ tokens, position }) => tokens.length === 0 && position === undefined)
    if (lacking.length === 0) return
    const position = await withinTimeout(this.#options.primary.readPosition()).catch(() => undefined)
    if (position) for (const lookup of lacking) lookup.position = position
  }

  async #ask(sql: Sql, lookups: readonly Requirement[]): Promise<Sees> {
    const { primary, staleness } = this.#options
    const state = await selectServerState(sql, listTransactions(lookups))
    const { replayed } = state
    if (replayed === undefined) {
      if (!primary.hasNode(state.startedAt)) throw new ForeignServer()
      return () => true
    }
    // After a restart, or by a name of several servers, the connection may lead to a server that has not been checked.
    if (state.startedAt !== this.#startedAt) return () => false
    const isRecent = isWithin(staleness, primary.measureLag(replayed))
    return ({ tokens, position }) => {
      if (tokens.length > 0) return tokens.every((token) => hasSeen(replayed, token))
      return isRecent || (position !== undefined && hasReached(replayed, position))
    }
  }

  /** Checks the server, unless it is left out for longer. */
  async check(): Promise<void> {
    if (performance.now() < this.#nextCheck) return
    const { probe } = this.#options
    try {
      const [state, identity] = await withinTimeout(
        probe.reserve(async (sql) => [await selectServerState(sql, []), await selectIdentity(sql)] as const)
      )
      this.#judge(state, identity)
    } catch (error) {
      this.#leaveOut(error)
    }
  }

  #judge({ startedAt, replayed }: ServerState, { cluster, name }: Identity): void {
    const { primary, staleness } = this.#options
    if (!primary.isKnown) throw new Error('the primary has not answered yet')
    if (replayed === undefined) {
      if (!primary.hasNode(startedAt)) throw new ForeignServer()
      this.#set('all')
      return
    }
    if (!primary.isOfCluster(cluster)) throw new ForeignServer()
    this.#startedAt = startedAt
    const lag = primary.measureLag(replayed)
    this.#isCurrent = lag <= 2 * READ_SERVER_CHECK_MS
    // With a permitted staleness, no lookup asks the primary.
    this.#isSynchronous = staleness === 0 && name !== undefined && primary.isSynchronous(name)
    this.#set(this.#isSynchronous || isWithin(staleness, lag) ? 'all' : 'token')
  }

  /** Sends no lookups to the server until a check succeeds. */
  leaveOut(error: unknown): void {
    // Lookups that were in progress together fail together.
    if (this.#reads !== 'none') this.#leaveOut(error)
  }

  /** Closes the connections. */
  async end(): Promise<void> {
    this.#hasEnded = true
    const timeout = { timeout: POOL_CLOSE_TIMEOUT_SECONDS }
    await Promise.all([this.#options.pool.end(timeout), this.#options.probe.end(timeout)])
  }

  #leaveOut(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error)
    if (this.#reads !== 'none' && !this.#hasEnded)
      this.#options.log.warn({ server: this.name, reason }, 'read server left out')
    this.#reads = 'none'
    this.#nextCheck = performance.now() + this.#pause
    this.#pause = Math.min(2 * this.#pause, READ_SERVER_LONGEST_RETRY_MS)
  }

  #set(reads: Reads): void {
    if (this.#reads === reads) return
    this.#reads = reads
    this.#options.log.info({ server: this.name, reads }, 'read server serves')
  }
}

/** Whether a lag is permitted. A staleness of 0 permits none. */
function isWithin(staleness: number, lag: number): boolean {
  return staleness > 0 && lag <= staleness
}

/** The transaction ids in the tokens of lookups, each once. */
function listTransactions(lookups: readonly Requirement[]): string[] {
  const ids = new Set<string>()
  for (const { tokens } of lookups)
    for (const token of tokens) {
      const parsed = parseToken(token)
      if ('transaction' in parsed) ids.add(parsed.transaction)
    }
  return [...ids]
}

async function withinTimeout<T>(answer: Promise<T>): Promise<T> {
  const { promise: overdue, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => reject(new Error(`no answer within ${READ_SERVER_TIMEOUT_MS} ms`)),
    READ_SERVER_TIMEOUT_MS
  )
  try {
    return await Promise.race([answer, overdue])
  } finally {
    clearTimeout(timer)
  }
}
