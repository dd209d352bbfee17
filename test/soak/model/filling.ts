import { type Microseconds, Moment } from './moment.ts'

export type UserId = string

export type Cause =
  | 'request'
  | 'selection'
  | 'enrollment'
  | 'import'
  | 'expiry'
  | 'segment_deleted'
  | 'selection_lowered'

/** A user's stay in a segment. */
export type Period = {
  slug: string
  added: Moment
  cause: Cause
  /** When it ends by itself. */
  expires?: Moment | undefined
  ended?: Moment
  endCause?: Cause
}

/** What is added once more goes on until then; by an upload that names no time, for as long as before. */
export function renewPeriod(period: Period, cause: Cause, expires: Moment | undefined): void {
  if (expires || cause !== 'import') period.expires = expires
}

export function endPeriod(period: Period, at: Moment, cause: Cause): void {
  period.ended = at
  period.endCause = cause
}

/** What a request, or the drawing at a user's first one, makes of a membership. */
export type Decision = { at: Moment } & (
  | { operation: 'add'; cause: 'request' | 'enrollment' | 'import'; expires?: Moment | undefined }
  | { operation: 'delete'; cause: 'request' | 'import' }
)

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

  decide(userId: UserId, decision: Decision): void {
    this.#decisions.set(userId, [...(this.#decisions.get(userId) ?? []), decision])
  }

  /** Whether the user is in it, if that is known. */
  stateOf(userId: UserId): boolean | 'open' {
    const last = this.#decisions.get(userId)?.at(-1)
    if (last) return last.operation === 'add'
    return this.#candidates.includes(userId) ? 'open' : false
  }

  /** Those whom a request put in or took out. */
  decided(): UserId[] {
    return [...this.#decisions.keys()]
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
    const putIn: Period = { slug, added: new Moment(this.since.earliest, latest), cause: 'selection' }
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
  for (const decision of decisions) {
    const { operation, at, cause } = decision
    if (operation === 'delete') {
      if (open) endPeriod(open, at, cause)
      open = undefined
    } else if (open) {
      renewPeriod(open, cause, decision.expires)
    } else {
      open = { slug, added: at, cause, expires: decision.expires }
      periods.push(open)
    }
  }
  if (open && deleted) endPeriod(open, deleted, 'segment_deleted')
  return periods
}
