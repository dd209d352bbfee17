import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import { READ_SERVER_FIRST_PAUSE_MS, READ_SERVER_TIMEOUT_MS, READ_SERVER_WAIT_MS } from '../limits.ts'
import type { Pool, Sql } from './pool.ts'
import type { ReadServer, Requirement } from './read-server.ts'
import { retryIdempotent } from './retry.ts'
import type { WriteToken } from './write-tokens.ts'

/** A server has not seen what a lookup must contain. */
export const BEHIND = Symbol('behind')

/** The label of DATABASE_URL in metrics. */
export const PRIMARY = 'primary'

type ReadServersOptions = {
  /** The pool of DATABASE_URL. */
  reads: Pool
  servers: readonly ReadServer[]
  /** Called before the first lookup. */
  start: () => void
  /** Called for each lookup, with the name of the server that has answered it. */
  countAnswer: (server: string) => void
}

/**
 * Sends lookups to the read servers: in turn, the least loaded one first. DATABASE_URL answers if there is none, or if
 * the chosen one has not seen what the lookup must contain.
 */
export class ReadServers {
  readonly servers: readonly ReadServer[]
  readonly #options: ReadServersOptions
  #turn = 0

  constructor(options: ReadServersOptions) {
    this.servers = options.servers
    this.#options = options
  }

  /** Runs one lookup, which may run twice, on the pool of DATABASE_URL or on another server. */
  read<T>(tokens: readonly WriteToken[], lookUp: (sql: Sql) => Promise<T>): Promise<T> {
    const requirement: Requirement = { tokens }
    return this.route(
      requirement,
      (server) => server.read([requirement], async (sql, sees) => (sees(requirement) ? lookUp(sql) : BEHIND)),
      () => retryIdempotent(() => lookUp(this.#options.reads))
    )
  }

  /**
   * Chooses who answers a lookup.
   *
   * @param requirement the same object for all attempts: servers add a position to it.
   * @param onServer resolves to {@link BEHIND} if the server has not seen what the lookup must contain.
   * @param onPrimary asks DATABASE_URL.
   */
  async route<T>(
    { tokens }: Requirement,
    onServer: (server: ReadServer) => Promise<T | typeof BEHIND>,
    onPrimary: () => Promise<T>
  ): Promise<T> {
    if (this.servers.length === 0) return onPrimary()
    const { start, countAnswer } = this.#options
    start()
    const deadline = performance.now() + READ_SERVER_TIMEOUT_MS
    for (let server = this.#choose(tokens); server; server = this.#choose(tokens)) {
      try {
        const answer = await ask(server, onServer)
        if (answer === BEHIND) break
        countAnswer(server.name)
        return answer
      } catch (error) {
        // The statement conflicted with what the standby was replaying.
        if (isConflict(error)) break
        server.leaveOut(error)
        if (performance.now() > deadline) break
      }
    }
    const answer = await onPrimary()
    countAnswer(PRIMARY)
    return answer
  }

  #choose(tokens: readonly WriteToken[]): ReadServer | undefined {
    const [chosen] = this.servers
      .filter((server) => server.accepts(tokens))
      .sort((a, b) => a.inFlight - b.inFlight || a.lastTurn - b.lastTurn)
    this.#turn += 1
    if (chosen) chosen.lastTurn = this.#turn
    return chosen
  }
}

/** Asks a server again for a moment while it is behind, if it replays writes as they come. */
async function ask<T>(
  server: ReadServer,
  onServer: (server: ReadServer) => Promise<T | typeof BEHIND>
): Promise<T | typeof BEHIND> {
  const deadline = performance.now() + READ_SERVER_WAIT_MS
  server.inFlight += 1
  try {
    for (let pause = READ_SERVER_FIRST_PAUSE_MS; ; pause *= 2) {
      const answer = await onServer(server)
      if (answer !== BEHIND || !server.isCurrent || performance.now() + pause > deadline) return answer
      await sleep(pause)
    }
  } finally {
    server.inFlight -= 1
  }
}

function isConflict(error: unknown): boolean {
  return error instanceof postgres.PostgresError && error.code.startsWith('40')
}
