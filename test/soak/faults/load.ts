import { setTimeout as sleep } from 'node:timers/promises'
import { type Answer, connectClient, type TestClient } from '../../support/client.ts'
import { waitUntil } from '../../support/service.ts'
import { randomFrom, seed, sized } from '../form.ts'
import { Ledger, type LedgerSegment, LedgerUser } from './ledger.ts'

/** The deadline of a response in milliseconds, with a margin for a busy machine. */
const DEADLINE_MS = 10_000
const GRACE_MS = 2_000
/** Milliseconds that a client waits after a refusal; less than `Retry-After`, to keep the load up. */
const REFUSAL_PAUSE_MS = 50
/** Milliseconds that a client waits after a success. In the short form, so that other tests can run at the same time. */
const SUCCESS_PAUSE_MS = sized(20, 0)
/** After this many consecutive successes a client counts as recovered. */
const WELL = 5

/** Smaller user ids belong to other checks. */
const FIRST_USER = 1_001
export const commonSlugs = ['S0', 'S1', 'S2', 'S3', 'S4', 'S5', 'S6', 'S7'] as const

export type LoadOptions = {
  clients: number
  /** Whether segments are created and deleted too. Creating one may take ten minutes if the database is slow. */
  segments: boolean
}

type Client = { random: () => number; users: LedgerUser[]; segments: LedgerSegment[]; streak: number }

/**
 * Clients that read and write, each as soon as it has its last response, or shortly after it. Every response is checked: 200 in time, or 503
 * with `Retry-After` in time. Every acknowledged write is recorded.
 */
export class Load {
  readonly ledger = new Ledger()
  /** The first violations. */
  readonly violations: string[] = []
  acknowledged = 0
  refused = 0
  /** The longest response time, in milliseconds. */
  longest = 0
  readonly #http: TestClient
  readonly #options: LoadOptions
  readonly #clients: Client[]
  #running: Promise<unknown> = Promise.resolve()
  #stopping = false
  /** Requests that began before this time do not count for the recovery of a client. */
  #observedSince = 0
  #lastRefusal = 0

