import { access, constants, mkdir } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { FastifyBaseLogger } from 'fastify'
import fp from 'fastify-plugin'
import { ConfigError } from '../config.ts'
import { BackgroundJob } from '../database/background-job.ts'
import type { Sql } from '../database/connect.ts'
import { retryIdempotent } from '../database/faults.ts'
import { reportExpired, reportFailed, reportNotFound, reportPending, tooManyReports } from '../http/errors.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { expireReports, selectUnknownTokens } from './job-queries.ts'
import { MAX_THREADS, ReportMaker } from './maker.ts'
import {
  type OrderedReport,
  orderReport,
  type ReportRequest,
  type ReportToken,
  reportFilename,
  selectReport
} from './queries.ts'
import {
  FileReportStorage,
  type ReportStorage,
  type StoredReport,
  storedName,
  tokenInName
} from './storage.ts'

declare module 'fastify' {
  interface FastifyInstance {
    reportJobs: ReportJobs
  }
}

type ReportJobsOptions = {
  databaseUrl: string
  directory: string
  /** Seconds for which a report is kept. */
  timeToLive: number
  /** Seconds for which a report stays with an instance that gives no sign of life. */
  lease: number
}

/** Reports that are waited for, of all instances. */
const MAX_UNFINISHED = 1_000
/** Milliseconds after which an instance looks for reports that were ordered from another. */
const POLL_MS = 1_000
/** Milliseconds between two clean-ups. */
const SWEEP_MS = 60_000
/** What nobody knows is removed when it is so many milliseconds old. */
const LEFTOVER_AGE_MS = 600_000
/** Leftovers that are asked for at once. */
const LEFTOVER_BATCH = 1_000

/**
 * Reports from their order to their removal. All state is in the database, and what is made in the storage: any
 * instance makes, and serves, what was ordered from any other.
 */
export class ReportJobs {
  readonly #pools: { sql: Sql; writeSql: Sql }
  readonly #timeToLive: number
  readonly #storage: ReportStorage
  readonly #log: FastifyBaseLogger
  readonly #maker: ReportMaker
  readonly #makers: BackgroundJob[]
  readonly #sweeper: BackgroundJob

