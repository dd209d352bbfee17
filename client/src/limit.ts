import { SegmentsError } from './errors.ts'

/**
 * The time limit of an attempt, together with the signal of its caller.
 *
 * Not by `AbortSignal.any`: its listeners stay on a signal that outlives many requests.
 */
export class Limit {
  readonly #controller = new AbortController()
  readonly #caller: AbortSignal | undefined
  readonly #milliseconds: number
  readonly #abort = () => this.#controller.abort(this.#caller?.reason)
  #timer: ReturnType<typeof setTimeout> | undefined
  #isOver = false
  #isHeld = false

  /** @param milliseconds how long the attempt may take without progress. */
  constructor(milliseconds: number, caller: AbortSignal | undefined) {
    this.#milliseconds = milliseconds
    this.#caller = caller
    caller?.addEventListener('abort', this.#abort)
    this.restart()
  }

  /** What `fetch` is aborted by. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** There was progress. */
  restart(): void {
    this.pause()
    if (this.#milliseconds === Number.POSITIVE_INFINITY) return
    this.#timer = setTimeout(() => {
      this.#isOver = true
      this.#controller.abort()
    }, this.#milliseconds)
  }

  /** Nothing is waited for until the next restart. */
  pause(): void {
    clearTimeout(this.#timer)
  }

  /** The attempt has ended, unless its answer is still being read. */
  end(): void {
    if (!this.#isHeld) this.release()
  }

  /** The answer is read after the attempt, until `release`. */
  hold(): void {
    this.#isHeld = true
  }

  /** Nothing is limited any more. */
  release(): void {
    this.pause()
    this.#caller?.removeEventListener('abort', this.#abort)
  }

  /** What the caller gets for an error of the attempt: the reason of its own signal, or an error of this client. */
  explain(error: unknown): unknown {
    if (this.#caller?.aborted) return this.#caller.reason
    if (error instanceof SegmentsError) return error
    if (this.#isOver) {
      return new SegmentsError(`no answer within ${this.#milliseconds} ms`, { code: 'TIMEOUT', cause: error })
    }
    const fault = error instanceof Error && error.cause instanceof Error ? error.cause : error
    const reason = fault instanceof Error ? fault.message || fault.name : String(fault)
    return new SegmentsError(`the connection failed: ${reason}`, { code: 'CONNECTION_FAILED', cause: error })
  }
}
