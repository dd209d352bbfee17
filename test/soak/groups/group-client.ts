import type { Answer, TestClient } from '../../support/client.ts'
import { pick } from '../form.ts'

/** Users who are changed by all clients. */
const HOT_USERS = 40
/** Segments that may be changed: the newest ones. */
const LIVE_SEGMENTS = 8

/** What the clients share. */
export class GroupState {
  readonly groups: string[] = []
  readonly segments: string[] = []
  readonly violations: string[] = []
  /** How often each operation was answered with each status or code. */
  readonly answers = new Map<string, number>()
  operations = 0
  #names = 0
  #users = HOT_USERS

  /** How often an operation was answered, with any status. */
  total(operation: string): number {
    return [...this.answers].reduce(
      (sum, [outcome, times]) => sum + (outcome.startsWith(`${operation} `) ? times : 0),
      0
    )
  }

  /** A slug that has not been used. */
  name(prefix: string): string {
    this.#names += 1
    return `${prefix}_${this.#names}`
  }

  /** An id that is new, or was a moment ago. */
  newUser(random: () => number): number {
    if (random() < 0.5) this.#users += 1
    return this.#users
  }

  record(operation: string, { status, code, text }: Answer): void {
    const outcome = `${operation} ${code ?? status}`
    this.answers.set(outcome, (this.answers.get(outcome) ?? 0) + 1)
    // Some segments have no share or no group.
    const isIncomplete = ['enroll', 'holdout'].includes(operation) && code === 'INVALID_REQUEST'
    // The segment has entered a group while the upload arrived, or the group has changed during each of the attempts that
    // the service makes. Citus also takes some of the waits for locks for deadlocks.
    const isToRepeat = code === 'DATABASE_UNAVAILABLE'
    const isExpected =
      [200, 202, 404, 409].includes(status) ||
      isIncomplete ||
      isToRepeat ||
      code === 'LINES_REJECTED' ||
      code === 'LOCK_TIMEOUT' ||
      code === 'TOO_MANY_IMPORTS'
    if (!isExpected) this.violations.push(`${outcome}: ${text.slice(0, 200)}`)
  }
}

type Operation = readonly [weight: number, name: string, run: () => Promise<Answer | undefined>]

/** One of many clients that change the same groups, segments and users in every way, concurrently. */
export class GroupClient {
  readonly #instances: readonly [TestClient, ...TestClient[]]
  readonly #state: GroupState
  readonly #random: () => number
  readonly #operations: readonly Operation[]

