import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import type { Answer, TestClient } from './client.ts'

/** A change of the feed. */
export type FeedChange = {
  cursor: string
  type: string
  user_id: string | null
  slug: string | null
  time: string
  cause: string | null
  actor: string | null
  expires_at: string | null
  changes: object | null
}

export type FeedPage = { changes: FeedChange[]; cursor: string }

/** Reads one page of the feed. */
export async function readChanges(http: TestClient, after: string, query = ''): Promise<FeedPage> {
  const answer = await http.get(`/api/v1/changes?after=${after}${query}`)
  assert.equal(answer.status, 200, answer.text)
  return answer.json<FeedPage>()
}

/** Reads pages until one is empty. */
export async function readAllChanges(http: TestClient, after: string, query = ''): Promise<FeedPage> {
  const all: FeedChange[] = []
  let cursor = after
  for (;;) {
    const page = await readChanges(http, cursor, query)
    cursor = page.cursor
    if (page.changes.length === 0) return { changes: all, cursor }
    all.push(...page.changes)
  }
}

/** The cursor of an answer that the feed continues. */
export function cursorOf({ headers }: Answer): string {
  const cursor = headers['x-segments-cursor']
  assert.equal(typeof cursor, 'string')
  return String(cursor)
}

/** A consumer of the feed: the members of each segment, as they follow from the changes. */
export class FeedConsumer {
  readonly members = new Map<string, Map<string, { expiresAt: string | null }>>()
  cursor: string

  constructor(cursor: string) {
    this.cursor = cursor
  }

  /** A consumer that begins with the members of a segment: the answer is that of `users.csv?expires=true`. */
  static ofDownload(slug: string, answer: Answer): FeedConsumer {
    const consumer = new FeedConsumer(cursorOf(answer))
    const [header, ...lines] = answer.text.trim().split('\n')
    assert.equal(header, 'user_id,expires_at')
    const members = new Map(
      lines.map((line) => line.split(',')).map(([user = '', expiry]) => [user, { expiresAt: expiry || null }])
    )
    consumer.members.set(slug, members)
    return consumer
  }

  /** The state as text, which {@link readCopy} reads. */
  toText(): string {
    const members = [...this.members].map(([slug, users]) => [slug, [...users]])
    return JSON.stringify({ cursor: this.cursor, members })
  }

  /** Reads and applies everything that is new. */
  async catchUp(http: TestClient, query = ''): Promise<FeedChange[]> {
    const { changes, cursor } = await readAllChanges(http, this.cursor, query)
    for (const change of changes) this.apply(change)
    this.cursor = cursor
    return changes
  }

  /** @throws {Error} if the change does not follow from the state: one before it is missing, or it came twice. */
  apply({ type, slug, user_id: user, expires_at: expiresAt, time }: FeedChange): void {
    if (type === 'user_erased') {
      for (const members of this.members.values()) members.delete(String(user))
      return
    }
    const members = this.members.get(String(slug)) ?? new Map<string, { expiresAt: string | null }>()
    this.members.set(String(slug), members)
    const member = members.get(String(user))
    // Times have the same form, so they compare as text.
    const isMember = member !== undefined && (member.expiresAt === null || member.expiresAt > time)
    const name = `${type} of user ${user} in ${slug} at ${time}`
    if (type === 'membership_added') {
      if (isMember) throw new Error(`${name}: is a member already`)
      members.set(String(user), { expiresAt })
    } else if (type === 'expiry_set') {
      if (!isMember) throw new Error(`${name}: is no member`)
      members.set(String(user), { expiresAt })
    } else if (type === 'membership_removed') {
      if (!isMember) throw new Error(`${name}: is no member`)
      members.delete(String(user))
    } else if (type === 'segment_deleted') {
      members.clear()
    }
  }

  /** The segments of a user at a time, in the order of their slugs. */
  segmentsAt(user: string, time: string): string[] {
    return [...this.members.keys()].filter((slug) => this.membersAt(slug, time).includes(user)).sort()
  }

  /** Lets time pass: every expiry is replaced. */
  moveExpiries(move: (time: string) => string): void {
    for (const members of this.members.values())
      for (const [user, { expiresAt }] of members)
        members.set(user, { expiresAt: expiresAt && move(expiresAt) })
  }

  /** The users of a segment at a time, ascending. */
  membersAt(slug: string, time: string): string[] {
    return [...(this.members.get(slug) ?? [])]
      .filter(([, { expiresAt }]) => expiresAt === null || expiresAt > time)
      .map(([user]) => user)
      .sort((a, b) => (BigInt(a) < BigInt(b) ? -1 : 1))
  }
}

type Copy = { cursor: string; members: [string, [string, { expiresAt: string | null }][]][] }

/** Reads a consumer that was stored in a file. Without the file, it begins at the start. */
export async function readCopy(file: string): Promise<FeedConsumer> {
  const text = await readFile(file, 'utf8').catch(() => undefined)
  if (text === undefined) return new FeedConsumer('start')
  const { cursor, members }: Copy = JSON.parse(text)
  const consumer = new FeedConsumer(cursor)
  for (const [slug, users] of members) consumer.members.set(slug, new Map(users))
  return consumer
}
