import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'

type BackgroundJobOptions = {
  name: string
  /** Does a small part of the work, in one transaction. Returns whether there may be more. */
  step: () => Promise<boolean>
  /** The share of the time, up to 1, in which it works while there is work, so that requests come first. */
  share: number
  /** Milliseconds after which it looks for work that it wasn't told of: another instance's, or a crashed one's. */
  poll: number
  log: FastifyBaseLogger
}

/** Milliseconds until it tries again after a failure. */
const RETRY_MS = 1_000
/** Milliseconds between two steps at the least. */
const MIN_PAUSE_MS = 5

/**
 * Work that is done in small steps beside the requests, while the service runs. All state is in the database:
 * nothing is lost when the process ends between two steps or in one, and instances may run at the same time.
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
        await this.#rest(
          more ? Math.max(MIN_PAUSE_MS, taken / this.#options.share - taken) : this.#options.poll
        )
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
