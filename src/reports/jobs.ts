import { access, constants, mkdir } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { FastifyBaseLogger } from 'fastify'
import fp from 'fastify-plugin'
import type { UserId } from '../../schemas/common.ts'
import { ConfigError } from '../config.ts'
import { BackgroundJob } from '../database/background-job.ts'
import type { Sql } from '../database/connect.ts'
import { retryIdempotent } from '../database/retry.ts'
import { reportExpired, reportFailed, reportNotFound, reportPending, tooManyReports } from '../http/errors.ts'
import {
  DRAIN_TIMEOUT_MS,
  LEFTOVER_AGE_MS,
  MAX_REPORT_THREADS,
  MAX_UNFINISHED_REPORTS,
  REPORT_POLL_MS,
  REPORT_SWEEP_MS
} from '../limits.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { hideUserIds } from '../telemetry/request-log.ts'
import { ReportGenerator } from './generator.ts'
import { deleteReportsOf, expireReports, selectUnknownTokens } from './job-queries.ts'
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
  /** Seconds after which another instance may take over a report whose attempt has not renewed its lease. */
  lease: number
}

/** Files that one query checks for being orphaned. */
const LEFTOVER_BATCH = 1_000

/**
 * Orders, generates, serves and removes reports. The state is in the database and the files are in the shared storage,
 * so any instance can generate and serve a report that was ordered from another one.
 */
export class ReportJobs {
  readonly #pools: { reads: Sql; writes: Sql }
  readonly #timeToLive: number
  readonly #storage: ReportStorage
  readonly #log: FastifyBaseLogger
  readonly #generator: ReportGenerator
  readonly #jobs: BackgroundJob[]
  readonly #sweeper: BackgroundJob

  constructor(
    pools: { reads: Sql; writes: Sql },
    log: FastifyBaseLogger,
    durations: Metrics['reportDuration'],
    { databaseUrl, directory, timeToLive, lease }: ReportJobsOptions
  ) {
    this.#pools = pools
    this.#timeToLive = timeToLive
    this.#log = log
    this.#storage = new FileReportStorage(directory)
    const storage = this.#storage
    const generator = new ReportGenerator({
      sql: pools.writes,
      databaseUrl,
      storage,
      directory,
      timeToLive,
      lease,
      durations,
      log
    })
    this.#generator = generator
    // A report of all users takes minutes. Only the first job generates such reports; the others stay free for reports
    // of one user.
    this.#jobs = Array.from(
      { length: MAX_REPORT_THREADS },
      (_, index) =>
        new BackgroundJob({
          name: 'reports',
          share: 1,
          poll: REPORT_POLL_MS,
          step: () => generator.generateNext(index > 0),
          log
        })
    )
    this.#sweeper = new BackgroundJob({
      name: 'expired reports',
      share: 1,
      poll: REPORT_SWEEP_MS,
      step: () => this.sweep(),
      log
    })
  }

  /** Starts generating queued reports and removing expired ones. */
  start(): void {
    for (const job of [...this.#jobs, this.#sweeper]) job.start()
  }

  /**
   * Orders a report. Its link then serves nothing older than this order.
   *
   * @throws {ApiError} TOO_MANY_REPORTS if {@link MAX_UNFINISHED_REPORTS} are unfinished.
   */
  async order(request: ReportRequest, requestId: string): Promise<void> {
    const order = (lost: ReportToken) =>
      retryIdempotent(() =>
        orderReport(this.#pools.writes, request, { requestId, lost, capacity: MAX_UNFINISHED_REPORTS })
      )
    let ordered = await order(null)
    if (ordered?.token && !(await this.#storage.has(storedName(reportFilename(request), ordered.token))))
      ordered = await order(ordered.token)
    if (!ordered) throw tooManyReports()
    if (ordered.token === null) for (const job of this.#jobs) job.wake()
  }

  /**
   * Reads the status of a report.
   *
   * @throws {ApiError} REPORT_NOT_FOUND or REPORT_EXPIRED.
   */
  async find(
    filename: string
  ): Promise<OrderedReport & { status: Exclude<OrderedReport['status'], 'expired'> }> {
    const report = await retryIdempotent(() => selectReport(this.#pools.reads, filename))
    if (!report) throw reportNotFound(filename)
    const { status, ...rest } = report
    if (status === 'expired') throw reportExpired(filename)
    return { status, ...rest }
  }

  /**
   * Opens a finished report. The caller must read or destroy its content.
   *
   * @throws {ApiError} REPORT_PENDING, REPORT_FAILED, REPORT_NOT_FOUND or REPORT_EXPIRED.
   */
  async read(filename: string): Promise<StoredReport> {
    const { status, token } = await this.find(filename)
    if (status === 'failed') throw reportFailed(filename)
    if (status !== 'ready' || token === null) throw reportPending(filename)
    const stored = await this.#storage.read(storedName(filename, token))
    if (stored) return stored
    this.#log.error({ report: hideUserIds(filename), token }, 'the file of a finished report is lost')
    throw reportNotFound(filename)
  }

  /** Removes expired reports and the files of aborted attempts. Returns whether there may be more. */
  async sweep(): Promise<boolean> {
    const expired = await expireReports(this.#pools.writes, this.#timeToLive)
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

  /**
   * Erases the reports that may contain a user.
   *
   * @param erase erases the user's rows. It calls its argument in its transaction.
   * @returns what `erase` returns.
   */
  async eraseReportsOf(
    userId: UserId,
    erase: (deleteReports: (sql: Sql) => Promise<void>) => Promise<boolean>
  ): Promise<boolean> {
    let deleted: { filename: string; token: string }[] = []
    const isErased = await erase(async (sql) => {
      deleted = await deleteReportsOf(sql, userId)
    })
    // After the transaction: nobody can find these files any more. If the process crashes here, the sweep removes them.
    for (const { filename, token } of deleted) await this.#storage.remove(storedName(filename, token))
    return isErased
  }

  /** Waits up to `timeout` milliseconds for the reports in progress, then returns unfinished ones to the queue. */
  async close(timeout: number): Promise<void> {
    const overdue = setTimeout(() => this.#generator.returnToQueue(), timeout)
    await Promise.all([...this.#jobs, this.#sweeper].map((job) => job.stop()))
    clearTimeout(overdue)
    await this.#generator.close()
  }

  /** Removes the files whose tokens the database does not know. @param names file names by token; emptied. */
  async #removeUnknown(names: Map<string, string>): Promise<void> {
    const unknown = await selectUnknownTokens(this.#pools.reads, [...names.keys()])
    for (const token of unknown) await this.#storage.remove(names.get(token) ?? '')
    if (unknown.length > 0) this.#log.info({ files: unknown.length }, 'leftovers of reports removed')
    names.clear()
  }
}

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
    // The jobs start with `listen`, not before: generating the documentation needs an app without a database.
    app.addHook('onListen', async () => reportJobs.start())
    app.addHook('onClose', () => reportJobs.close(DRAIN_TIMEOUT_MS))
  },
  { name: 'report-jobs', dependencies: ['database'] }
)
