import { type Microseconds, Moment } from './moment.ts'

export type UserId = string

/** A user's stay in a segment. */
export type Period = { slug: string; added: Moment; ended?: Moment }

type Decision = { operation: 'add' | 'delete'; at: Moment }

/**
 * What is known of a segment while it is being filled: how many are to be drawn of whom, and what requests have
 * decided meanwhile, which stands.
 */
export class Filling {
  readonly since: Moment
  readonly target: number
  readonly #candidates: readonly UserId[]
  readonly #decisions = new Map<UserId, Decision[]>()

  constructor(since: Moment, target: number, candidates: readonly UserId[]) {
    this.since = since
    this.target = target
    this.#candidates = candidates
  }

  decide(userId: UserId, operation: 'add' | 'delete', at: Moment): void {
    this.#decisions.set(userId, [...(this.#decisions.get(userId) ?? []), { operation, at }])
  }

  /** Whether the user is in it, if that is known. */
  stateOf(userId: UserId): boolean | 'open' {
    const last = this.#decisions.get(userId)?.at(-1)
    if (last) return last.operation === 'add'
    return this.#candidates.includes(userId) ? 'open' : false
  }

  /** How many of those who may have been drawn were decided on by request. */
  countDecided(): number {
    return this.#candidates.filter((userId) => this.#decisions.has(userId)).length
  }

  /** What a user's periods in it may be, now that it is over: without and with having been put in. */
  possiblePeriods(slug: string, userId: UserId, deleted: Moment | undefined, now: Microseconds): Period[][] {
    const decisions = this.#decisions.get(userId) ?? []
    const without = follow([], slug, decisions, deleted)
    if (!this.#candidates.includes(userId)) return [without]
    const latest = (decisions[0]?.at ?? deleted)?.latest ?? now
    const putIn = { slug, added: new Moment(this.since.earliest, latest) }
    return [without, follow([putIn], slug, decisions, deleted)]
  }
}

/** What becomes of a user's periods in a segment by what is decided on the user, and by the segment's end. */
function follow(
  before: Period[],
  slug: string,
  decisions: Decision[],
  deleted: Moment | undefined
): Period[] {
  const periods = [...before]
  let open = periods.at(-1)
  for (const { operation, at } of decisions) {
    if (operation === 'add' && !open) {
      open = { slug, added: at }
      periods.push(open)
    } else if (operation === 'delete' && open) {
      open.ended = at
      open = undefined
    }
  }
  if (open && deleted) open.ended = deleted
  return periods
}
