import { randomUUID } from 'node:crypto'
import { access, constants, type FileHandle, mkdir, open, rm, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { FastifyBaseLogger } from 'fastify'
import fp from 'fastify-plugin'
import { Piscina } from 'piscina'
import type { CalendarDate } from '../../schemas/common.ts'
import type { HistoryReport, HistoryReportTask } from '../../workers/history-report.ts'
import { ConfigError } from '../config.ts'
import { reportFailed, reportNotFound, reportPending, serviceUnavailable, tooManyReports } from '../errors.ts'
import { type ReportOrder, type ReportRequest, SETTLING_TIME_MS } from '../routes/reports/queries.ts'
import type { Metrics } from './metrics.ts'

declare module 'fastify' {
  interface FastifyInstance {
    reportJobs: ReportJobs
  }
}

type ReportJobsOptions = {
  databaseUrl: string
  directory: string
  log: FastifyBaseLogger
  durations: Metrics['reportDuration']
}

type JobInProgress = {
  state: 'in progress'
  /** Whether the interval was settled when the making began: then it need not be made again for a later order. */
  settled: boolean
  /** The latest order's time. */
  orderedAt: bigint
  /** Resolves once an older report of that name is gone. */
  accepted: Promise<void>
}
type Job = JobInProgress | { state: 'failed' }

/** Worker threads, and so reports made at once. */
const MAX_THREADS = 2
/** Reports in progress, those that wait for a thread among them. */
const MAX_IN_PROGRESS = 100
/** A thread that has had nothing to do for so many milliseconds ends. */
const IDLE_TIMEOUT_MS = 10_000
/**
 * A thread's heap, as rows live for a moment only: while reports of two million rows are made, one after the other,
 * the process takes 190 MB at the most, and 330 MB without these limits.
 */
const THREAD_LIMITS = { maxYoungGenerationSizeMb: 8, maxOldGenerationSizeMb: 128 }
/** A report that takes longer has lost its database without a word: its thread is ended. */
const REPORT_TIMEOUT_MS = 1_800_000
/** Failures remembered, the newest: enough to answer those who wait, bounded in memory. */
const MAX_FAILED = 1_000

export function reportFilename({ userId, from, to }: ReportRequest): string {
  return `user-${userId}_${from}_${to}.csv`
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}

/**
 * Owns the state of reports: which are in progress or have failed is kept here, in this process; which are
 * finished is what lies in the folder.
 */
export class ReportJobs {
  readonly #jobs = new Map<string, Job>()
  readonly #running = new Set<Promise<void>>()
  readonly #pool: Piscina<HistoryReportTask, HistoryReport>
  readonly #databaseUrl: string
  readonly #directory: string
  readonly #log: FastifyBaseLogger
  readonly #durations: Metrics['reportDuration']
  #closing = false

  constructor({ databaseUrl, directory, log, durations }: ReportJobsOptions) {
    this.#databaseUrl = databaseUrl
    this.#directory = resolve(directory)
    this.#log = log
    this.#durations = durations
    this.#pool = new Piscina({
      filename: new URL('../../workers/history-report.ts', import.meta.url).href,
      minThreads: 0,
      maxThreads: MAX_THREADS,
      idleTimeout: IDLE_TIMEOUT_MS,
      resourceLimits: THREAD_LIMITS,
      // A thread between two tasks must go on serving its sockets and timers.
      atomics: 'disabled'
    })
    this.#pool.on('error', (error) => this.#log.error({ err: error }, 'report worker failed'))
  }

  /**
   * Sees to it that the report is made, and that its link answers with nothing older than this order.
   *
   * @param requestId of the order, for the log and for PostgreSQL.
   * @throws {ApiError} TOO_MANY_REPORTS where as many as may be are in progress.
   */
  async order(request: ReportRequest, { orderedAt, settled }: ReportOrder, requestId: string): Promise<void> {
    const filename = reportFilename(request)
    if (settled && (await this.#isFinal(filename, request.to))) return

    const job = this.#jobs.get(filename)
    if (job?.state === 'in progress') {
      if (!job.settled && orderedAt > job.orderedAt) job.orderedAt = orderedAt
      return job.accepted
    }
    if (this.#closing) throw serviceUnavailable('SHUTTING_DOWN', 'the service is shutting down, try again')
    if (this.#running.size >= MAX_IN_PROGRESS) throw tooManyReports()

    // Before the order is answered, so that not even a crash brings the older report back.
    const accepted = rm(this.#path(filename), { force: true })
    const started: JobInProgress = { state: 'in progress', settled, orderedAt, accepted }
    this.#jobs.set(filename, started)
    const run = this.#run(filename, request, started, requestId)
    this.#running.add(run)
    void run.finally(() => this.#running.delete(run))
    return accepted
  }

  /**
   * Opens a finished report. The caller closes it.
   *
   * @throws {ApiError} REPORT_PENDING, REPORT_FAILED or REPORT_NOT_FOUND.
   */
  async open(filename: string): Promise<FileHandle> {
    const state = this.#jobs.get(filename)?.state
    if (state === 'in progress') throw reportPending(filename)
    if (state === 'failed') throw reportFailed(filename)
    try {
      return await open(this.#path(filename))
    } catch (error) {
      if (isMissing(error)) throw reportNotFound(filename)
      throw error
    }
  }

  /** Waits for the reports in progress, `timeout` milliseconds at the most, then ends the threads. */
  async close(timeout: number): Promise<void> {
    this.#closing = true
    const finished = Promise.all(this.#running)
    const { promise: overdue, resolve: giveUp } = Promise.withResolvers<void>()
    const timer = setTimeout(giveUp, timeout)
    await Promise.race([finished, overdue])
    clearTimeout(timer)
    await this.#pool.destroy()
    await finished
  }

  #path(filename: string): string {
    return join(this.#directory, filename)
  }

  /** Whether the report lies there and was made when its interval's history could no longer change. */
  async #isFinal(filename: string, to: CalendarDate): Promise<boolean> {
    try {
      const { mtimeMs } = await stat(this.#path(filename))
      return mtimeMs >= Date.parse(to) + SETTLING_TIME_MS
    } catch (error) {
      if (isMissing(error)) return false
      throw error
    }
  }

  /** Makes the report, and makes it again while a later order came after the snapshot was taken. Never rejects. */
  async #run(filename: string, request: ReportRequest, job: JobInProgress, requestId: string): Promise<void> {
    const log = this.#log.child({ request_id: requestId, report: filename })
    const end = this.#durations.startTimer()
    const temporaryName = `.${filename}.${randomUUID()}`
    try {
      await job.accepted
      let report: HistoryReport
      do {
        report = await this.#make({
          ...request,
          requestId,
          filename,
          temporaryName,
          directory: this.#directory,
          databaseUrl: this.#databaseUrl
        })
      } while (report.snapshotAt < job.orderedAt)
      this.#jobs.delete(filename)
      end({ outcome: 'made' })
      log.info({ rows: report.rows }, 'report made')
    } catch (error) {
      end({ outcome: 'failed' })
      log.error({ err: error }, 'report failed')
      await Promise.allSettled([temporaryName, filename].map((name) => rm(this.#path(name), { force: true })))
      this.#rememberFailure(filename)
    }
  }

  async #make(task: HistoryReportTask): Promise<HistoryReport> {
    const overdue = new AbortController()
    const timer = setTimeout(() => overdue.abort(), REPORT_TIMEOUT_MS)
    try {
      return await this.#pool.run(task, { signal: overdue.signal })
    } finally {
      clearTimeout(timer)
    }
  }

  #rememberFailure(filename: string): void {
    this.#jobs.delete(filename)
    this.#jobs.set(filename, { state: 'failed' })
    const failed = [...this.#jobs].filter(([, { state }]) => state === 'failed')
    for (const [oldest] of failed.slice(0, -MAX_FAILED)) this.#jobs.delete(oldest)
  }
}

/** Milliseconds that reports in progress have to finish in when the service shuts down. */
const CLOSE_TIMEOUT_MS = 20_000

export const reportJobsPlugin = fp<{ databaseUrl: string; directory: string }>(
  async (app, { databaseUrl, directory }) => {
    try {
      await mkdir(directory, { recursive: true })
      await access(directory, constants.R_OK | constants.W_OK | constants.X_OK)
    } catch (error) {
      throw new ConfigError('REPORTS_DIR is not valid: it must be a folder that can be written to', {
        cause: error
      })
    }
    const reportJobs = new ReportJobs({
      databaseUrl,
      directory,
      log: app.log,
      durations: app.metrics.reportDuration
    })
    app.decorate('reportJobs', reportJobs)
    app.addHook('onClose', () => reportJobs.close(CLOSE_TIMEOUT_MS))
  },
  { name: 'report-jobs', dependencies: ['metrics'] }
)
