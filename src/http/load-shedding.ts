import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { FastifyReply, onRequestHookHandler } from 'fastify'
import fp from 'fastify-plugin'
import { EVENT_LOOP_INTERVAL_MS, MAX_EVENT_LOOP_DELAY_MS, MAX_IN_FLIGHT } from '../limits.ts'
import { overloaded } from './errors.ts'

declare module 'fastify' {
  interface FastifyInstance {
    load: Load
  }
  interface FastifyContextConfig {
    /**
     * The most requests that the route may have in flight. Default: MAX_IN_FLIGHT. A route without limit (Infinity) is also
     * served while the event loop is late.
     */
    maxInFlight?: number
    /** What the route's requests are counted by, if other routes share it. */
    load?: Load
  }
}

/** A count of requests in flight. */
export class Load {
  inFlight = 0
}

/** Nanoseconds in a millisecond. */
const MILLISECOND = 1e6
/** The interval in milliseconds at which the delay is sampled. It is part of each sample. */
const RESOLUTION_MS = 10

/**
 * Measures the mean delay of the event loop. @fastify/under-pressure does so too, but it also asks for the memory of the
 * process, which opens a file and throws if the process may open no more.
 */
class EventLoopDelay {
  readonly #histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  readonly #timer: NodeJS.Timeout
  /** Milliseconds, over the last interval. */
  #mean = 0
  /** The start blocks the event loop, for seconds on a busy machine. That is not load. */
  #enforcedFrom = Number.POSITIVE_INFINITY

  constructor() {
    this.#histogram.enable()
    this.#timer = setInterval(() => {
      // Without a sample, the event loop was blocked for the whole interval.
      const { count, mean } = this.#histogram
      this.#mean = count === 0 ? Number.POSITIVE_INFINITY : mean / MILLISECOND - RESOLUTION_MS
      this.#histogram.reset()
    }, EVENT_LOOP_INTERVAL_MS).unref()
  }

  get isTooLong(): boolean {
    return this.#mean > MAX_EVENT_LOOP_DELAY_MS && performance.now() >= this.#enforcedFrom
  }

  /** The service listens: from the second interval after this on, the delay counts. */
  enforce(): void {
    this.#enforcedFrom = performance.now() + 2 * EVENT_LOOP_INTERVAL_MS
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#histogram.disable()
  }
}

/** Counts a request until it has ended. Not by onResponse: it is not called if the client disconnects. */
function count(load: Load, reply: FastifyReply): void {
  load.inFlight += 1
  reply.raw.once('close', () => {
    load.inFlight -= 1
  })
}

/** Creates the hook of a route that answers 503 to requests above its limit. */
function limitLoad(load: Load, maxInFlight: number): onRequestHookHandler {
  return (_request, reply, done) => {
    count(load, reply)
    done(load.inFlight > maxInFlight ? overloaded : undefined)
  }
}

/** Counts the requests in flight, and answers 503 to those above the limit, before any work is done for them. */
export const loadPlugin = fp(
  async (app) => {
    const total = new Load()
    app.decorate('load', total)
    const delay = new EventLoopDelay()
    app.addHook('onListen', async () => delay.enforce())
    app.addHook('onClose', async () => delay.stop())

    // Registered before authentication, whose hook comes first: requests of strangers do not count.
    app.addHook('onRoute', (route) => {
      const { load, maxInFlight = MAX_IN_FLIGHT } = route.config ?? {}
      if (route.schema?.hide && !load) return
      route.onRequest = [limitLoad(load ?? new Load(), maxInFlight), ...[route.onRequest ?? []].flat()]
    })
    app.addHook('onRequest', (request, reply, done) => {
      count(total, reply)
      const isUnlimited = request.routeOptions.config.maxInFlight === Number.POSITIVE_INFINITY
      done(delay.isTooLong && !isUnlimited ? overloaded : undefined)
    })
  },
  { name: 'load' }
)
