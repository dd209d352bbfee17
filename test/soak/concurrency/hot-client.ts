import type { Answer, TestClient } from '../../support/client.ts'
import { parseHistory, replay } from '../../support/history.ts'
import { dayFromNow, untilTaken } from '../../support/service.ts'
import { pick, randomFrom, seed } from '../form.ts'
import type { Journal } from './journal.ts'

export const HOT_USERS = 50
const HOTTEST_USERS = 4
/** The segments that all clients change. */
export const sharedSlugs = ['SHARED_1', 'SHARED_2', 'SHARED_3', 'SHARED_4'] as const
/** A user is never in both of them, and after the first change always in one. */
const crossing = ['CROSS_A', 'CROSS_B'] as const
export const commonSlugs = [...sharedSlugs, ...crossing]

type Instances = readonly [TestClient, ...TestClient[]]

/** How often the addition of a user to the client's own segment, and the removal, were acknowledged. */
type OwnCounts = { adds: number; deletes: number }

/** Whether a user is in exactly one of the two exclusive segments. */
export function isExclusive(slugs: Iterable<string>): boolean {
  return new Set(crossing).difference(new Set(slugs)).size > 0
}

/**
 * One of many clients that call every operation concurrently for the same few users. Each client has a segment of its
 * own, so it knows exactly which of its changes must be there, whatever the others do.
 */
export class HotClient {
  readonly ownSlug: string
  readonly own = new Map<number, OwnCounts>()
  readonly #instances: Instances
  readonly #journal: Journal
  readonly #random: () => number
  readonly #firstDay: string

  constructor(index: number, instances: Instances, journal: Journal) {
    this.ownSlug = `OWN_${index}`
    this.#instances = instances
    this.#journal = journal
    this.#random = randomFrom(seed + index)
    // A separate user, so that no other client orders the same report.
    this.#firstDay = new Date(index * 86_400_000).toISOString().slice(0, 10)
    for (let user = 1; user <= HOT_USERS; user += 1) this.own.set(user, { adds: 0, deletes: 0 })
  }

  /** Calls one operation after the other, until all clients together have reached the total. */
  async run(operations: number): Promise<void> {
    while (this.#journal.operations < operations) {
      this.#journal.operations += 1
      await this.#act()
    }
  }