  /** @param uploads whether the client sends uploads. An instance takes few at once. */
  constructor(
    instances: readonly [TestClient, ...TestClient[]],
    state: GroupState,
    random: () => number,
    uploads: boolean
  ) {
    this.#instances = instances
    this.#state = state
    this.#random = random
    this.#operations = [
      [50, 'change', () => this.#change()],
      [uploads ? 60 : 0, 'upload', () => this.#upload('POST')],
      [uploads ? 30 : 0, 'replace', () => this.#upload('PUT')],
      [uploads ? 15 : 0, 'remove', () => this.#upload('DELETE')],
      [uploads ? 20 : 0, 'users', () => this.#post('users', this.#userLines(5), 'POST')],
      [8, 'create', () => this.#create()],
      [5, 'delete', () => this.#delete()],
      [8, 'share', () => this.#patch({ selection: this.#share() })],
      [8, 'group', () => this.#patch({ group: this.#random() < 0.3 ? null : this.#group() })],
      [3, 'enroll', () => this.#patch({ enroll_new_users: this.#random() < 0.7 })],
      [2, 'holdout', () => this.#patch({ holdout: this.#random() < 0.5 })],
      [1, 'regroup', () => this.#regroup()],
      [3, 'report', () => this.#report()]
    ]
  }

  /** Calls one operation after the other, until all clients together have reached the total. */
  async run(operations: number): Promise<void> {
    const total = this.#operations.reduce((sum, [weight]) => sum + weight, 0)
    while (this.#state.operations < operations) {
      this.#state.operations += 1
      let place = this.#random() * total
      const chosen = this.#operations.find(([weight]) => {
        place -= weight
        return place < 0
      })
      const answer = await chosen?.[2]()
      if (answer) this.#state.record(String(chosen?.[1]), answer)
    }
  }

  get #http(): TestClient {
    return pick(this.#random, this.#instances)
  }

  #group(): string {
    return this.#state.groups[Math.floor(this.#random() * this.#state.groups.length)] ?? ''
  }

  #segment(): string {
    const live = this.#state.segments.slice(-LIVE_SEGMENTS)
    return live[Math.floor(this.#random() * live.length)] ?? ''
  }

  #share(): number {
    return Math.floor(this.#random() * 40) / 100
  }

  #user(): number {
    if (this.#random() < 0.2) return this.#state.newUser(this.#random)
    return 1 + Math.floor(this.#random() * HOT_USERS)
  }

  #userLines(count: number): string {
    return Array.from({ length: count }, () => `${this.#user()}\n`).join('')
  }

  /** Adds a user to one or two segments, and removes the user from another one. */
  #change(): Promise<Answer> {
    const add = new Set([this.#segment()])
    if (this.#random() < 0.3) add.add(this.#segment())
    const remove = new Set(this.#random() < 0.4 ? [this.#segment()] : []).difference(add)
    return this.#http.post(`/api/v1/segments/user/${this.#user()}`, {
      segments_to_add: [...add],
      segments_to_delete: [...remove],
      move: this.#random() < 0.5,
      ...(this.#random() < 0.2 && { ttl_seconds: 1 })
    })
  }

  #post(path: string, body: string, method: 'POST' | 'PUT' | 'DELETE'): Promise<Answer> {
    const onError = this.#random() < 0.8 ? 'skip' : 'fail'
    return this.#http.request({
      method,
      url: `/api/v1/${path}?on_error=${onError}`,
      headers: { 'content-type': 'text/csv' },
      body
    })
  }

  #upload(method: 'POST' | 'PUT' | 'DELETE'): Promise<Answer> {
    return this.#post(`segment/${this.#segment()}/users`, this.#userLines(12), method)
  }

  async #create(): Promise<Answer> {
    const slug = this.#state.name('S')
    const hasShare = this.#random() < 0.7
    const answer = await this.#http.post(
      '/api/v1/segment',
      {
        slug,
        ...(hasShare && { selection: this.#share(), enroll_new_users: this.#random() < 0.4 }),
        ...(this.#random() < 0.8 && { group: this.#group(), holdout: this.#random() < 0.1 })
      },
      this.#random() < 0.4 ? { prefer: 'respond-async' } : {}
    )
    if (answer.status < 300) this.#state.segments.push(slug)
    return answer
  }

  async #delete(): Promise<Answer | undefined> {
    const { segments } = this.#state
    if (segments.length < LIVE_SEGMENTS) return undefined
    const [slug = ''] = segments.splice(segments.length - 1 - Math.floor(this.#random() * LIVE_SEGMENTS), 1)
    return this.#http.deleteSegment(slug)
  }

  #patch(change: object): Promise<Answer> {
    return this.#http.patchSegment(this.#segment(), change)
  }

  /** Replaces a group by a new one. */
  async #regroup(): Promise<Answer> {
    const slug = this.#state.name('G')
    const answer = await this.#http.post('/api/v1/groups', { slug })
    if (answer.status !== 200) return answer
    const [old = ''] = this.#state.groups.splice(0, 1, slug)
    return this.#http.request({ method: 'DELETE', url: `/api/v1/groups/${old}` })
  }

  async #report(): Promise<Answer> {
    const answer = await this.#http.get(`/api/v1/groups/${this.#group()}`)
    if (answer.status === 200) {
      const { users, members, free_users, segments } = answer.json<{
        users: number
        members: number
        free_users: number
        segments: { members: number }[]
      }>()
      const sum = segments.reduce((all, segment) => all + segment.members, 0)
      if (sum !== members || members + free_users > users) this.#state.violations.push(answer.text)
    }
    return answer
  }
}
