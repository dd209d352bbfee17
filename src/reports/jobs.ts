import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import fp from 'fastify-plugin'
import type { UserId } from '../../schemas/common.ts'
import { ConfigError } from '../config-error.ts'
import { BackgroundJob } from '../database/background-job.ts'
import type { Pool, Sql, Transaction } from '../database/connect.ts'
import { retryIdempotent } from '../database/retry.ts'
import {
  reportExpired,
  reportFailed,
  reportNotFound,
  reportPending,
  reportQuotaExceeded,
  tooManyReports
} from '../http/errors.ts'
import {
  DRAIN_TIMEOUT_MS,
  LAST_ANSWERS_TIMEOUT_MS,
  LEFTOVER_AGE_MS,
  MAX_REPORT_THREADS,
  MAX_UNFINISHED_REPORTS_OF_KEY,
  REPORT_POLL_MS,
  REPORT_SWEEP_MS
} from '../limits.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { hideUserIds } from '../telemetry/request-log.ts'
import { ReportGenerator } from './generator.ts'
import { expireReports, selectUnknownTokens } from './job-queries.ts'
import { openStorage } from './open-storage.ts'
import {
  type AttemptFile,
  cancelOrder,
  deleteReportsOf,
  type Edition,
  orderReport,
  type PlacedOrder,
  type ReportLink,
  type ReportOrder,
  selectEdition
} from './order-queries.ts'
import { type ReportRequest, reportFilename } from './queries.ts'
import {
  type ByteRange,
  type ReportStorage,
  type StorageLocation,
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
  location: StorageLocation
  /** Whether clients download finished reports straight from the storage. */
  redirect: boolean
  /** Seconds for which a report is kept. */
  timeToLive: number
  /** Seconds after which another instance may take over a report whose attempt has not renewed its lease. */
  lease: number
}

/** Whether the work ends within this number of milliseconds. */
async function endsWithin(work: Promise<unknown>, milliseconds: number): Promise<boolean> {
  const waiting = new AbortController()
  const overdue = sleep(milliseconds, false, { signal: waiting.signal })
  try {
    return await Promise.race([work.then(() => true), overdue])
  } finally {
    waiting.abort()
    overdue.catch(() => {})
  }
}

/** Files that one query checks for being orphaned. */
const LEFTOVER_BATCH = 1_000

/** A transaction has ordered a finished report whose file may be missing. */
class UncheckedFile extends Error {
  readonly token: string

  constructor(token: string) {
    super('the file of the report has not been checked')
    this.token = token
  }
}

/**
 * Orders, generates, serves and removes reports. The state is in the database and the files are in the shared storage,
 * so any instance can generate and serve a report that was ordered from another one.
 */
export class ReportJobs {
  readonly #pools: { reads: Sql; writes: Pool }
  readonly #timeToLive: number
  readonly #storage: ReportStorage
  readonly #redirect: boolean
  readonly #log: FastifyBaseLogger
  readonly #generator: ReportGenerator
  readonly #jobs: BackgroundJob[]
  readonly #sweeper: BackgroundJob
  #closed: Promise<boolean> | undefined

