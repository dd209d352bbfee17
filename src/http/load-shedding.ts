import underPressure from '@fastify/under-pressure'
import fp from 'fastify-plugin'
import { EVENT_LOOP_INTERVAL_MS, MAX_EVENT_LOOP_DELAY_MS, MAX_IN_FLIGHT } from '../limits.ts'
import { overloaded } from './errors.ts'

declare module 'fastify' {
  interface FastifyInstance {
    load: Load
  }
  interface FastifyContextConfig {
    /** The most requests that the route may have in flight. Default: MAX_IN_FLIGHT. */
    maxInFlight?: number
    load?: Load
  }
}

/** A count of requests in flight. */
export class Load {
  inFlight = 0
}

/** Counts the requests in flight, and answers 503 to those above the limit, before any work is done for them. */
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
      // Not onResponse: it is not called if the client disconnects.
      raw.once('close', () => {
        total.inFlight -= 1
        if (load) load.inFlight -= 1
      })
      done(load && load.inFlight > maxInFlight ? overloaded : undefined)
    })

    // The start blocks the event loop, for seconds on a busy machine. That is not load.
    let enforcedFrom = Number.POSITIVE_INFINITY
    app.addHook('onListen', async () => {
      enforcedFrom = performance.now() + 2 * EVENT_LOOP_INTERVAL_MS
    })
    await app.register(underPressure, {
      maxEventLoopDelay: MAX_EVENT_LOOP_DELAY_MS,
      sampleInterval: EVENT_LOOP_INTERVAL_MS,
      pressureHandler: async () => {
        if (performance.now() >= enforcedFrom) throw overloaded
      }
    })
  },
  { name: 'load' }
)
