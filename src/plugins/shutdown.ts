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
    app.addHook('onRequest', (_request, _reply, done) => {
      shutdown.inFlight += 1
      done()
    })
    app.addHook('onResponse', (_request, _reply, done) => {
      shutdown.inFlight -= 1
      done()
    })
  },
  { name: 'shutdown' }
)
