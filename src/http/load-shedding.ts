import underPressure from '@fastify/under-pressure'
import fp from 'fastify-plugin'
import { overloaded } from './errors.ts'

declare module 'fastify' {
  interface FastifyInstance {
    load: Load
  }
  interface FastifyContextConfig {
    /** Requests that the route has in flight at the most, where it is not the common bound. */
    maxInFlight?: number
    load?: Load
  }
}

/** Requests that are being answered. */
export class Load {
  inFlight = 0
}

/**
 * Requests that a route has in flight at the most. What comes beyond is refused at once: waiting for longer than the
 * others would only make all of them late. Fewer would not help reads: a refusal costs the process more than half of
 * what a read does, and what is taken in together is read together, so that with fewer it does little but refuse.
 */
const MAX_IN_FLIGHT = 256
/** Milliseconds that the event loop may be late on average over an interval: beyond, there is no point in beginning anything. */
const MAX_EVENT_LOOP_DELAY_MS = 1_000
/** Milliseconds over which it is measured, and for which the outcome holds. */
const SAMPLE_INTERVAL_MS = 1_000

/** Counts the requests in flight, and refuses those that are too many: with 503, before anything is done for them. */
export const loadPlugin = fp(
  async (app) => {
    const total = new Load()
    app.decorate('load', total)

    app.addHook('onRoute', (route) => {
      if (!route.schema?.hide) route.config = { ...route.config, load: new Load() }
    })
    app.addHook('onRequest', (request, { raw }, done) => {
      const { load, maxInFlight = MAX_IN_FLIGHT } = request.routeOptions.config
      total.inFlight += 1
      if (load) load.inFlight += 1
      // Not onResponse, which never comes when the client has gone.
      raw.once('close', () => {
        total.inFlight -= 1
        if (load) load.inFlight -= 1
      })
      done(load && load.inFlight > maxInFlight ? overloaded : undefined)
    })

    // The start itself holds the event loop up, for seconds where the machine is busy: that is no load.
    let judgedFrom = Number.POSITIVE_INFINITY
    app.addHook('onListen', async () => {
      judgedFrom = performance.now() + 2 * SAMPLE_INTERVAL_MS
    })
    await app.register(underPressure, {
      maxEventLoopDelay: MAX_EVENT_LOOP_DELAY_MS,
      sampleInterval: SAMPLE_INTERVAL_MS,
      pressureHandler: async () => {
        if (performance.now() >= judgedFrom) throw overloaded
      }
    })
  },
  { name: 'load' }
)
