import { setTimeout } from 'node:timers/promises'
import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyInstance {
    shutdown: Shutdown
  }
}

const POLL_MS = 20

/** How the process ends: readiness fails first, and the listener closes when the requests in flight are answered. */
class Shutdown {
  /** Whether the process has been told to end. */
  begun = false
  inFlight = 0

  /** Fails readiness, then waits until no request is in flight, `timeout` milliseconds at the most. */
  async begin(timeout: number): Promise<void> {
    this.begun = true
    const deadline = performance.now() + timeout
    while (this.inFlight > 0 && performance.now() < deadline) await setTimeout(POLL_MS)
  }
}

export const shutdownPlugin = fp(
  async (app) => {
    const shutdown = new Shutdown()
    app.decorate('shutdown', shutdown)
    app.addHook('onRequest', (_request, { raw }, done) => {
      shutdown.inFlight += 1
      // Not onResponse, which never comes when the client has gone.
      raw.once('close', () => {
        shutdown.inFlight -= 1
      })
      done()
    })

    // The server waits for connections that have sent nothing, or half a request, as browsers and probes open them.
    let closing: NodeJS.Timeout | undefined
    app.addHook('preClose', async () => {
      closing = setInterval(() => {
        if (shutdown.inFlight === 0) app.server.closeAllConnections()
      }, POLL_MS)
    })
    app.addHook('onClose', async () => clearInterval(closing))
  },
  { name: 'shutdown' }
)
