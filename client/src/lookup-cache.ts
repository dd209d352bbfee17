import { ChangeFeed } from './changes.ts'
import type { Change, UserMemberships } from './contract-types.ts'
import { isSegmentsError } from './errors.ts'
import { COPY_WAIT_SECONDS } from './followed-segment.ts'
import { Freshness, isCurrent } from './freshness.ts'
import { readUserId, type UserId } from './names.ts'
import { isTransient } from './retry.ts'
import type { CallOptions, Transport } from './transport.ts'

/** A lookup from the cache. */
export type CachedSegments = {
  /** The slugs of the segments that the user is in. */
  segments: string[]
  /** Milliseconds since they were last known to be those of the service. */
  age: number
}

type Entry = {
  memberships: UserMemberships['memberships']
  /** When they were last known to be current; undefined while the feed says that they are. */
  knownAt: number | undefined
}

/** Looks up memberships with their expiries. */
type FindMemberships = (userId: string, options: CallOptions) => Promise<UserMemberships['memberships']>

const MAX_USERS = 10_000

/**
 * Lookups that are kept in memory, and dropped when the change feed says that the user has changed. While the service is away,
 * they answer what was last known, and their age grows.
 */
export class LookupCache {
  /** Resolves after `close`. Rejects if the feed can't be followed any more; lookups then ask the service each time. */
  readonly ended: Promise<void>
  readonly #transport: Transport
  readonly #findMemberships: FindMemberships
  readonly #maxUsers: number
  readonly #closing = new AbortController()
  readonly #freshness = new Freshness()
  /** The least recently used first. */
  readonly #entries = new Map<string, Entry>()
  /** The users whose lookups are under way. A change makes them false: the lookup may have missed it. */
  readonly #lookups = new Map<string, { isUnchanged: boolean }[]>()
  #isFollowing = false

  constructor(transport: Transport, findMemberships: FindMemberships, maxUsers = MAX_USERS) {
    this.#transport = transport
    this.#findMemberships = findMemberships
    this.#maxUsers = maxUsers
    this.ended = this.#follow()
    this.ended.catch(() => {})
  }

  /**
   * The segments of a user, from memory if it has them.
   *
   * @throws {SegmentsError} USER_NOT_FOUND, and the errors of any request, if nothing is known of the user.
   */
  async getUserSegments(userId: UserId, options: CallOptions = {}): Promise<CachedSegments> {
    const id = readUserId(userId)
    const known = this.#entries.get(id)
    if (known && known.knownAt === undefined) return this.#answer(id, known)
    try {
      return this.#answer(id, await this.#load(id, options))
    } catch (error) {
      if (known && isTransient(error)) return this.#answer(id, known)
      if (isSegmentsError(error, 'USER_NOT_FOUND')) this.#entries.delete(id)
      throw error
    }
  }

  /** Stops following the feed, and forgets everything. */
  close(): void {
    this.#closing.abort()
  }

  async #load(userId: string, options: CallOptions): Promise<Entry> {
    const lookup = { isUnchanged: this.#isFollowing }
    const lookups = this.#lookups.get(userId)
    if (lookups) lookups.push(lookup)
    else this.#lookups.set(userId, [lookup])
    const begunAt = Date.now()
    try {
      const memberships = await this.#findMemberships(userId, options)
      return { memberships, knownAt: lookup.isUnchanged ? undefined : begunAt }
    } finally {
      const others = (this.#lookups.get(userId) ?? []).filter((other) => other !== lookup)
      if (others.length > 0) this.#lookups.set(userId, others)
      else this.#lookups.delete(userId)
    }
  }

  #answer(userId: string, entry: Entry): CachedSegments {
    this.#entries.delete(userId)
    this.#entries.set(userId, entry)
    const [oldest] = this.#entries.keys()
    if (this.#entries.size > this.#maxUsers && oldest !== undefined) this.#entries.delete(oldest)
    const segments = entry.memberships
      .filter(({ expires_at }) => isCurrent(expires_at))
      .map(({ slug }) => slug)
    return { segments, age: Math.max(0, Date.now() - (entry.knownAt ?? this.#freshness.knownAt)) }
  }

  async #follow(): Promise<void> {
    const { signal } = this.#closing
    try {
      for (;;) {
        try {
          await this.#followFeed(signal)
        } catch (error) {
          if (!isSegmentsError(error, 'CURSOR_EXPIRED')) throw error
        } finally {
          this.#isFollowing = false
          for (const userId of [...this.#entries.keys(), ...this.#lookups.keys()]) this.#expire(userId)
        }
      }
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      this.#entries.clear()
    }
  }

  async #followFeed(signal: AbortSignal): Promise<void> {
    const feed = new ChangeFeed(this.#transport, { wait: COPY_WAIT_SECONDS, signal })
    for await (const { changes } of feed.pages()) {
      for (const change of changes) this.#apply(change)
      this.#freshness.advance(changes)
      this.#isFollowing = true
    }
  }

  #apply({ type, user_id, slug }: Change): void {
    if (user_id !== null) this.#expire(user_id)
    if (type === 'user_erased' && user_id !== null) this.#entries.delete(user_id)
    if (type !== 'segment_deleted') return
    for (const [userId, { memberships }] of this.#entries) {
      if (memberships.some((membership) => membership.slug === slug)) this.#expire(userId)
    }
    for (const userId of this.#lookups.keys()) this.#expire(userId)
  }

  /** What is known of a user is not current any more, or may not be. */
  #expire(userId: string): void {
    for (const lookup of this.#lookups.get(userId) ?? []) lookup.isUnchanged = false
    const entry = this.#entries.get(userId)
    if (entry) entry.knownAt ??= this.#freshness.knownAt
  }
}