  #act(): Promise<void> {
    const kind = this.#random()
    if (kind < 0.5) return this.#change()
    if (kind < 0.55) return this.#cross()
    if (kind < 0.8) return this.#read()
    if (kind < 0.85) return this.#readMany()
    if (kind < 0.92) return this.#create()
    if (kind < 0.97) return this.#delete()
    if (kind < 0.99) return this.#getSegment()
    return this.#report()
  }

  /** Changes its own segment, and at random shared, exclusive, or just created and deleted ones. */
  async #change(): Promise<void> {
    const user = this.#hotUser()
    const counts = this.#counts(user)
    const isIn = counts.adds > counts.deletes
    const add: string[] = isIn ? [] : [this.ownSlug]
    const remove: string[] = isIn ? [this.ownSlug] : []
    const isCrossing = this.#random() < 0.5
    if (isCrossing) {
      const [one, other] = crossing
      const isForth = this.#random() < 0.5
      add.push(isForth ? one : other)
      remove.push(isForth ? other : one)
    }
    for (const slug of sharedSlugs) {
      const kind = this.#random()
      if (kind < 0.4) (kind < 0.2 ? add : remove).push(slug)
    }
    const brief = this.#random() < 0.5 ? this.#briefSlug() : undefined
    if (brief) (this.#random() < 0.7 ? add : remove).push(brief)
    if (this.#random() < 0.5) add.reverse()

    const begun = Date.now()
    const { status } = await this.#send('change', brief ? [200, 404] : [200], (http) =>
      http.changeSegments(user, add, remove)
    )
    const ended = Date.now() + 1
    if (status !== 200) return
    if (isIn) counts.deletes += 1
    else counts.adds += 1
    if (isCrossing) this.#journal.crossed.add(user)
    for (const [slugs, operation] of [[add, 'add'] as const, [remove, 'delete'] as const])
      for (const slug of slugs)
        if (slug !== this.ownSlug) this.#journal.changes.push({ userId: user, slug, operation, begun, ended })
  }

  /** Sends opposite changes at the same moment, to all instances. */
  async #cross(): Promise<void> {
    const user = this.#hotUser()
    const [one, other] = crossing
    const ways = this.#instances.map((http, n) =>
      n % 2 === 0 ? { http, add: one, remove: other } : { http, add: other, remove: one }
    )
    await Promise.all(
      ways.map(({ http, add, remove }) =>
        this.#send('cross', [200], () => http.changeSegments(user, [add], [remove]))
      )
    )
    this.#journal.crossed.add(user)
  }

  async #read(): Promise<void> {
    const user = this.#hotUser()
    const isCrossed = this.#journal.crossed.has(user)
    const answer = await this.#send('read', [200], (http) => http.getSegments(user))
    if (answer.status === 200) this.#check(user, answer.json(), isCrossed)
  }

  async #readMany(): Promise<void> {
    const users = Array.from({ length: 6 }, () => this.#hotUser())
    const crossed = new Set(users.filter((user) => this.#journal.crossed.has(user)))
    const answer = await this.#send('read many', [200], (http) => http.querySegments(users))
    if (answer.status !== 200) return
    const { segments } = answer.json<{ segments: Record<string, string[]> }>()
    for (const user of users) this.#check(user, segments[user] ?? [], crossed.has(user))
  }

  /** Creates a segment with a new slug, or with one that another client is just creating. */
  async #create(): Promise<void> {
    const { creations, shares } = this.#journal
    const known = [...creations.keys()]
    const slug = (this.#random() < 0.3 && known.at(-1)) || `BRIEF_${known.length}`
    creations.set(slug, creations.get(slug) ?? 0)
    const share = pick(this.#random, [undefined, 0.007, 0.1, 0.25])
    const later = this.#random() < 0.5
    const { status } = await this.#send('create', [later ? 202 : 200, 409], (http) =>
      http.createSegment(slug, share, later ? { prefer: 'respond-async' } : {})
    )
    if (status === 409) return
    creations.set(slug, (creations.get(slug) ?? 0) + 1)
    if (share !== undefined) shares.set(slug, { share, later })
  }

  /** Deletes a segment while users join it. */
  async #delete(): Promise<void> {
    const { deletions } = this.#journal
    const slug = this.#briefSlug()
    if (!slug) return
    const entries = Array.from({ length: 4 }, () =>
      this.#send('enter', [200, 404], (http) => http.changeSegments(this.#hotUser(), [slug], []))
    )
    const deletion = this.#send('delete', [200, 404], (http) => http.deleteSegment(slug))
    const [{ status }] = await Promise.all([deletion, ...entries])
    if (status === 200) deletions.set(slug, (deletions.get(slug) ?? 0) + 1)
  }

  async #getSegment(): Promise<void> {
    await this.#send('get segment', [200], (http) => http.getSegment(this.ownSlug))
  }

  /** Orders a report, and compares it with the user's history at the time of the order. */
  async #report(): Promise<void> {
    const user = this.#hotUser()
    const { adds, deletes } = this.#counts(user)
    const http = pick(this.#random, this.#instances)
    const order = await this.#send('order', [202], () =>
      http.orderReport(user, this.#firstDay, dayFromNow(1))
    )
    if (order.status !== 202) return
    let report: Answer
    do report = await this.#send('report', [200, 404], () => http.fetchReport(order))
    while (report.code === 'REPORT_PENDING')
    if (report.status !== 200) return this.#journal.complain(`report: ${report.text}`)
    const rows = parseHistory(report.text)
    const ownRows = rows.filter(({ slug }) => slug === this.ownSlug).length
    if (ownRows !== adds + deletes)
      this.#journal.complain(
        `report of ${user}: ${ownRows} rows of ${this.ownSlug}, not ${adds} + ${deletes}`
      )
    try {
      replay(rows, (active) => {
        if (!isExclusive(active)) throw new Error('in both of two that exclude each other')
      })
    } catch (error) {
      this.#journal.complain(`report of ${user}: ${error}`)
    }
  }

  /** A read contains every change that was acknowledged before it began. */
  #check(user: number, slugs: string[], isCrossed: boolean): void {
    const { adds, deletes } = this.#counts(user)
    if (slugs.includes(this.ownSlug) !== adds > deletes)
      this.#journal.complain(
        `${user} was read as in ${slugs}, after ${adds} adds and ${deletes} deletes of ${this.ownSlug}`
      )
    if (!isExclusive(slugs)) this.#journal.complain(`${user} was read as in both: ${slugs}`)
    if (isCrossed && !crossing.some((slug) => slugs.includes(slug)))
      this.#journal.complain(`${user} was read as in neither: ${slugs}`)
  }

  /** Sends a request to a random instance. */
  async #send(
    what: string,
    expected: number[],
    send: (http: TestClient) => Promise<Answer>
  ): Promise<Answer> {
    const answer = await untilTaken(() => send(pick(this.#random, this.#instances)))
    if (!expected.includes(answer.status)) this.#journal.complain(`${what}: ${answer.status} ${answer.text}`)
    this.#journal.longest = Math.max(this.#journal.longest, answer.milliseconds)
    return answer
  }

  /** In half of the cases one of a few users, so that many clients change the same one at the same moment. */
  #hotUser(): number {
    const users = this.#random() < 0.5 ? HOTTEST_USERS : HOT_USERS
    return 1 + Math.floor(this.#random() * users)
  }

  #counts(user: number): OwnCounts {
    return this.own.get(user) ?? { adds: 0, deletes: 0 }
  }

  /** One of the latest temporary segments. */
  #briefSlug(): string | undefined {
    const latest = [...this.#journal.creations.keys()].slice(-2)
    return latest[Math.floor(this.#random() * latest.length)]
  }
}
