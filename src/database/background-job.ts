import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import { JOB_RETRY_MS, MIN_JOB_PAUSE_MS } from '../limits.ts'
import { isDatabaseUnavailable, isSchemaOutdated } from './faults.ts'

type BackgroundJobOptions = {
  name: string
  /** Does a small part of the work in one transaction. Returns whether there may be more. */
  step: () => Promise<boolean>
  /** The largest share of the time, up to 1, that steps may take. The rest is left to requests. */
  share: number
  /** Milliseconds between two checks for work that `wake` did not announce, such as that of a crashed instance. */
  poll: number
  log: FastifyBaseLogger
}

/** The last fault of the database that the jobs of a service have logged, by its log. */
const reported = new WeakMap<FastifyBaseLogger, string>()

/**
 * Does work in small steps in the background while the service runs. All state is in the database, so nothing is lost
 * if the process ends between two steps or during one, and several instances may run the same job.
 */
export class BackgroundJob {
  readonly #options: BackgroundJobOptions
  #running: Promise<void> | undefined
  #stopped = false
  #pause = new AbortController()
  #woken = false

  constructor(options: BackgroundJobOptions) {
    this.#options = options
  }

  /** Starts to look for work, now and then after every `poll` milliseconds. */
  start(): void {
    this.#running ??= this.#run()
  }

  /** Looks for work now. */
  wake(): void {
    this.start()
    this.#woken = true
    this.#pause.abort()
  }

  /** Stops the job. Resolves when the current step has ended. */
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
        reported.delete(this.#options.log)
        await this.#rest(
          more ? Math.max(MIN_JOB_PAUSE_MS, taken / this.#options.share - taken) : this.#options.poll
        )
      } catch (error) {
        // Logs only the first of consecutive failures, not one every second while the database is down.
        if (!failed && !this.#stopped) this.#report(error)
        failed = true
        await this.#rest(JOB_RETRY_MS)
      }
    }
  }

  /** Logs a failure. A fault of the database needs no stack, and is logged once for all jobs of the service. */
  #report(error: unknown): void {
    const { log, name } = this.#options
    if (!(error instanceof Error) || !(isSchemaOutdated(error) || isDatabaseUnavailable(error))) {
      log.warn({ err: error, job: name }, 'job failed')
      return
    }
    if (reported.get(log) === error.message) return
    reported.set(log, error.message)
    const cause = 'code' in error ? { code: error.code } : {}
    const advice = isSchemaOutdated(error) ? 'jobs wait: run `npm run migrate`' : 'jobs wait for the database'
    log.warn({ reason: error.message, ...cause }, advice)
  }

  /** Pauses, unless `wake` or `stop` ends the pause early. */
  async #rest(milliseconds: number): Promise<void> {
    if (this.#woken || this.#stopped) return
    this.#pause = new AbortController()
    await sleep(milliseconds, undefined, { signal: this.#pause.signal, ref: false }).catch(() => {})
  }
}
