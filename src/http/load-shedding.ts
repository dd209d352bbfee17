import type { IncomingMessage, ServerResponse } from 'node:http'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { FastifyBaseLogger, FastifyReply, onRequestHookHandler } from 'fastify'
import fp from 'fastify-plugin'
import findMyWay, { type HTTPMethod } from 'find-my-way'
import {
  EVENT_LOOP_INTERVAL_MS,
  MAX_EVENT_LOOP_DELAY_MS,
  MAX_IN_FLIGHT,
  REFUSAL_LOG_INTERVAL_MS
} from '../limits.ts'
import { takeRequestId } from '../telemetry/request-log.ts'
import { writeErrorBody } from './error-body.ts'
import { overloaded } from './errors.ts'
import { RefusalPause } from './refusal-pause.ts'

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
    /** Whether refusals wait for a second or more. For routes whose callers can wait and often send the next request at once. */
    pausesRefusals?: boolean
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

type RouteLimit = { url: string; load: Load; maxInFlight: number; pausesRefusals: boolean }

/** Creates the hook of a route that answers 503 to requests above its limit. */
function limitLoad({ load, maxInFlight }: RouteLimit): onRequestHookHandler {
  return (_request, reply, done) => {
    count(load, reply)
    done(load.inFlight > maxInFlight ? overloaded : undefined)
  }
}

/** Logs how many requests were refused, once per interval. */
class RefusalLog {
  readonly #log: FastifyBaseLogger
  #count = 0

  constructor(log: FastifyBaseLogger) {
    this.#log = log
  }

  add(): void {
    this.#count += 1
    if (this.#count > 1) return
    setTimeout(() => {
      this.#log.warn({ status: 503, code: 'OVERLOADED', count: this.#count }, 'excess requests refused')
      this.#count = 0
    }, REFUSAL_LOG_INTERVAL_MS).unref()
  }
}

const REFUSAL_HEADERS = {
  'retry-after': String(overloaded.retryAfter),
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff'
}

/**
 * Answers 503 in place of Fastify, without a log line. Fastify's routing, hooks, log and reply cost more than half of a read,
 * so that at twice its capacity the process would do little but refuse.
 */
function refuse(request: IncomingMessage, response: ServerResponse): void {
  const { type, text } = writeErrorBody(request.headers.accept, overloaded)
  const headers = { 'content-type': type, 'content-length': text.length, ...REFUSAL_HEADERS }
  response.writeHead(503, { ...headers, 'x-request-id': takeRequestId(request) }).end(text)
}

/** Counts the requests in flight, and answers 503 to those above the limit, before any work is done for them. */
export const loadPlugin = fp<{ maxParamLength: number }>(
  async (app, { maxParamLength }) => {
    const total = new Load()
    app.decorate('load', total)
    const delay = new EventLoopDelay()
    app.addHook('onListen', async () => delay.enforce())
    app.addHook('onClose', async () => delay.stop())

    const routes = findMyWay({ ignoreTrailingSlash: true, maxParamLength })
    // Registered before authentication, whose hook comes first: requests of strangers do not count.
    app.addHook('onRoute', (route) => {
      const { load, maxInFlight = MAX_IN_FLIGHT, pausesRefusals = false } = route.config ?? {}
      if (route.schema?.hide && !load) return
      const limit: RouteLimit = { url: route.url, load: load ?? new Load(), maxInFlight, pausesRefusals }
      route.onRequest = [limitLoad(limit), ...[route.onRequest ?? []].flat()]
      for (const method of [route.method].flat() as HTTPMethod[])
        if (!routes.hasRoute(method, route.url)) routes.on(method, route.url, () => {}, limit)
    })
    app.addHook('onRequest', (_request, reply, done) => {
      count(total, reply)
      done()
    })

    /** The limit that a request would exceed. */
    function findExceeded({ method, url }: IncomingMessage): RouteLimit | undefined {
      const limit: RouteLimit | undefined = routes.find(method as HTTPMethod, url ?? '')?.store
      if (!limit || limit.maxInFlight === Number.POSITIVE_INFINITY) return undefined
      return delay.isTooLong || limit.load.inFlight >= limit.maxInFlight ? limit : undefined
    }

    const refusals = new RefusalLog(app.log)
    const pause = new RefusalPause(app)
    const [serve] = app.server.listeners('request')
    app.server.removeAllListeners('request')
    app.server.on('request', (request, response) => {
      const exceeded = findExceeded(request)
      if (!exceeded) return serve?.call(app.server, request, response)
      refusals.add()
      app.metrics.observeRefusal(request.method ?? '', exceeded.url)
      if (exceeded.pausesRefusals) void pause.wait(request.socket).then(() => refuse(request, response))
      else refuse(request, response)
    })
  },
  // First of all, so that Fastify's is the only listener.
  { name: 'load' }
)
