import type { FastifyReply, FastifyRequest } from 'fastify'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { StatementObserver } from '../database/pool.ts'
import { finalStatus } from './request-log.ts'

declare module 'fastify' {
  interface FastifyInstance {
    metrics: Metrics
  }
}

/** The number of unfinished jobs of a queue, and the seconds since the oldest of them was ordered; 0 without jobs. */
export type QueueState = {
  queue: string
  queued: number
  running: number
  oldest_queued: number
  oldest_running: number
}

/** A webhook, and how many seconds its deliveries are behind. The reason is null while it is active. */
export type WebhookState = { id: string; state: string; pause_reason: string | null; lag_seconds: number }

/** Seconds, from a membership lookup whose pages are in memory to the longest that a request may take. */
const REQUEST_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60]
/** Seconds. A statement about a few users times out after 5 s, one about all users after ten minutes. */
const STATEMENT_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1, 5, 30, 600]
/** Seconds. A million rows take about 2 s. */
const REPORT_BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800]
/** Seconds. A delivery takes 15 s at most. */
const DELIVERY_BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15]
/** Users. The last bucket is the largest number of users in a query. */
const BATCH_BUCKETS = [1, 2, 5, 10, 20, 50, 100, 200, 500]

/** The label if no route matches: paths that callers invent must not become label values. */
const UNKNOWN_ROUTE = 'unknown'

/** The metrics of `GET /metrics`. Each app has its own instance, so that several apps can run in one process. */
export class Metrics {
  readonly #registry = new Registry()
  readonly #registers = [this.#registry]

