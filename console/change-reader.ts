import { type Change, isSegmentsError, type SegmentsClient, type SegmentsError } from '../client/src/index.ts'
import { reportError } from './requests.ts'
import { Store } from './store.ts'

/** A change that is shown. Its cursor is left out: it is longer than all the rest. */
export type FeedEntry = Omit<Change, 'cursor'> & { id: number }

export type FeedState = Readonly<{
  /** Newest first. */
  entries: readonly FeedEntry[]
  /** How many have been read while the list is held. */
  waiting: number
  /** `starting` until the first answer; `behind` while there is more to read than one answer holds. */
  phase: 'starting' | 'behind' | 'live'
  /** When the last answer came, in milliseconds since 1970. */
  answeredAt: number | undefined
  /** When the last change happened that has been read. */
  reached: string | undefined
  /** Why there is no answer now. The feed goes on by itself. */
  fault: SegmentsError | undefined
  /** Why the feed has ended. */
  error: unknown
  /** Changes between these times, in milliseconds since 1970, are no longer kept. */
  gap: Readonly<{ from: number; to: number }> | undefined
}>

export type FeedFilter = {
  /** Where the feed begins: a cursor, `now` or `start`. */
  after: string
  segment: string | undefined
  userId: string | undefined
}

/** Entries in memory, shown and waiting each. */
export const MAX_ENTRIES = 100_000
/** The most changes of an answer. */
const PAGE_SIZE = 1_000
/** Seconds that the service waits for a change: about the age of what is known while nothing happens. */
const WAIT_SECONDS = 5
/** Milliseconds. On a busy service there is always something to read: it is live as long as that is recent. */
const LIVE_MS = 5_000

const INITIAL: FeedState = {
  entries: [],
  waiting: 0,
  phase: 'starting',
  answeredAt: undefined,
  reached: undefined,
  fault: undefined,
  error: undefined,
  gap: undefined
}

/**
 * Follows the change feed until it is closed. While the list is held, it stays as it is and what is read waits, up to a bound:
 * then the feed is read no further, so that nothing is lost, and memory does not grow.
 */
export class ChangeReader {
  readonly state = new Store<FeedState>(INITIAL)
  readonly #client: SegmentsClient
  readonly #filter: FeedFilter
  readonly #closing = new AbortController()
  /** Oldest first. */
  #waiting: FeedEntry[] = []
  #read = 0
  #isHeld = false
  #room = Promise.withResolvers<void>()
  #turn = new AbortController()

  constructor(client: SegmentsClient, filter: FeedFilter) {
    this.#client = client
    this.#filter = filter
    const { signal } = this.#closing
    document.addEventListener('visibilitychange', () => this.#room.resolve(), { signal })
    void this.#follow()
  }

  /** Keeps the list as it is, or goes on. */
  hold(isHeld: boolean): void {
    this.#isHeld = isHeld
    if (isHeld) return
    if (this.#waiting.length > 0) this.#show()
    this.#room.resolve()
  }

  /** Goes on with what happens from now on. What has not been read is left out. */
  skip(): void {
    this.#turn.abort()
    this.#room.resolve()
  }

  close(): void {
    this.#closing.abort()
    this.skip()
  }

  async #follow(): Promise<void> {
    let { after } = this.#filter
    while (!this.#closing.signal.aborted) {
      this.#turn = new AbortController()
      const { signal } = this.#turn
      try {
        await this.#readFrom(after, signal)
      } catch (error) {
        if (this.#closing.signal.aborted) return
        const isExpired = isSegmentsError(error, 'CURSOR_EXPIRED')
        if (!isExpired && !signal.aborted) {
          reportError(error)
          this.#update({ error })
          return
        }
        after = this.#noteGap()
      }
    }
  }

  async #readFrom(after: string, signal: AbortSignal): Promise<void> {
    const { segment, userId } = this.#filter
    const feed = this.#client.changes({
      after,
      limit: PAGE_SIZE,
      wait: WAIT_SECONDS,
      ...(segment !== undefined && { segment }),
      ...(userId !== undefined && { user_id: userId }),
      signal,
      onFault: (fault) => this.#update({ fault })
    })
    for await (const { changes } of feed.pages()) {
      this.#take(changes)
      while (this.#mustRest() && !signal.aborted) {
        this.#room = Promise.withResolvers()
        await this.#room.promise
      }
    }
  }

  /** Whether nothing is to be read: nobody looks, or an answer more would be more than may wait. */
  #mustRest(): boolean {
    const isFull = this.#waiting.length + PAGE_SIZE > MAX_ENTRIES
    return document.visibilityState === 'hidden' || (this.#isHeld && isFull)
  }

  /** Notes what can't be read any more, or need not. @returns where to go on. */
  #noteGap(): string {
    const { answeredAt, reached, phase } = this.state.value
    // Nothing has been read: it begins with the oldest that is kept.
    if (answeredAt === undefined) return 'start'
    const from = phase === 'behind' && reached !== undefined ? Date.parse(reached) : answeredAt
    this.#update({ gap: { from, to: Date.now() } })
    return 'now'
  }

  #take(changes: readonly Change[]): void {
    for (const { cursor: _, ...change } of changes) {
      this.#read += 1
      this.#waiting.push({ id: this.#read, ...change })
    }
    const answeredAt = Date.now()
    const reached = changes.at(-1)?.time ?? this.state.value.reached
    const isLive = changes.length < PAGE_SIZE || answeredAt - Date.parse(reached ?? '') < LIVE_MS
    this.#update({ phase: isLive ? 'live' : 'behind', answeredAt, reached, fault: undefined })
    if (this.#waiting.length === 0) return
    if (this.#isHeld) this.#update({ waiting: this.#waiting.length })
    else this.#show()
  }

  #show(): void {
    const entries = [...this.#waiting.reverse(), ...this.state.value.entries].slice(0, MAX_ENTRIES)
    this.#waiting = []
    this.#update({ entries, waiting: 0 })
  }

  #update(changes: Partial<FeedState>): void {
    this.state.set({ ...this.state.value, ...changes })
  }
}