  constructor(
    pools: { sql: Sql; writeSql: Sql },
    log: FastifyBaseLogger,
    durations: Metrics['reportDuration'],
    { databaseUrl, directory, timeToLive, lease }: ReportJobsOptions
  ) {
    this.#pools = pools
    this.#timeToLive = timeToLive
    this.#log = log
    this.#storage = new FileReportStorage(directory)
    const storage = this.#storage
    const maker = new ReportMaker({
      sql: pools.writeSql,
      databaseUrl,
      storage,
      directory,
      timeToLive,
      lease,
      durations,
      log
    })
    this.#maker = maker
    // Reports of all users take minutes: one at a time, so that a user's report never waits for two of them.
    this.#makers = Array.from(
      { length: MAX_THREADS },
      (_, index) =>
        new BackgroundJob({
          name: 'reports',
          share: 1,
          poll: POLL_MS,
          step: () => maker.makeNext(index > 0),
          log
        })
    )
    this.#sweeper = new BackgroundJob({
      name: 'expired reports',
      share: 1,
      poll: SWEEP_MS,
      step: () => this.sweep(),
      log
    })
  }

  /** Begins to make what is queued, and to remove what has lived its time. */
  start(): void {
    for (const job of [...this.#makers, this.#sweeper]) job.start()
  }

  /**
   * Sees to it that the report is made, and that its link answers with nothing older than this order.
   *
   * @throws {ApiError} TOO_MANY_REPORTS where as many as may be are unfinished.
   */
  async order(request: ReportRequest, requestId: string): Promise<void> {
    const order = (lost: ReportToken) =>
      retryIdempotent(() =>
        orderReport(this.#pools.writeSql, request, { requestId, lost, capacity: MAX_UNFINISHED })
      )
    let ordered = await order(null)
    if (ordered?.token && !(await this.#storage.has(storedName(reportFilename(request), ordered.token))))
      ordered = await order(ordered.token)
    if (!ordered) throw tooManyReports()
    if (ordered.token === null) for (const maker of this.#makers) maker.wake()
  }

  /**
   * How far a report is.
   *
   * @throws {ApiError} REPORT_NOT_FOUND or REPORT_EXPIRED.
   */
  async find(
    filename: string
  ): Promise<OrderedReport & { status: Exclude<OrderedReport['status'], 'expired'> }> {
    const report = await retryIdempotent(() => selectReport(this.#pools.sql, filename))
    if (!report) throw reportNotFound(filename)
    const { status, ...rest } = report
    if (status === 'expired') throw reportExpired(filename)
    return { status, ...rest }
  }

  /**
   * A finished report. The caller reads or destroys its content.
   *
   * @throws {ApiError} REPORT_PENDING, REPORT_FAILED, REPORT_NOT_FOUND or REPORT_EXPIRED.
   */
  async read(filename: string): Promise<StoredReport> {
    const { status, token } = await this.find(filename)
    if (status === 'failed') throw reportFailed(filename)
    if (status !== 'ready' || token === null) throw reportPending(filename)
    const stored = await this.#storage.read(storedName(filename, token))
    if (stored) return stored
    this.#log.error({ report: filename, token }, 'the file of a finished report is lost')
    throw reportNotFound(filename)
  }

  /** Removes what has lived its time, and what broken-off attempts have left. Returns whether there may be more. */
  async sweep(): Promise<boolean> {
    const expired = await expireReports(this.#pools.writeSql, this.#timeToLive)
    for (const { filename, token } of expired) await this.#storage.remove(storedName(filename, token))

    const names = new Map<string, string>()
    for await (const name of this.#storage.listOlderThan(Date.now() - LEFTOVER_AGE_MS)) {
      const token = tokenInName(name)
      if (token) names.set(token, name)
      if (names.size >= LEFTOVER_BATCH) await this.#removeUnknown(names)
    }
    await this.#removeUnknown(names)
    return expired.length > 0
  }

  /** Waits for the reports in hand, `timeout` milliseconds at the most, and hands back those that are unfinished. */
  async close(timeout: number): Promise<void> {
    const overdue = setTimeout(() => this.#maker.handBack(), timeout)
    await Promise.all([...this.#makers, this.#sweeper].map((job) => job.stop()))
    clearTimeout(overdue)
    await this.#maker.close()
  }

  /** Removes those of the stored reports, by their tokens, that the database doesn't know. */
  async #removeUnknown(names: Map<string, string>): Promise<void> {
    const unknown = await selectUnknownTokens(this.#pools.sql, [...names.keys()])
    for (const token of unknown) await this.#storage.remove(names.get(token) ?? '')
    if (unknown.length > 0) this.#log.info({ files: unknown.length }, 'leftovers of reports removed')
    names.clear()
  }
}

/** Milliseconds that reports in progress have to finish in when the service shuts down. */
const CLOSE_TIMEOUT_MS = 20_000

export const reportJobsPlugin = fp<ReportJobsOptions>(
  async (app, options) => {
    const directory = resolve(options.directory)
    try {
      await mkdir(directory, { recursive: true })
      await access(directory, constants.R_OK | constants.W_OK | constants.X_OK)
    } catch (error) {
      throw new ConfigError('REPORTS_DIR is not valid: it must be a folder that can be written to', {
        cause: error
      })
    }
    const reportJobs = new ReportJobs(app, app.log, app.metrics.reportDuration, { ...options, directory })
    app.decorate('reportJobs', reportJobs)
    // Not before: an app that only answers for its documentation needs no database.
    app.addHook('onListen', async () => reportJobs.start())
    app.addHook('onClose', () => reportJobs.close(CLOSE_TIMEOUT_MS))
  },
  { name: 'report-jobs', dependencies: ['database'] }
)