  readonly #requests = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Time from the head of a request to the end of its answer. Status 499: the request was aborted.',
    labelNames: ['method', 'route', 'status'],
    buckets: REQUEST_BUCKETS,
    registers: this.#registers
  })
  readonly #requestObservers = new Map<string, (seconds: number) => void>()

  /** The gauges are set when they are scraped: setting them for each statement would cost more than its other metrics. */
  readonly #pools = new Map<string, { statements: number; connections: number }>()
  readonly #statements: Gauge<'pool'> = new Gauge({
    name: 'user_segments_database_statements',
    help: 'Statements in progress, including those that wait for a connection.',
    labelNames: ['pool'],
    registers: this.#registers,
    collect: () => {
      for (const [pool, { statements }] of this.#pools) this.#statements.set({ pool }, statements)
    }
  })
  readonly #waitingStatements: Gauge<'pool'> = new Gauge({
    name: 'user_segments_database_statements_waiting',
    help: 'Statements that wait because all connections of their pool are in use.',
    labelNames: ['pool'],
    registers: this.#registers,
    collect: () => {
      for (const [pool, { statements, connections }] of this.#pools)
        this.#waitingStatements.set({ pool }, Math.max(0, statements - connections))
    }
  })
  readonly #connections = new Gauge({
    name: 'user_segments_database_connections_max',
    help: 'Size of the pool: the most connections it opens, and the most statements that run at once.',
    labelNames: ['pool'],
    registers: this.#registers
  })
  readonly #statementDuration = new Histogram({
    name: 'user_segments_database_statement_duration_seconds',
    help: 'Time from the request of a statement to its result, including its wait for a connection.',
    labelNames: ['pool'],
    buckets: STATEMENT_BUCKETS,
    registers: this.#registers
  })

  readonly readBatchUsers = new Histogram({
    name: 'user_segments_read_batch_users',
    help: 'Users in one query of the membership lookup.',
    buckets: BATCH_BUCKETS,
    registers: this.#registers
  })
  readonly membershipReads = new Counter({
    name: 'user_segments_membership_reads_total',
    help: 'Lookups of memberships, and of segments for OpenFeature, by the server that answered. Only with read servers.',
    labelNames: ['server'],
    registers: this.#registers
  })
  #readServers: readonly { name: string; isServing: boolean }[] = []
  readonly #readServerUp: Gauge<'server'> = new Gauge({
    name: 'user_segments_read_server_up',
    help: '1 if membership lookups may go to the server, 0 if it is left out.',
    labelNames: ['server'],
    registers: this.#registers,
    collect: () => {
      for (const { name, isServing } of this.#readServers)
        this.#readServerUp.set({ server: name }, isServing ? 1 : 0)
    }
  })
  /** In seconds. The outcome is `made` or `failed`. */
  readonly reportDuration = new Histogram({
    name: 'user_segments_report_duration_seconds',
    help: 'Time from the order of a report to its end.',
    labelNames: ['outcome'],
    buckets: REPORT_BUCKETS,
    registers: this.#registers
  })

  /** In seconds. The outcome is `delivered` or `failed`. */
  readonly webhookDeliveryDuration = new Histogram({
    name: 'user_segments_webhook_delivery_duration_seconds',
    help: 'Time of a delivery to a webhook.',
    labelNames: ['outcome'],
    buckets: DELIVERY_BUCKETS,
    registers: this.#registers
  })

  readonly #databaseUp = new Gauge({
    name: 'user_segments_database_up',
    help: '1 if the database accepted the connection of this scrape and answered, otherwise 0.',
    registers: this.#registers
  })
  readonly #queueJobs = new Gauge({
    name: 'user_segments_queue_jobs',
    help: 'Unfinished jobs of all instances. Absent if the database did not answer.',
    labelNames: ['queue', 'status'],
    registers: this.#registers
  })
  readonly #oldestJobAge = new Gauge({
    name: 'user_segments_queue_oldest_job_age_seconds',
    help: 'Time since the oldest of these jobs was ordered; 0 if there are none.',
    labelNames: ['queue', 'status'],
    registers: this.#registers
  })

  readonly #webhooks = new Gauge({
    name: 'user_segments_webhooks',
    help: 'Webhooks, by their state and the reason of their pause. Absent if the database did not answer.',
    labelNames: ['state', 'reason'],
    registers: this.#registers
  })
  readonly #webhookLag = new Gauge({
    name: 'user_segments_webhook_lag_seconds',
    help: 'Age of the oldest change that is not delivered to an active webhook; 0 if there is none.',
    labelNames: ['webhook'],
    registers: this.#registers
  })

  /** @param countLostLines returns the number of log lines lost so far. */
  constructor(countLostLines: () => number) {
    collectDefaultMetrics({ register: this.#registry })
    new Counter({
      name: 'user_segments_log_lines_lost_total',
      help: 'Log lines that were lost because their reader was too slow.',
      registers: this.#registers,
      collect() {
        this.reset()
        this.inc(countLostLines())
      }
    })
    // Prometheus does not count the first sample of a series as an increase, so each series starts at 0.
    for (const outcome of ['made', 'failed']) this.reportDuration.zero({ outcome })
    for (const outcome of ['delivered', 'failed']) this.webhookDeliveryDuration.zero({ outcome })
  }

  /** The media type of {@link render}. */
  get contentType(): string {
    return this.#registry.contentType
  }

  /** All metrics in the text format of Prometheus. */
  render(): Promise<string> {
    return this.#registry.metrics()
  }

  /** Records the duration of a request that has ended. */
  observeRequest({ method, routeOptions }: FastifyRequest, reply: FastifyReply): void {
    this.#observe(method, routeOptions.url ?? UNKNOWN_ROUTE, finalStatus(reply), reply.elapsedTime / 1000)
  }

  /** Records a request that was refused at once. */
  observeRefusal(method: string, route: string): void {
    this.#observe(method, route, 503, 0)
  }

  #observe(method: string, route: string, status: number, seconds: number): void {
    const key = `${method} ${status} ${route}`
    let observe = this.#requestObservers.get(key)
    if (!observe) {
      observe = this.#requests.labels({ method, route, status: String(status) }).observe
      this.#requestObservers.set(key, observe)
    }
    observe(seconds)
  }

  /** Returns an observer that measures the statements of a pool. */
  watchPool(pool: string, connections: number): StatementObserver {
    const load = { statements: 0, connections }
    this.#pools.set(pool, load)
    this.#connections.set({ pool }, connections)
    const { observe } = this.#statementDuration.labels({ pool })
    return () => {
      const start = performance.now()
      load.statements += 1
      return () => {
        load.statements -= 1
        observe((performance.now() - start) / 1000)
      }
    }
  }

  /** Shows the state of the read servers. */
  watchReadServers(servers: readonly { name: string; isServing: boolean }[]): void {
    this.#readServers = servers
  }

  /** Sets what the database answered for this scrape. `queues` and `webhooks` are empty if it did not answer. */
  setDatabase(up: boolean, queues: QueueState[], webhooks: WebhookState[]): void {
    this.#databaseUp.set(up ? 1 : 0)
    this.#webhooks.reset()
    this.#webhookLag.reset()
    for (const { id, state, pause_reason, lag_seconds } of webhooks) {
      this.#webhooks.inc({ state, reason: pause_reason ?? '' })
      if (state === 'active') this.#webhookLag.set({ webhook: id }, lag_seconds)
    }
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
