/** The draws of users: exact, fair to each user, and independent of each other. */
import t, { type Test } from 'tap'
import { startService, type TestService } from '../support/service.ts'
import { scoreInclusion, scoreNeighbours, scoreOrder, scoreOverlaps } from './draws/statistics.ts'
import { randomFrom, seed, summarize } from './form.ts'

/** A prime, so that shares are no integers. */
const USERS = 1_009
/** Draws of each kind: 1,000 in all, as a raised share is two draws, and a group has three. */
const [CREATED, RAISED, GROUPS] = [400, 150, 100]
/** ceil(0.1 × 1,009) and ceil(0.2 × 1,009) users. */
const [TENTH, FIFTH] = [101, 202]

/**
 * Fair draws exceed it less than once in a million runs: there are about thirty z-scores, all nearly normal, and a normal one
 * exceeds it once in 4 × 10^11 times.
 */
const BOUND = 7

const scores = {
  inclusion: scoreInclusion,
  overlaps: scoreOverlaps,
  order: scoreOrder,
  neighbours: scoreNeighbours
}

/** Draws of one size from populations of one size, as positions in the order of the users' ids. */
class Family {
  readonly #population: number
  readonly #size: number
  readonly #sets: Uint32Array[] = []

  constructor(population: number, size: number) {
    this.#population = population
    this.#size = size
  }

  /** @param from the users who could be drawn, in the order of their ids. */
  add(t: Test, drawn: ReadonlySet<string>, from: readonly string[]): void {
    const positions = from.flatMap((userId, position) => (drawn.has(userId) ? [position] : []))
    if (drawn.size !== this.#size || positions.length !== this.#size || from.length !== this.#population)
      t.fail(`${drawn.size} users were drawn, ${positions.length} of them from the ${from.length} free ones`)
    this.#sets.push(Uint32Array.from(positions))
  }

  judge(t: Test, name: string): void {
    const draws = { population: this.#population, sets: this.#sets }
    const figures = Object.entries(scores).map(([score, compute]) => [score, compute(draws)] as const)
    t.comment(
      `${name}: ${this.#sets.length} draws of ${this.#size} from ${this.#population}; ` +
        figures.map(([score, z]) => `${score} ${z.toFixed(2)}`).join(', ')
    )
    for (const [score, z] of figures) t.ok(Math.abs(z) < BOUND, `${name}, ${score}: z = ${z}`)
  }
}

/** Ids with random gaps, ascending. */
async function learnUsers(service: TestService): Promise<string[]> {
  const random = randomFrom(seed)
  let last = 0
  const userIds = Array.from({ length: USERS }, () => {
    last += 1 + Math.floor(random() * 1_000)
    return String(last)
  })
  const body = `${userIds.join('\n')}\n`
  const headers = { 'content-type': 'text/csv' }
  await service.request({ method: 'POST', url: '/api/v1/users', headers, body })
  return userIds
}

t.test('draws are exact, fair and independent', async (t) => {
  const service = await startService(t)
  const userIds = await learnUsers(service)
  let draws = 0
  const membersOf = async (slug: string) => {
    const { text } = await service.get(`/api/v1/segment/${slug}/users.csv`)
    return new Set(text.trimEnd().split('\n').slice(1))
  }
  const create = async (slug: string, selection: number, group?: string) => {
    const { status, text } = await service.post('/api/v1/segment', { slug, selection, group })
    if (status !== 200) t.fail(text)
    draws += 1
    return membersOf(slug)
  }
  /** Raises a share from a tenth to a fifth. */
  const raise = async (slug: string, before: ReadonlySet<string>) => {
    const { body } = await service.patchSegment(slug, { selection: 0.2 })
    draws += 1
    const after = await membersOf(slug)
    if (!before.isSubsetOf(after)) t.fail('a raised share has lost members')
    const added = after.difference(before)
    t.match(body, { added: added.size, removed: 0 })
    return { after, added }
  }
  const others = (...drawn: ReadonlySet<string>[]) =>
    userIds.filter((userId) => !drawn.some((set) => set.has(userId)))

  // What the draws of all kinds have in common: a fifth of all users. They are compared with each other too.
  const fifths = new Family(USERS, FIFTH)
  const tenths = new Family(USERS, TENTH)
  const raised = new Family(USERS - TENTH, FIFTH - TENTH)
  const second = new Family(USERS - FIFTH, TENTH)
  const secondOfAll = new Family(USERS, TENTH)
  const raisedInGroup = new Family(USERS - FIFTH - TENTH, FIFTH - TENTH)

  for (let n = 0; n < CREATED; n += 1) fifths.add(t, await create(`CREATED_${n}`, 0.2), userIds)
  for (let n = 0; n < RAISED; n += 1) {
    const before = await create(`RAISED_${n}`, 0.1)
    const { after, added } = await raise(`RAISED_${n}`, before)
    tenths.add(t, before, userIds)
    raised.add(t, added, others(before))
    fifths.add(t, after, userIds)
  }
  for (let n = 0; n < GROUPS; n += 1) {
    const group = `GROUP_${n}`
    await service.post('/api/v1/groups', { slug: group })
    const treatment = await create(`TREATMENT_${n}`, 0.2, group)
    const control = await create(`CONTROL_${n}`, 0.1, group)
    const { added } = await raise(`CONTROL_${n}`, control)
    fifths.add(t, treatment, userIds)
    second.add(t, control, others(treatment))
    secondOfAll.add(t, control, userIds)
    raisedInGroup.add(t, added, others(treatment, control))
  }

  fifths.judge(t, 'a fifth of all users')
  tenths.judge(t, 'a tenth of all users')
  raised.judge(t, 'what a raised share adds')
  second.judge(t, 'the second segment of a group, among the free users')
  secondOfAll.judge(t, 'the second segment of a group, among all users')
  raisedInGroup.judge(t, 'what a raised share adds in a group')
  // The seed chooses the ids. PostgreSQL draws by a seed of its own, which is not known.
  summarize(t, { draws, users: USERS })
})
