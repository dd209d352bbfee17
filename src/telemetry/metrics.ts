import type { FastifyReply, FastifyRequest } from 'fastify'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { StatementObserver } from '../database/statements.ts'
import { finalStatus } from './request-log.ts'

declare module 'fastify' {
  interface FastifyInstance {
    metrics: Metrics
  }
}

/** How many jobs of a queue are unfinished, and the seconds since the oldest of them was ordered; 0 without any. */
export type QueueState = {
  queue: string
  queued: number
  running: number
  oldest_queued: number
  oldest_running: number
}

/** Seconds; from a read whose pages are in memory to the longest that a request may take. */
const REQUEST_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60]
/** Seconds; a statement on the hot paths is given up after 5 s, one over all users after ten minutes. */
const STATEMENT_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1, 5, 30, 600]
/** Seconds; a million rows take about 2 s. */
const REPORT_BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800]
/** Users; the last one is the most that a query asks for. */
const BATCH_BUCKETS = [1, 2, 5, 10, 20, 50, 100, 200, 500]

/** In place of the path where no route matches: paths that callers make up must not become label values. */
const UNKNOWN_ROUTE = 'unknown'

/** What is measured, for `GET /metrics`. Each app has its own, so that several may run in a process. */
export class Metrics {
  readonly #registry = new Registry()
  readonly #registers = [this.#registry]

  readonly #requests = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Time from a request’s head to the end of its answer. Status 499: broken off before that.',
    labelNames: ['method', 'route', 'status'],
    buckets: REQUEST_BUCKETS,
    registers: this.#registers
  })
  readonly #requestObservers = new Map<string, (seconds: number) => void>()

  /** Gauges are set when they are read: to set them at each statement would cost more than the rest of it. */
  readonly #pools = new Map<string, { statements: number; connections: number }>()
  readonly #statements: Gauge<'pool'> = new Gauge({
    name: 'user_segments_database_statements',
    help: 'Statements under way, those that wait for a connection among them.',
    labelNames: ['pool'],
    registers: this.#registers,
    collect: () => {
      for (const [pool, { statements }] of this.#pools) this.#statements.set({ pool }, statements)
    }
  })
  readonly #waitingStatements: Gauge<'pool'> = new Gauge({
    name: 'user_segments_database_statements_waiting',
    help: 'Statements that wait because each connection of their pool has one already.',
    labelNames: ['pool'],
    registers: this.#registers,
    collect: () => {
      for (const [pool, { statements, connections }] of this.#pools)
        this.#waitingStatements.set({ pool }, Math.max(0, statements - connections))
    }
  })
  readonly #connections = new Gauge({
    name: 'user_segments_database_connections_max',
    help: 'Connections that a pool opens at the most: as many statements run at once.',
    labelNames: ['pool'],
    registers: this.#registers
  })
  readonly #statementDuration = new Histogram({
    name: 'user_segments_database_statement_duration_seconds',
    help: 'Time from the order of a statement to its end, its wait for a connection included.',
    labelNames: ['pool'],
    buckets: STATEMENT_BUCKETS,
    registers: this.#registers
  })

  /** Users asked for by a query of the hot read. */
  readonly readBatchUsers = new Histogram({
    name: 'user_segments_read_batch_users',
    help: 'Users asked for by one query of the hot read.',
    buckets: BATCH_BUCKETS,
    registers: this.#registers
  })
  /** Seconds from the order of a report to its end; the outcome is `made` or `failed`. */
  readonly reportDuration = new Histogram({
    name: 'user_segments_report_duration_seconds',
    help: 'Time from the order of a report to its end.',
    labelNames: ['outcome'],
    buckets: REPORT_BUCKETS,
    registers: this.#registers
  })

  readonly #databaseUp = new Gauge({
    name: 'user_segments_database_up',
    help: 'Whether the database let this scrape in and answered it.',
    registers: this.#registers
  })
  readonly #queueJobs = new Gauge({
    name: 'user_segments_queue_jobs',
    help: 'Unfinished jobs in the database, those of all instances. Absent where it could not be asked.',
    labelNames: ['queue', 'status'],
    registers: this.#registers
  })
  readonly #oldestJobAge = new Gauge({
    name: 'user_segments_queue_oldest_job_age_seconds',
    help: 'Time since the oldest such job was ordered; 0 where there is none.',
    labelNames: ['queue', 'status'],
    registers: this.#registers
  })

  /** @param countLostLines how many lines of the log were lost so far. */
  constructor(countLostLines: () => number) {
    collectDefaultMetrics({ register: this.#registry })
    new Counter({
      name: 'user_segments_log_lines_lost_total',
      help: 'Lines of the log that were lost because their reader was too slow.',
      registers: this.#registers,
      collect() {
        this.reset()
        this.inc(countLostLines())
      }
    })
    // An increase from nothing to one is none to Prometheus.
    for (const outcome of ['made', 'failed']) this.reportDuration.zero({ outcome })
  }

  /** The media type of {@link render}. */
  get contentType(): string {
    return this.#registry.contentType
  }

  /** Everything that is measured, in Prometheus' text form. */
  render(): Promise<string> {
    return this.#registry.metrics()
  }

  /** Counts a request that has ended. */
  observeRequest(request: FastifyRequest, reply: FastifyReply): void {
    const { method } = request
    const route = request.routeOptions.url ?? UNKNOWN_ROUTE
    const status = String(finalStatus(reply))
    const key = `${method} ${status} ${route}`
    let observe = this.#requestObservers.get(key)
    if (!observe) {
      observe = this.#requests.labels({ method, route, status }).observe
      this.#requestObservers.set(key, observe)
    }
    observe(reply.elapsedTime / 1000)
  }

  /** Measures the statements of a pool of connections. */
  watchPool(pool: string, connections: number): StatementObserver {
    const load = { statements: 0, connections }
    this.#pools.set(pool, load)
    this.#connections.set({ pool }, connections)
    const { observe } = this.#statementDuration.labels({ pool })
    return () => {
      const begun = performance.now()
      load.statements += 1
      return () => {
        load.statements -= 1
        observe((performance.now() - begun) / 1000)
      }
    }
  }

  /** Takes over what the database has answered for this scrape; no queues where it couldn't. */
  setDatabase(up: boolean, queues: QueueState[]): void {
    this.#databaseUp.set(up ? 1 : 0)
    this.#queueJobs.reset()
    this.#oldestJobAge.reset()
    for (const { queue, queued, running, oldest_queued, oldest_running } of queues) {
      this.#queueJobs.set({ queue, status: 'queued' }, queued)
      this.#queueJobs.set({ queue, status: 'running' }, running)
      this.#oldestJobAge.set({ queue, status: 'queued' }, oldest_queued)
      this.#oldestJobAge.set({ queue, status: 'running' }, oldest_running)
    }
  }
}
