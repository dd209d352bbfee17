import { ChangeFeed } from './changes.ts'
import type { Change, Member } from './contract-types.ts'
import { isSegmentsError } from './errors.ts'
import { Freshness, isCurrent } from './freshness.ts'
import { readSlug, readUserId, type UserId } from './names.ts'
import type { Transport } from './transport.ts'

/** Seconds that the service waits for a change: about the age that a copy reaches while nothing changes. */
export const COPY_WAIT_SECONDS = 5
/** The most changes in an answer, and the most members. */
const PAGE_SIZE = 1_000

/** Lists the members of a segment, whatever the client does with them. */
type ListMembers = (
  slug: string,
  options: { limit: number; retries: number; signal: AbortSignal }
) => AsyncIterable<Member>

/**
 * A copy of the members of a segment in memory, which follows the service. While the service is away, it answers what it last
 * knew, and its `age` grows.
 */
export class FollowedSegment {
  /** Resolves when the copy is complete. Rejects if it can't be made. */
  readonly ready: Promise<void>
  /** Resolves after `close`. Rejects if the copy can't follow the service any more, as when the key is not valid any more. */
  readonly ended: Promise<void>
  readonly #slug: string
  readonly #closing = new AbortController()
  readonly #transport: Transport
  readonly #listMembers: ListMembers
  /** When the membership of each member expires; null if it does not. */
  #members: ReadonlyMap<string, string | null> = new Map()
  readonly #freshness = new Freshness()

  constructor(transport: Transport, slug: string, listMembers: ListMembers) {
    this.#slug = readSlug(slug)
    this.#transport = transport
    this.#listMembers = listMembers
    let complete = () => {}
    const completed = new Promise<void>((resolve) => {
      complete = resolve
    })
    this.ended = this.#follow(() => complete())
    this.ready = Promise.race([completed, this.ended])
    // Whoever does not await them is not interested.
    this.ready.catch(() => {})
    this.ended.catch(() => {})
  }

  /** Milliseconds since the copy was last known to be that of the service. Infinity before it is ready. */
  get age(): number {
    return Date.now() - this.#freshness.knownAt
  }

  /** Whether a user is in the segment. Memberships expire by the clock of this machine. */
  has(userId: UserId): boolean {
    const expiresAt = this.#members.get(readUserId(userId))
    return expiresAt !== undefined && isCurrent(expiresAt)
  }

  /** The ids of the users in the segment, in no order. */
  *userIds(): Generator<string, void> {
    for (const [userId, expiresAt] of this.#members) if (isCurrent(expiresAt)) yield userId
  }

  /** Stops following. The copy stays as it is. */
  close(): void {
    this.#closing.abort()
  }

  async #follow(complete: () => void): Promise<void> {
    try {
      for (;;) await this.#copy(complete)
    } catch (error) {
      if (!this.#closing.signal.aborted) throw error
    }
  }

  /** Copies the segment, and follows its changes until the cursor expires. */
  async #copy(complete: () => void): Promise<void> {
    const { signal } = this.#closing
    const start = new ChangeFeed(this.#transport, { signal })
    const { value: now } = await start.pages().next()
    const members = new Map<string, string | null>()
    const options = { limit: PAGE_SIZE, retries: Number.POSITIVE_INFINITY, signal }
    for await (const { user_id, expires_at } of this.#listMembers(this.#slug, options)) {
      members.set(user_id, expires_at)
    }
    // Each page of the list is of a moment after the cursor, so changes from the cursor on lead to the present.
    const feed = new ChangeFeed(this.#transport, {
      after: now?.cursor ?? 'now',
      segment: this.#slug,
      limit: PAGE_SIZE,
      wait: COPY_WAIT_SECONDS,
      signal
    })
    try {
      for await (const { changes } of feed.pages()) {
        for (const change of changes) applyChange(members, change)
        // Before the first answer without changes, the copy mixes moments.
        if (changes.length > 0 && this.#members !== members) continue
        this.#members = members
        this.#freshness.advance(changes)
        complete()
      }
    } catch (error) {
      // Too old, or the database was restored: the copy is made again, and this one answers until then.
      if (!isSegmentsError(error, 'CURSOR_EXPIRED')) throw error
    }
  }
}

function applyChange(members: Map<string, string | null>, { type, user_id, expires_at }: Change): void {
  if (type === 'segment_deleted') members.clear()
  if (user_id === null) return
  if (type === 'membership_added' || type === 'expiry_set') members.set(user_id, expires_at)
  if (type === 'membership_removed' || type === 'user_erased') members.delete(user_id)
}
