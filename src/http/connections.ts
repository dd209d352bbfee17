/** The connections of clients: how many there may be, and which of them are closed when there are too many. */
import { readFileSync } from 'node:fs'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import fp from 'fastify-plugin'
import { ConfigError } from '../config-error.ts'
import {
  ARRIVAL_TIMEOUT_MS,
  DEFAULT_OPEN_FILES,
  FILES_PER_CONNECTION,
  LAST_ANSWERS_TIMEOUT_MS,
  MAX_CONNECTIONS,
  MIN_CONNECTIONS,
  RESERVED_FILES
} from '../limits.ts'

declare module 'fastify' {
  interface FastifyInstance {
    connections: Connections
  }
}

/** The number of files that this process may have open. Linux alone says how many; Node.js has raised it to the hard limit. */
function readOpenFileLimit(): number {
  try {
    const limits = readFileSync('/proc/self/limits', 'utf8')
    const soft = /^Max open files +(\S+)/m.exec(limits)?.[1]
    return soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft ?? DEFAULT_OPEN_FILES)
  } catch {
    return DEFAULT_OPEN_FILES
  }
}

/**
 * The number of client connections for a limit of open files.
 *
 * @throws {ConfigError} if it is too low to serve.
 */
export function countConnections(openFiles: number): number {
  const connections = Math.min(
    MAX_CONNECTIONS,
    Math.floor((openFiles - RESERVED_FILES) / FILES_PER_CONNECTION)
  )
  if (connections >= MIN_CONNECTIONS) return connections
  const needed = RESERVED_FILES + MIN_CONNECTIONS * FILES_PER_CONNECTION
  throw new ConfigError(
    `The limit of open files is ${openFiles}, which is too low: raise it (ulimit -n) to ${needed} or more`
  )
}

/**
 * Bounds the connections. Without file descriptors, the service could neither reach its database nor accept a connection.
 *
 * When a new connection exceeds the limit, another one is closed that no request waits on: one without any request so far,
 * otherwise the one that has been idle for the longest time. So a client that connects and sends nothing cannot keep others
 * out. The new one is closed if all others are in use.
 */
export class Connections {
  readonly #limit: number
  readonly #onFull: () => void
  /** The connections, with their answers in flight. */
  readonly #open = new Map<Socket, Set<ServerResponse>>()
  /** Connections that are closed first, the oldest first. */
  readonly #expendable = new Set<Socket>()
  /** Connections that wait for their next request, those that have waited longest first. */
  readonly #idle = new Set<Socket>()
  readonly #closing = new WeakSet<Socket>()

  /** @param onFull is called when a connection is closed because of the limit. */
  constructor(server: Server, limit: number, onFull: () => void) {
    this.#limit = limit
    this.#onFull = onFull
    server.on('connection', (socket) => this.#accept(socket))
    // Before Fastify's listener, which may answer at once.
    server.prependListener('request', (request, response) => this.#serve(request, response))
  }

  /** The answers in flight on a connection, in the order of their requests. */
  answersOn(socket: Socket): ServerResponse[] {
    return [...(this.#open.get(socket) ?? [])]
  }

  /** Makes a connection one of those that are closed first, until its request has been answered. */
  makeExpendable(socket: Socket): void {
    if (this.#open.has(socket)) this.#expendable.add(socket)
  }

  /** Closes a connection that makes no progress for `milliseconds` until its answer has been sent. */
  limitStall(socket: Socket, milliseconds: number): void {
    // Then Node.js sets its own timeout, which is for idle connections.
    if (this.#open.has(socket)) socket.setTimeout(milliseconds)
  }

  /** Whether {@link close} has been called. */
  isClosing(socket: Socket): boolean {
    return this.#closing.has(socket)
  }

  /** Closes a connection when what was written has been sent. A client that does not close its side is not waited for. */
  close(socket: Socket): void {
    this.#closing.add(socket)
    socket.end()
    const timer = setTimeout(() => socket.destroy(), LAST_ANSWERS_TIMEOUT_MS)
    socket.once('close', () => clearTimeout(timer))
  }

  #accept(socket: Socket): void {
    if (this.#open.size >= this.#limit) {
      const [victim = socket] = this.#expendable.size > 0 ? this.#expendable : this.#idle
      this.#forget(victim)
      victim.resetAndDestroy()
      this.#onFull()
      if (victim === socket) return
    }
    this.#open.set(socket, new Set())
    this.#expendable.add(socket)
    socket.once('close', () => this.#forget(socket))
  }

  #forget(socket: Socket): void {
    this.#open.delete(socket)
    this.#expendable.delete(socket)
    this.#idle.delete(socket)
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request
    const answers = this.#open.get(socket)
    if (!answers) return
    answers.add(response)
    this.#expendable.delete(socket)
    this.#idle.delete(socket)
    // Not `finish`, which does not come if the client disconnects.
    response.once('close', () => {
      answers.delete(response)
      this.#expendable.delete(socket)
      if (answers.size > 0 || !this.#open.has(socket)) return
      this.#idle.add(socket)
      if (!request.complete) awaitRest(request)
    })
  }
}

/** Limits the time in which the rest of the body of a request arrives that has been answered. Nobody reads it. */
function awaitRest(request: IncomingMessage): void {
  const { socket } = request
  const timer = setTimeout(() => socket.destroy(), ARRIVAL_TIMEOUT_MS)
  const stop = () => {
    clearTimeout(timer)
    // The connection may serve many more requests.
    socket.off('close', stop)
  }
  request.once('end', stop).once('close', stop)
  socket.once('close', stop)
}

/** @throws {ConfigError} if the process may open too few files; see {@link countConnections}. */
export const connectionsPlugin = fp(
  async (app) => {
    const limit = countConnections(readOpenFileLimit())
    const warn = () => {
      if (!app.faultLog.isDue('CONNECTIONS')) return
      app.log.warn({ limit }, 'too many client connections: idle ones are closed')
    }
    app.decorate('connections', new Connections(app.server, limit, warn))
  },
  { name: 'connections' }
)