  /** @param storage the storage at the location of the options. */
  constructor(
    pools: { reads: Sql; writes: Pool },
    log: FastifyBaseLogger,
    durations: Metrics['reportDuration'],
    storage: ReportStorage,
    { databaseUrl, location, redirect, timeToLive, lease }: ReportJobsOptions
  ) {
    this.#pools = pools
    this.#timeToLive = timeToLive
    this.#log = log
    this.#storage = storage
    this.#redirect = redirect
    const generator = new ReportGenerator({
      sql: pools.writes,
      databaseUrl,
      storage,
      location,
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
    this.#generator.startThreads()
    for (const job of [...this.#jobs, this.#sweeper]) job.start()
  }

  /**
   * Orders a report. The order shares an edition that is queued or final, or queues the next one.
   *
   * @param orderer the name of the API key; empty if the service runs without keys.
   * @param write calls its argument, which places the order, on a pool or in a transaction. It may be called again.
   * @returns what `write` returns.
   * @throws {ApiError} TOO_MANY_REPORTS, REPORT_QUOTA_EXCEEDED or STORAGE_UNAVAILABLE.
   */
  async order<T>(
    request: ReportRequest,
    requestId: string,
    orderer: string,
    write: (place: (db: Pool | Transaction) => Promise<PlacedOrder>) => Promise<T>
  ): Promise<T> {
    let checked: ReportOrder['lost'] = null
    let lost: ReportOrder['lost'] = null
    const check = async (token: string) => {
      checked = token
      lost = (await this.#storage.has(storedName(reportFilename(request), token))) ? null : token
    }
    const place = async (db: Pool | Transaction): Promise<PlacedOrder> => {
      const placed = await orderReport(db, { request, requestId, orderer, lost })
      if (placed === 'all reports') throw tooManyReports()
      if (placed === 'reports of the key')
        throw reportQuotaExceeded(orderer, `${MAX_UNFINISHED_REPORTS_OF_KEY} unfinished reports`)
      if (placed === 'bytes of the key') throw reportQuotaExceeded(orderer, '4 GiB of reports')
      const { status, token } = placed
      if (status === 'queued') for (const job of this.#jobs) job.wake()
      if (status !== 'ready' || token === null || token === checked) return placed
      // A transaction must not wait for the storage. It is rolled back, and begins again after the check.
      if (db.isTransaction) throw new UncheckedFile(token)
      await check(token)
      return lost === null ? placed : place(db)
    }
    for (;;) {
      try {
        return await write(place)
      } catch (error) {
        if (!(error instanceof UncheckedFile)) throw error
        await check(error.token)
      }
    }
  }

  /**
   * Finds the edition of a report that a link serves.
   *
   * @param series the series that the link opens; undefined for any.
   * @throws {ApiError} REPORT_NOT_FOUND or REPORT_EXPIRED.
   */
  async find(
    link: ReportLink,
    series?: string
  ): Promise<Edition & { status: Exclude<Edition['status'], 'expired'> }> {
    const edition = await retryIdempotent(() => selectEdition(this.#pools.reads, link))
    if (!edition || (series !== undefined && edition.series !== series)) throw reportNotFound(link.filename)
    const { status, ...rest } = edition
    if (status === 'expired') throw reportExpired(link.filename)
    return { status, ...rest }
  }

  /**
   * Finds the finished edition of a report that a link serves.
   *
   * @throws {ApiError} REPORT_PENDING, REPORT_FAILED, REPORT_NOT_FOUND or REPORT_EXPIRED.
   */
  async findFinished(
    link: ReportLink,
    series?: string
  ): Promise<{ token: string; size: number; sha256: string; finishedAt: Date }> {
    const { status, token, bytes, sha256, finished_seconds } = await this.find(link, series)
    if (status === 'failed') throw reportFailed(link.filename)
    if (token === null || bytes === null || sha256 === null || finished_seconds === null)
      throw reportPending(link.filename)
    return { token, size: bytes, sha256, finishedAt: new Date(Math.floor(finished_seconds) * 1000) }
  }

  /**
   * Opens the file of a finished edition. The caller must read or destroy its content.
   *
   * @throws {ApiError} REPORT_NOT_FOUND if the file is lost; STORAGE_UNAVAILABLE.
   */
  async read(filename: string, token: string, part?: ByteRange): Promise<Readable> {
    const content = await this.#storage.read(storedName(filename, token), part)
    if (!content) throw this.#lost(filename, token)
    return content
  }

  /**
   * Signs a link by which a client downloads a finished edition from the storage. Undefined if clients are to download
   * it from the service.
   *
   * @throws {ApiError} REPORT_NOT_FOUND if the file is lost; STORAGE_UNAVAILABLE.
   */
  async signLink(filename: string, token: string): Promise<string | undefined> {
    if (!this.#redirect) return undefined
    const name = storedName(filename, token)
    if (!(await this.#storage.has(name))) throw this.#lost(filename, token)
    return this.#storage.signLink(name, filename)
  }

  /**
   * Cancels the orders of a key for the edition that a link serves. If no other key has ordered it, it is removed, whether
   * it is finished or not.
   *
   * @param write calls its argument on a pool or in a transaction. It may be called again.
   * @throws {ApiError} REPORT_NOT_FOUND if the key has not ordered it; REPORT_EXPIRED.
   */
  async cancel(
    link: ReportLink,
    orderer: string,
    write: (cancel: (db: Pool | Transaction) => Promise<void>) => Promise<unknown>
  ): Promise<void> {
    let unused: AttemptFile | null = null
    await write(async (db) => {
      const { id } = await this.find(link)
      const cancelled = await cancelOrder(db, id, orderer)
      if (cancelled === undefined) throw reportNotFound(link.filename)
      unused = cancelled
    })
    // After the transaction: nobody can find the file any more.
    if (unused) await this.remove([unused])
  }

  /**
   * Erases the reports that may contain a user.
   *
   * @param erase erases the user's rows. It calls its argument in its transaction.
   * @returns what `erase` returns.
   */
  async eraseReportsOf<T>(
    userId: UserId,
    erase: (deleteReports: (sql: Sql) => Promise<void>) => Promise<T>
  ): Promise<T> {
    let deleted: AttemptFile[] = []
    const erased = await erase(async (sql) => {
      deleted = await deleteReportsOf(sql, userId)
    })
    // After the transaction: nobody can find these files any more.
    await this.remove(deleted)
    return erased
  }

  /**
   * Removes the files of attempts that the database no longer knows, and aborts those attempts that are in progress on
   * this instance. If the storage fails, or the process crashes meanwhile, the sweep removes the files later.
   */
  async remove(files: AttemptFile[]): Promise<void> {
    for (const { token } of files) this.#generator.abort(token)
    try {
      for (const { filename, token } of files) await this.#storage.remove(storedName(filename, token))
    } catch (error) {
      this.#log.warn({ err: error }, 'files of reports could not be removed: they are removed later')
    }
  }

  /**
   * Removes expired reports and the files of aborted attempts.
   *
   * @param leftBefore files that belong to no report are removed if they were last modified before this time, in
   * milliseconds since 1970.
   * @returns whether there may be more.
   */
  async sweep(leftBefore = Date.now() - LEFTOVER_AGE_MS): Promise<boolean> {
    const expired = await expireReports(this.#pools.writes, this.#timeToLive)
    await this.remove(expired)

    const names = new Map<string, string>()
    for await (const name of this.#storage.listOlderThan(leftBefore)) {
      const token = tokenInName(name)
      if (token) names.set(token, name)
      if (names.size >= LEFTOVER_BATCH) await this.#removeUnknown(names)
    }
    await this.#removeUnknown(names)
    return expired.length > 0
  }

  /**
   * Waits up to `timeout` milliseconds for the reports in progress, then returns unfinished ones to the queue.
   *
   * @returns false if the storage does not answer. Then the threads, and with them the process, do not end.
   */
  close(timeout: number): Promise<boolean> {
    this.#closed ??= this.#close(timeout)
    return this.#closed
  }

  async #close(timeout: number): Promise<boolean> {
    const overdue = setTimeout(() => this.#generator.returnToQueue(), timeout)
    const stopped = Promise.all(this.#jobs.map((job) => job.stop()))
    const hasStopped = await endsWithin(stopped, timeout + LAST_ANSWERS_TIMEOUT_MS)
    clearTimeout(overdue)
    const ended = Promise.all([this.#sweeper.stop(), this.#generator.close()])
    const hasEnded = await endsWithin(ended, hasStopped ? LAST_ANSWERS_TIMEOUT_MS : 0)
    if (!hasEnded) this.#log.warn('the storage of the reports does not answer')
    return hasEnded
  }

  /** The error for a file that is missing from the storage. */
  #lost(filename: string, token: string): Error {
    this.#log.error({ report: hideUserIds(filename), token }, 'the file of a finished report is lost')
    return reportNotFound(filename)
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
    const storage = await openStorage(options.location)
    try {
      await storage.check()
    } catch (error) {
      if (error instanceof ConfigError) throw error
      // The routes of memberships need no storage.
      app.log.warn({ err: error }, 'the storage of the reports does not answer')
    }
    const reportJobs = new ReportJobs(app, app.log, app.metrics.reportDuration, storage, options)
    app.decorate('reportJobs', reportJobs)
    // The jobs start with `listen`, not before: generating the documentation needs an app without a database.
    app.addHook('onListen', async () => reportJobs.start())
    app.addHook('onClose', async () => void (await reportJobs.close(DRAIN_TIMEOUT_MS)))
  },
  { name: 'report-jobs', dependencies: ['database'] }
)
