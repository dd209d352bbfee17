import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import { JOB_RETRY_MS, MIN_JOB_PAUSE_MS } from '../limits.ts'

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
        await this.#rest(
          more ? Math.max(MIN_JOB_PAUSE_MS, taken / this.#options.share - taken) : this.#options.poll
        )
      } catch (error) {
        // Logs only the first of consecutive failures, not one every second while the database is down.
        if (!failed && !this.#stopped)
          this.#options.log.warn({ err: error, job: this.#options.name }, 'job failed')
        failed = true
        await this.#rest(JOB_RETRY_MS)
      }
    }
  }

  /** Pauses, unless `wake` or `stop` ends the pause early. */
  async #rest(milliseconds: number): Promise<void> {
    if (this.#woken || this.#stopped) return
    this.#pause = new AbortController()
    await sleep(milliseconds, undefined, { signal: this.#pause.signal, ref: false }).catch(() => {})
  }
}
