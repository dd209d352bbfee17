import type { Change, Changes, Query } from './contract-types.ts'
import type { SegmentsError } from './errors.ts'
import { readSlug, readUserId, type UserId } from './names.ts'
import { insist } from './retry.ts'
import type { Transport } from './transport.ts'

/** The options of a feed. */
export type ChangesOptions = Omit<Query<'listChanges'>, 'after' | 'user_id'> & {
  /**
   * A cursor: the feed begins with the change after it. `start`: with the oldest that is kept. A day, as `YYYY-MM-DD`: with the
   * first of that day, in UTC. Default: `now`.
   */
  after?: string
  /** Only changes of this user's memberships, and deletions of segments. */
  user_id?: UserId
  /** Ends the feed, which then throws the reason of the signal. */
  signal?: AbortSignal
  /** Called with each fault that may pass, after which the feed goes on by itself: to log it, or to show that it is behind. */
  onFault?: (error: SegmentsError) => void
}

/** Seconds that the service waits for a change. The longest that it offers. */
const WAIT_SECONDS = 30
/** Milliseconds for the answer after that. */
const MARGIN_MS = 15_000

/**
 * What has changed, in an endless iteration. It waits for changes, and goes on by itself after any fault that may pass: each
 * change comes once.
 */
export class ChangeFeed implements AsyncIterable<Change> {
  readonly #transport: Transport
  readonly #query: Omit<Query<'listChanges'>, 'after'>
  readonly #signal: AbortSignal | undefined
  readonly #onFault: ((error: SegmentsError) => void) | undefined
  #cursor: string

  constructor(transport: Transport, options: ChangesOptions) {
    const { after = 'now', segment, user_id, limit = 1_000, wait = WAIT_SECONDS, signal, onFault } = options
    this.#transport = transport
    this.#cursor = after
    this.#signal = signal
    this.#onFault = onFault
    this.#query = { limit, wait }
    if (segment !== undefined) this.#query.segment = readSlug(segment)
    if (user_id !== undefined) this.#query.user_id = readUserId(user_id)
  }

  /**
   * Where another feed continues this one, after a restart: after the last change whose iteration has ended. It moves on without
   * changes too, so that it does not expire.
   */
  get cursor(): string {
    return this.#cursor
  }

  /** @throws {SegmentsError} CURSOR_EXPIRED, and the other permanent errors. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Change, void> {
    for await (const { changes, cursor } of this.pages()) {
      for (const change of changes) {
        yield change
        this.#cursor = change.cursor
      }
      this.#cursor = cursor
    }
  }

  /**
   * Iterates the answers of the service, each with its changes and the cursor after them. One without changes says that there were
   * none left: it comes after those with changes, and then whenever the service has waited in vain.
   *
   * @throws {SegmentsError} as the iteration of the changes does.
   */
  async *pages(): AsyncGenerator<Changes, void> {
    // `now` must be a cursor before the service waits: a wait that fails would be repeated from a later moment.
    let wait = 0
    for (;;) {
      const page = await this.#read(wait)
      yield page
      this.#cursor = page.cursor
      wait = page.changes.length > 0 ? 0 : (this.#query.wait ?? WAIT_SECONDS)
    }
  }

  #read(wait: number): Promise<Changes> {
    const query = { ...this.#query, after: this.#cursor, wait }
    const options = {
      timeout: wait * 1_000 + MARGIN_MS,
      retries: 0,
      ...(this.#signal && { signal: this.#signal })
    }
    const call = { method: 'GET', path: '/changes', query } as const
    return insist(() => this.#transport.json<Changes>(call, options), this.#signal, this.#onFault)
  }
}