  constructor(address: string, options: LoadOptions) {
    this.#http = connectClient(address)
    this.#options = options
    this.#clients = Array.from({ length: options.clients }, (_, n) => ({
      random: randomFrom(seed + n),
      users: [],
      segments: [],
      streak: 0
    }))
  }

  /** Resolves when all clients have been running for a while. */
  async start(): Promise<void> {
    this.#running = Promise.all(this.#clients.map((client) => this.#run(client)))
    await this.#everyClientIsWell()
  }

  /**
   * Resolves when each client has had several consecutive successes.
   *
   * @returns milliseconds from now to the response to the last refused request that began after now; infinite if the
   * recovery takes too long.
   */
  async recover(): Promise<number> {
    const since = performance.now()
    this.#observedSince = since
    this.#lastRefusal = since
    for (const client of this.#clients) client.streak = 0
    return this.#everyClientIsWell().then(
      () => this.#lastRefusal - since,
      () => Number.POSITIVE_INFINITY
    )
  }

  /** Resolves when the last request has been answered. */
  async stop(): Promise<void> {
    this.#stopping = true
    await this.#running
    this.#http.close()
  }

  async #everyClientIsWell(): Promise<void> {
    await waitUntil(
      async () => this.violations.length > 0 || this.#clients.every(({ streak }) => streak >= WELL),
      (isWell) => isWell
    )
  }

  async #run(client: Client): Promise<void> {
    while (!this.#stopping) {
      const { random, users, segments } = client
      const known = users.filter(({ doubt, isKnown }) => isKnown && !doubt).slice(-20)
      const user = known[Math.floor(random() * known.length)]
      const segment = segments.find(({ state }) => state === 'created')
      const kind = random()
      if (!user || kind < 0.3) await this.#change(client, this.#newUser(client))
      else if (kind < 0.5) await this.#change(client, user)
      else if (kind < 0.6) await this.#readMany(client, known)
      else if (kind < 0.9 || !this.#options.segments) await this.#read(client, user)
      else if (kind < 0.95 || !segment) await this.#create(client)
      else await this.#delete(client, segment)
    }
  }

  #newUser({ users }: Client): LedgerUser {
    const user = new LedgerUser(FIRST_USER + this.ledger.users.length)
    users.push(user)
    this.ledger.users.push(user)
    return user
  }

  async #change(client: Client, user: LedgerUser): Promise<void> {
    const { active } = user.state
    const remove = active.filter(() => client.random() < 0.5)
    const add = commonSlugs.filter((slug) => !active.includes(slug) && client.random() < 0.4)
    const wanted = user.after(add, remove)
    const isDone = await this.#send(client, `change ${user.userId}`, () =>
      this.#http.changeSegments(user.userId, add, remove)
    )
    if (isDone) {
      user.state = wanted
      user.isKnown = true
    } else {
      user.doubt = wanted
    }
  }

  async #read(client: Client, { userId, state }: LedgerUser): Promise<void> {
    const answer = await this.#send(client, `read ${userId}`, () => this.#http.getSegments(userId))
    if (answer) this.#compare(userId, state.active, answer.json())
  }

  async #readMany(client: Client, users: LedgerUser[]): Promise<void> {
    const ids = users.map(({ userId }) => userId)
    const answer = await this.#send(client, 'read many', () => this.#http.querySegments(ids))
    if (!answer) return
    const { segments } = answer.json<{ segments: Record<string, string[]> }>()
    for (const { userId, state } of users) this.#compare(userId, state.active, segments[userId] ?? [])
  }

  async #create(client: Client): Promise<void> {
    const segment: LedgerSegment = { slug: `OWN_${this.ledger.segments.length}`, state: 'asked for' }
    this.ledger.segments.push(segment)
    client.segments.push(segment)
    const answer = await this.#send(client, `create ${segment.slug}`, () =>
      this.#http.createSegment(segment.slug)
    )
    if (answer) segment.state = 'created'
  }

  async #delete(client: Client, segment: LedgerSegment): Promise<void> {
    segment.state = 'asked to be deleted'
    const answer = await this.#send(client, `delete ${segment.slug}`, () =>
      this.#http.deleteSegment(segment.slug)
    )
    if (answer) segment.state = 'deleted'
  }

  #compare(userId: number, expected: string[], actual: string[]): void {
    const common = actual.filter((slug) => !slug.startsWith('PROBE')).sort()
    if (common.join() !== expected.join())
      this.#complain(`user ${userId} was read as in ${common}, and is in ${expected}`)
  }

  /** Sends a request. Returns the response if the request was accepted. */
  async #send(client: Client, what: string, send: () => Promise<Answer>): Promise<Answer | undefined> {
    const begun = performance.now()
    const answer = await send().catch((error: Error) => {
      this.#complain(`${what} was not answered: ${error.message}`)
    })
    const ended = performance.now()
    this.longest = Math.max(this.longest, ended - begun)
    if (ended - begun > DEADLINE_MS + GRACE_MS) this.#complain(`${what} took ${Math.round(ended - begun)} ms`)
    if (answer?.status === 200) {
      this.acknowledged += 1
      if (begun > this.#observedSince) client.streak += 1
      if (SUCCESS_PAUSE_MS > 0) await sleep(SUCCESS_PAUSE_MS)
      return answer
    }
    if (answer && !isRefusal(answer)) this.#complain(`${what} was answered ${answer.status} ${answer.text}`)
    this.refused += 1
    client.streak = 0
    if (begun > this.#observedSince) this.#lastRefusal = ended
    await sleep(REFUSAL_PAUSE_MS)
    return undefined
  }

  #complain(violation: string): void {
    if (this.violations.length < 10) this.violations.push(violation)
  }
}

/** Whether the response is 503 in the usual form, with `Retry-After`. */
export function isRefusal({ status, headers, text }: Answer): boolean {
  return (
    status === 503 &&
    /^[1-9]\d*$/.test(headers['retry-after'] ?? '') &&
    /^\{"message":"[^"]+","code":"[A-Z_]+"\}$/.test(text)
  )
}
