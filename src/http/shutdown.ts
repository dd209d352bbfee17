import { setTimeout as sleep } from 'node:timers/promises'
import fp from 'fastify-plugin'
import { LAST_ANSWERS_TIMEOUT_MS } from '../limits.ts'
import type { Load } from './load-shedding.ts'

declare module 'fastify' {
  interface FastifyInstance {
    shutdown: Shutdown
  }
}

const POLL_MS = 20

/**
 * Shuts the process down: readiness fails first, and the listener closes when the requests in flight have been answered or
 * given up.
 */
class Shutdown {
  readonly #load: Load
  readonly #drains = new AbortController()
  readonly #giveUp = new AbortController()
  /** Whether the shutdown has begun. */
  begun = false

  constructor(load: Load) {
    this.#load = load
  }

  /** Aborted when the wait for the requests in flight begins. Requests that wait for something to happen are answered now. */
  get draining(): AbortSignal {
    return this.#drains.signal
  }

  /** Aborted when requests are still in flight after the timeout, such as uploads, which may take an hour. */
  get gaveUp(): AbortSignal {
    return this.#giveUp.signal
  }

  /**
   * Fails readiness, and keeps serving for `delay` milliseconds, so that balancers notice. Then waits until no request is in
   * flight, for at most `timeout` milliseconds, and gives up the requests that are left.
   */
  async begin(delay: number, timeout: number): Promise<void> {
    this.begun = true
    await sleep(delay)
    this.#drains.abort()
    if (await this.#drain(timeout)) return
    this.#giveUp.abort()
    await this.#drain(LAST_ANSWERS_TIMEOUT_MS)
  }

  /** @returns whether no request is in flight. */
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

    // Prevents clients from sending the next request on a connection that is about to close.
    app.addHook('onRequest', (_request, reply, done) => {
      if (shutdown.begun) reply.header('connection', 'close')
      done()
    })

    // The server waits for connections without a whole request, as browsers and probes open them. This closes them.
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
