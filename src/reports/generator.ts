import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import { Piscina } from 'piscina'
import type { Histogram } from 'prom-client'
import type { Sql } from '../database/connect.ts'
import { retryUntilDone } from '../database/retry.ts'
import { MAX_REPORT_BYTES_OF_KEY, MAX_REPORT_THREADS, REPORT_TIMEOUT_MS } from '../limits.ts'
import { hideUserIds } from '../telemetry/request-log.ts'
import { isSizeFailure, ReportFailure, toReportFailure } from './failure.ts'
import {
  claimReport,
  failReport,
  finishReport,
  type GeneratedReport,
  type ReportJob,
  releaseReport,
  renewReport
} from './job-queries.ts'
import type { ReportRequest } from './queries.ts'
import { type ReportStorage, type StorageLocation, storedName } from './storage.ts'

type ReportGeneratorOptions = {
  /** For statements that answer in milliseconds. */
  sql: Sql
  databaseUrl: string
  storage: ReportStorage
  /** Where the storage is, for the threads. */
  location: StorageLocation
  /** Seconds for which a report is kept. */
  timeToLive: number
  /** Seconds after which another instance may take over a report whose attempt has not renewed its lease. */
  lease: number
  /** Observes the seconds from an order to its outcome, `made` or `failed`. */
  durations: Histogram<'outcome'>
  log: FastifyBaseLogger
}

/** The task of a worker thread. It is plain data, because it is copied to the thread. */
export type HistoryReportTask = ReportRequest & {
  databaseUrl: string
  storage: StorageLocation
  /** The id of the request that ordered the report. PostgreSQL's views and logs show it for the connection. */
  requestId: string
  /** The name of the file in the storage. */
  name: string
  /** The maximum size of the file. */
  maxBytes: number
  /** Holds the number of rows written so far. */
  progress: SharedArrayBuffer
}

const LOST = 'report was lost to another attempt, or cancelled'

/** Why an attempt was aborted. */
type End = 'lease lost' | 'overdue' | 'closing'

/**
 * Limits the heap of a thread. Rows are short-lived, so a small heap is enough: while reports of two million rows are
 * generated one after the other, the process takes at most 190 MB, instead of 330 MB without these limits.
 */
const THREAD_LIMITS = { maxYoungGenerationSizeMb: 8, maxOldGenerationSizeMb: 128 }

function secondsSince(time: Date): number {
  return Math.max(0, (Date.now() - time.getTime()) / 1000)
}

/**
 * Generates queued reports in worker threads. Each attempt has a token; it holds a lease and writes its file under this
 * token. If an attempt stalls for longer than its lease, another one takes over, and nobody reads what the stalled one
 * writes.
 */
export class ReportGenerator {
  readonly #options: ReportGeneratorOptions
  #pool: Piscina<HistoryReportTask, GeneratedReport> | undefined
  readonly #closing = new AbortController()
  /** The reports in progress on this instance, by token. */
  readonly #attempts = new Map<string, AbortController>()

  constructor(options: ReportGeneratorOptions) {
    this.#options = options
  }

