import { setTimeout as sleep } from 'node:timers/promises'
import fp from 'fastify-plugin'
import type { Load } from './load-shedding.ts'

declare module 'fastify' {
  interface FastifyInstance {
    shutdown: Shutdown
  }
}

const POLL_MS = 20
/** Milliseconds for the answers to requests that have been given up. */
const LAST_ANSWERS_TIMEOUT_MS = 1_000

/**
 * How the process ends: readiness fails first, and the listener closes when the requests in flight are answered, or have
 * been given up.
 */
class Shutdown {
  readonly #load: Load
  readonly #giveUp = new AbortController()
  /** Whether the process has been told to end. */
  begun = false

  constructor(load: Load) {
    this.#load = load
  }

  /** Aborted when requests that are still in flight have had their time, as those may that go on for an hour. */
  get gaveUp(): AbortSignal {
    return this.#giveUp.signal
  }

  /**
   * Fails readiness; then goes on for `delay` milliseconds, in which balancers learn of it, and until no request is in
   * flight, `timeout` milliseconds more at the most. Then it gives up those that are left.
   */
  async begin(delay: number, timeout: number): Promise<void> {
    this.begun = true
    await sleep(delay)
    if (await this.#drain(timeout)) return
    this.#giveUp.abort()
    await this.#drain(LAST_ANSWERS_TIMEOUT_MS)
  }

  /** @returns whether no request is in flight any more. */
  async #drain(timeout: number): Promise<boolean> {
    const deadline = performance.now() + timeout
    while (this.#load.inFlight > 0) {
      if (performance.now() > deadline) return false
      await sleep(POLL_MS)
    }
    return true
  }
}

export const shutdownPlugin = fp(
  async (app) => {
    const shutdown = new Shutdown(app.load)
    app.decorate('shutdown', shutdown)

    // So that no client sends its next request on a connection that is about to close.
    app.addHook('onRequest', (_request, reply, done) => {
      if (shutdown.begun) reply.header('connection', 'close')
      done()
    })

    // The server waits for connections that have sent nothing, or half a request, as browsers and probes open them.
    let closing: NodeJS.Timeout | undefined
    app.addHook('preClose', async () => {
      closing = setInterval(() => {
        if (app.load.inFlight === 0 || shutdown.gaveUp.aborted) app.server.closeAllConnections()
      }, POLL_MS)
    })
    app.addHook('onClose', async () => clearInterval(closing))
  },
  { name: 'shutdown', dependencies: ['load'] }
)
