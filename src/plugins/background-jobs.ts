import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import fp from 'fastify-plugin'
import { connectDatabase } from '../database.ts'
import { type ClosingPosition, closePeriods, continueAssignment } from '../routes/segments/queries.ts'
import { BULK_STATEMENT_TIMEOUT } from './database.ts'

declare module 'fastify' {
  interface FastifyInstance {
    backgroundJobs: {
      /** Puts the users into segments whose creation was answered before they were in. */
      assignments: BackgroundJob
      /** Writes their end into the periods of deleted segments, which are over without it. */
      closing: BackgroundJob
    }
  }
}

type BackgroundJobOptions = {
  name: string
  /** Does a small part of the work, in one transaction. Returns whether there may be more. */
  step: () => Promise<boolean>
  /** The share of the time, up to 1, in which it works while there is work, so that requests come first. */
  share: number
  log: FastifyBaseLogger
}

/** Milliseconds after which an instance looks for work that it wasn't told of: another's, or a crashed one's. */
const POLL_MS = 5_000
/** Milliseconds until it tries again after a failure. */
const RETRY_MS = 1_000
/** Milliseconds between two steps at the least. */
const MIN_PAUSE_MS = 5

/** One for each job. */
const CONNECTIONS = 2

/** Users who are put in by one step: adding users to the same segment by request waits for it. */
const ASSIGNMENT_CHUNK_SIZE = 2_000
/** Periods that are closed by one step. */
const CLOSING_BATCH_SIZE = 500

/**
 * Work that is done in small steps beside the requests, while the service runs. All state is in the database:
 * nothing is lost when the process ends between two steps or in one, and instances may run at the same time.
 */
class BackgroundJob {
  readonly #options: BackgroundJobOptions
  #running: Promise<void> | undefined
  #stopped = false
  #pause = new AbortController()
  #woken = false

  constructor(options: BackgroundJobOptions) {
    this.#options = options
  }

  /** Begins to look for work, at once and then from time to time. */
  start(): void {
    this.#running ??= this.#run()
  }

  /** There is work: it is looked for now. */
  wake(): void {
    this.start()
    this.#woken = true
    this.#pause.abort()
  }

  /** Resolves when the step in hand has ended. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#pause.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    let failed = false
    while (!this.#stopped) {
      const started = performance.now()
      this.#woken = false
      try {
        const more = await this.#options.step()
        const taken = performance.now() - started
        failed = false
        await this.#rest(more ? Math.max(MIN_PAUSE_MS, taken / this.#options.share - taken) : POLL_MS)
      } catch (error) {
        // Once, not each second for as long as the database is gone.
        if (!failed && !this.#stopped)
          this.#options.log.warn({ err: error, job: this.#options.name }, 'job failed')
        failed = true
        await this.#rest(RETRY_MS)
      }
    }
  }

  /** Until the time is over, or there is new work. */
  async #rest(milliseconds: number): Promise<void> {
    if (this.#woken || this.#stopped) return
    this.#pause = new AbortController()
    await sleep(milliseconds, undefined, { signal: this.#pause.signal, ref: false }).catch(() => {})
  }
}

export const backgroundJobsPlugin = fp<{ databaseUrl: string }>(
  async (app, { databaseUrl }) => {
    const sql = connectDatabase(databaseUrl, {
      name: 'user-segments background',
      connections: CONNECTIONS,
      observer: app.metrics.watchPool('background', CONNECTIONS),
      statementTimeout: BULK_STATEMENT_TIMEOUT,
      lockTimeout: 60_000
    })
    let position: ClosingPosition | undefined
    const jobs = {
      assignments: new BackgroundJob({
        name: 'assignments',
        share: 0.25,
        step: () => continueAssignment(sql, ASSIGNMENT_CHUNK_SIZE),
        log: app.log
      }),
      closing: new BackgroundJob({
        name: 'closing',
        share: 0.2,
        step: async () => {
          position = await closePeriods(sql, position, CLOSING_BATCH_SIZE)
          return position !== undefined
        },
        log: app.log
      })
    }
    app.decorate('backgroundJobs', jobs)
    // Not before: an app that only answers for its documentation needs no database.
    app.addHook('onListen', async () => {
      for (const job of Object.values(jobs)) job.start()
    })
    app.addHook('onClose', async () => {
      const stopped = Promise.all(Object.values(jobs).map((job) => job.stop()))
      // A step that takes longer is rolled back, and done again by whoever runs next.
      await sql.end({ timeout: 5 })
      await stopped
    })
  },
  { name: 'background-jobs', dependencies: ['metrics'] }
)