  /**
   * Starts the threads. They stay: starting one takes 300 ms, several times as long as a small report. One that ends is
   * replaced.
   */
  startThreads(): Piscina<HistoryReportTask, GeneratedReport> {
    if (this.#pool) return this.#pool
    const pool = new Piscina<HistoryReportTask, GeneratedReport>({
      filename: new URL('../../workers/history-report.ts', import.meta.url).href,
      minThreads: MAX_REPORT_THREADS,
      maxThreads: MAX_REPORT_THREADS,
      resourceLimits: THREAD_LIMITS,
      // By default Piscina blocks an idle thread; its sockets and timers must still be served.
      atomics: 'disabled'
    })
    pool.on('error', (error) => this.#options.log.error({ err: error }, 'report worker failed'))
    this.#pool = pool
    return pool
  }

  /**
   * Generates the next report of the queue.
   *
   * @param ofUser whether to take only reports of one user.
   * @returns false if none is queued.
   * @throws {Error} if the outcome can't be written to the database. The report is generated again when its lease
   * expires.
   */
  async generateNext(ofUser: boolean): Promise<boolean> {
    const job = await claimReport(this.#options.sql, randomUUID(), this.#options.lease * 1000, ofUser)
    if (!job) return false
    const end = new AbortController()
    const close = () => end.abort('closing' satisfies End)
    this.#closing.signal.addEventListener('abort', close)
    if (this.#closing.signal.aborted) close()
    this.#attempts.set(job.token, end)
    try {
      await this.#generate(job, end)
    } finally {
      this.#attempts.delete(job.token)
      this.#closing.signal.removeEventListener('abort', close)
    }
    return true
  }

  /** Aborts the attempt if this instance makes it. Another instance notices when it renews the lease. */
  abort(token: string): void {
    this.#attempts.get(token)?.abort('lease lost' satisfies End)
  }

  /** Returns the reports in progress to the queue. Each pending `generateNext` resolves soon after. */
  returnToQueue(): void {
    this.#closing.abort()
  }

  /** Ends the threads. */
  async close(): Promise<void> {
    await this.#pool?.destroy()
  }

  async #generate(job: ReportJob, end: AbortController): Promise<void> {
    const { filename, token, attempt, request_id } = job
    const { sql, log: parentLog } = this.#options
    const log = parentLog.child({ report: hideUserIds(filename), attempt, request_id })
    const progress = new SharedArrayBuffer(8)
    const overdue = setTimeout(() => end.abort('overdue' satisfies End), REPORT_TIMEOUT_MS)
    const done = new AbortController()
    const renewing = this.#renew(token, progress, end, done.signal)
    const started = performance.now()
    try {
      if (job.lost_token) await this.#removeStored(filename, job.lost_token)
      const made = await this.#runInThread(job, progress, end.signal).catch((error) =>
        this.#giveUp(job, end.signal, error, log)
      )
      if (!made) return
      // After a lost connection the outcome is unknown, but repeating the statement is safe: only this attempt has the
      // token.
      const replaced = await retryUntilDone(
        () => finishReport(sql, token, made, this.#options.timeToLive),
        end.signal
      )
      const seconds = (performance.now() - started) / 1000
      if (replaced) {
        this.#options.durations.observe({ outcome: 'made' }, secondsSince(job.created_at))
        log.info({ rows: made.rows, bytes: made.bytes, seconds }, 'report made')
      } else log.warn(LOST)
      // Clients that are reading a replaced file go on reading it.
      for (const unused of replaced ?? [token]) await this.#removeStored(filename, unused)
    } finally {
      clearTimeout(overdue)
      done.abort()
      await renewing
    }
  }

  async #runInThread(
    job: ReportJob,
    progress: SharedArrayBuffer,
    signal: AbortSignal
  ): Promise<GeneratedReport> {
    const { databaseUrl, location } = this.#options
    const task = {
      userId: job.user_id,
      segment: job.segment_slug,
      from: job.from_date,
      to: job.to_date,
      details: job.details,
      requestId: job.request_id ?? '',
      databaseUrl,
      storage: location,
      name: storedName(job.filename, job.token),
      maxBytes: MAX_REPORT_BYTES_OF_KEY - job.other_bytes,
      progress
    }
    return await this.startThreads().run(task, { signal })
  }

  async #giveUp(
    { filename, token, created_at }: ReportJob,
    { aborted, reason }: AbortSignal,
    error: unknown,
    log: FastifyBaseLogger
  ): Promise<undefined> {
    const { sql, timeToLive } = this.#options
    const end: End | undefined = aborted ? reason : undefined
    if (end === 'closing') {
      // First, because the storage may hang.
      await releaseReport(sql, token)
      log.info('report handed back')
    }
    await this.#removeStored(filename, token)
    if (end === 'lease lost') {
      log.warn(LOST)
    } else if (end !== 'closing') {
      const failure = end === 'overdue' ? new ReportFailure('overdue') : toReportFailure(error)
      const outcome = { reason: failure.message, isFinal: isSizeFailure(failure) }
      const status = await failReport(sql, token, outcome, timeToLive)
      if (status === 'failed')
        this.#options.durations.observe({ outcome: 'failed' }, secondsSince(created_at))
      if (status) log.error({ err: failure, status }, 'report failed')
      else log.warn(LOST)
    }
  }

  /** Removes the file of an attempt. If this fails, a later sweep removes it. */
  async #removeStored(filename: string, token: string): Promise<void> {
    await this.#options.storage.remove(storedName(filename, token)).catch(() => {})
  }

  /** Renews the lease until `done`. Aborts the attempt if the lease is lost or could not be renewed in time. */
  async #renew(
    token: string,
    progress: SharedArrayBuffer,
    end: AbortController,
    done: AbortSignal
  ): Promise<void> {
    const lease = this.#options.lease * 1000
    const rows = new BigInt64Array(progress)
    let renewedAt = performance.now()
    while (!done.aborted) {
      await sleep(lease / 3, undefined, { signal: done, ref: false }).catch(() => {})
      if (done.aborted) return
      const startedAt = performance.now()
      const renewal = renewReport(this.#options.sql, token, lease, Number(Atomics.load(rows, 0)))
      const held = await renewal.catch(() => undefined)
      if (held) renewedAt = startedAt
      if (held === false || performance.now() - renewedAt > lease) {
        end.abort('lease lost' satisfies End)
        return
      }
    }
  }
}
