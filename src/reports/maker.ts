import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import { Piscina } from 'piscina'
import type { Histogram } from 'prom-client'
import type { Sql } from '../database/connect.ts'
import { isDatabaseUnavailable } from '../database/faults.ts'
import { retry } from '../database/retry.ts'
import { ReportFailure, toReportFailure } from './failure.ts'
import {
  claimReport,
  failReport,
  finishReport,
  type MadeReport,
  type ReportJob,
  releaseReport,
  renewReport
} from './job-queries.ts'
import { type ReportRequest, SETTLING_TIME_MS } from './queries.ts'
import { type ReportStorage, storedName } from './storage.ts'

type ReportMakerOptions = {
  /** For statements that answer in milliseconds. */
  sql: Sql
  databaseUrl: string
  storage: ReportStorage
  directory: string
  /** Seconds for which a report is kept. */
  timeToLive: number
  /** Seconds for which a report stays with an instance that gives no sign of life. */
  lease: number
  /** Seconds from an order to its end; the outcome is `made` or `failed`. */
  durations: Histogram<'outcome'>
  log: FastifyBaseLogger
}

/** What a worker thread is given: plain data. */
export type HistoryReportTask = ReportRequest & {
  databaseUrl: string
  directory: string
  /** Of the order, so that PostgreSQL's views and logs show whose report a connection is reading. */
  requestId: string
  /** What the report is stored as. */
  name: string
  /** Holds the number of rows made so far. */
  progress: SharedArrayBuffer
}

/** Why an attempt was ended from outside. */
type End = 'lease lost' | 'overdue' | 'closing'

/** Worker threads, and so reports made at once by one instance. */
export const MAX_THREADS = 2
/** A thread that has had nothing to do for so many milliseconds ends. */
const IDLE_TIMEOUT_MS = 10_000
/**
 * A thread's heap, as rows live for a moment only: while reports of two million rows are made, one after the other,
 * the process takes 190 MB at the most, and 330 MB without these limits.
 */
const THREAD_LIMITS = { maxYoungGenerationSizeMb: 8, maxOldGenerationSizeMb: 128 }
/** A report that takes longer has lost its database without a word: its thread is ended. */
const REPORT_TIMEOUT_MS = 1_800_000

function secondsSince(time: Date): number {
  return Math.max(0, (Date.now() - time.getTime()) / 1000)
}

/**
 * Makes the reports that are queued, in worker threads. Each attempt has a token, under which it holds a lease and
 * stores what it makes: one that was held up for longer than its lease writes nothing that anybody reads.
 */
export class ReportMaker {
  readonly #options: ReportMakerOptions
  readonly #pool: Piscina<HistoryReportTask, MadeReport>
  readonly #closing = new AbortController()

  constructor(options: ReportMakerOptions) {
    this.#options = options
    this.#pool = new Piscina({
      filename: new URL('../../workers/history-report.ts', import.meta.url).href,
      minThreads: 0,
      maxThreads: MAX_THREADS,
      idleTimeout: IDLE_TIMEOUT_MS,
      resourceLimits: THREAD_LIMITS,
      // A thread between two tasks must go on serving its sockets and timers.
      atomics: 'disabled'
    })
    this.#pool.on('error', (error) => options.log.error({ err: error }, 'report worker failed'))
  }

  /**
   * Makes the report that has waited longest.
   *
   * @param ofUser whether it has to be one user's.
   * @returns false where none is queued.
   * @throws {Error} where the database can't be told of the outcome: the report is made again when its lease is over.
   */
  async makeNext(ofUser: boolean): Promise<boolean> {
    const job = await claimReport(this.#options.sql, randomUUID(), this.#options.lease * 1000, ofUser)
    if (!job) return false
    const end = new AbortController()
    const close = () => end.abort('closing' satisfies End)
    this.#closing.signal.addEventListener('abort', close)
    if (this.#closing.signal.aborted) close()
    try {
      await this.#make(job, end)
    } finally {
      this.#closing.signal.removeEventListener('abort', close)
    }
    return true
  }

  /** Hands the reports in hand back: each `makeNext` resolves soon. */
  handBack(): void {
    this.#closing.abort()
  }

  /** Ends the threads. */
  async close(): Promise<void> {
    await this.#pool.destroy()
  }

  async #make(job: ReportJob, end: AbortController): Promise<void> {
    const { filename, token, attempt, request_id } = job
    const { sql, log: parentLog } = this.#options
    const log = parentLog.child({ report: filename, attempt, request_id })
    const progress = new SharedArrayBuffer(8)
    const overdue = setTimeout(() => end.abort('overdue' satisfies End), REPORT_TIMEOUT_MS)
    const done = new AbortController()
    const renewing = this.#renew(token, progress, end, done.signal)
    const started = performance.now()
    try {
      if (job.lost_token) await this.#removeStored(filename, job.lost_token)
      const made = await this.#run(job, progress, end.signal).catch((error) =>
        this.#giveUp(job, end.signal, error, log)
      )
      if (!made) return
      // The outcome of a lost statement is not known, but it may be sent again: its token is only this attempt's.
      const status = await retry(
        () => finishReport(sql, token, made, SETTLING_TIME_MS, this.#options.timeToLive),
        (error) => isDatabaseUnavailable(error) && !end.signal.aborted
      )
      const seconds = (performance.now() - started) / 1000
      if (status === 'ready')
        this.#options.durations.observe({ outcome: 'made' }, secondsSince(job.created_at))
      if (status) log.info({ rows: made.rows, bytes: made.bytes, seconds, status }, 'report made')
      else log.warn('report was lost to another attempt')
      if (status !== 'ready') await this.#removeStored(filename, token)
    } finally {
      clearTimeout(overdue)
      done.abort()
      await renewing
    }
  }

  async #run(job: ReportJob, progress: SharedArrayBuffer, signal: AbortSignal): Promise<MadeReport> {
    const { databaseUrl, directory } = this.#options
    const task = {
      userId: job.user_id,
      segment: job.segment_slug,
      from: job.from_date,
      to: job.to_date,
      requestId: job.request_id ?? '',
      databaseUrl,
      directory,
      name: storedName(job.filename, job.token),
      progress
    }
    return await this.#pool.run(task, { signal })
  }

  async #giveUp(
    { filename, token, created_at }: ReportJob,
    { aborted, reason }: AbortSignal,
    error: unknown,
    log: FastifyBaseLogger
  ): Promise<undefined> {
    const { sql, timeToLive } = this.#options
    const end: End | undefined = aborted ? reason : undefined
    await this.#removeStored(filename, token)
    if (end === 'lease lost') {
      log.warn('report was lost to another attempt')
    } else if (end === 'closing') {
      await releaseReport(sql, token)
      log.info('report handed back')
    } else {
      const failure = end === 'overdue' ? new ReportFailure('overdue') : toReportFailure(error)
      const status = await failReport(sql, token, failure.message, timeToLive)
      if (status === 'failed')
        this.#options.durations.observe({ outcome: 'failed' }, secondsSince(created_at))
      if (status) log.error({ err: failure, status }, 'report failed')
      else log.warn('report was lost to another attempt')
    }
  }

  /** What can't be removed now is swept up later. */
  async #removeStored(filename: string, token: string): Promise<void> {
    await this.#options.storage.remove(storedName(filename, token)).catch(() => {})
  }

  /** Keeps the lease until `done`; ends the attempt when it is lost, or could not be renewed for as long as it is. */
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
