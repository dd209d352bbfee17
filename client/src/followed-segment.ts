import { ChangeFeed } from './changes.ts'
import type { Change } from './contract-types.ts'
import type { UsersDownload } from './download.ts'
import { isSegmentsError } from './errors.ts'
import { Freshness, isCurrent } from './freshness.ts'
import { readSlug, readUserId, type UserId } from './names.ts'
import { insist } from './retry.ts'
import type { Transport } from './transport.ts'

/** Seconds that the service waits for a change: about the age that a copy reaches while nothing changes. */
export const COPY_WAIT_SECONDS = 5
/** The most changes in an answer. */
const PAGE_SIZE = 1_000

/** Downloads the members of a segment with their expiries. */
type DownloadUsers = (
  slug: string,
  options: { expires: true; retries: number; signal: AbortSignal }
) => Promise<UsersDownload>

/**
 * A copy of the members of a segment in memory, which follows the service. While the service is away, it answers what it last
 * knew, and its `age` grows.
 */
export class FollowedSegment {
  /** Resolves when the copy has caught up with the service. Rejects if it can't be made. */
  readonly ready: Promise<void>
  /** Resolves after `close`. Rejects if the copy can't follow the service any more, as when the key is not valid any more. */
  readonly ended: Promise<void>
  readonly #slug: string
  readonly #closing = new AbortController()
  readonly #transport: Transport
  readonly #downloadUsers: DownloadUsers
  /** When each membership expires; null if it does not. */
  #members: ReadonlyMap<string, string | null> = new Map()
  readonly #freshness = new Freshness()

  constructor(transport: Transport, slug: string, downloadUsers: DownloadUsers) {
    this.#slug = readSlug(slug)
    this.#transport = transport
    this.#downloadUsers = downloadUsers
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

  /** Milliseconds since the copy was last known to be that of the service. Infinity until the segment has been downloaded. */
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
    const { members, cursor, begunAt } = await insist(() => this.#download(), signal)
    this.#members = members
    this.#freshness.knownAt = begunAt
    const feed = new ChangeFeed(this.#transport, {
      after: cursor,
      segment: this.#slug,
      limit: PAGE_SIZE,
      wait: COPY_WAIT_SECONDS,
      signal
    })
    try {
      for await (const { changes } of feed.pages()) {
        for (const change of changes) applyChange(members, change)
        this.#freshness.advance(changes)
        // The download may have taken minutes. A full page may have more behind it.
        if (changes.length < PAGE_SIZE) complete()
      }
    } catch (error) {
      // Too old, or the database was restored: the copy is made again, and this one answers until then.
      if (!isSegmentsError(error, 'CURSOR_EXPIRED')) throw error
    }
  }

  async #download() {
    const begunAt = Date.now()
    const options = { expires: true, retries: 0, signal: this.#closing.signal } as const
    const download = await this.#downloadUsers(this.#slug, options)
    const members = new Map<string, string | null>()
    for await (const line of download.lines()) {
      const [userId = '', expiresAt = ''] = line.split(',')
      if (userId !== 'user_id') members.set(userId, expiresAt === '' ? null : expiresAt)
    }
    return { members, cursor: download.cursor, begunAt }
  }
}

function applyChange(members: Map<string, string | null>, { type, user_id, expires_at }: Change): void {
  if (type === 'segment_deleted') members.clear()
  if (user_id === null) return
  if (type === 'membership_added' || type === 'expiry_set') members.set(user_id, expires_at)
  if (type === 'membership_removed' || type === 'user_erased') members.delete(user_id)
}
