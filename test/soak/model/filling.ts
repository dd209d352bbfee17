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

/** An expiry that was set while the period was running. */
export type Renewal = { at: Moment; cause: 'request' | 'import'; expires: Moment | undefined }

/** A period of a user in a segment. */
export type Period = {
  slug: string
  added: Moment
  cause: Cause
  /** When it expires, as last set. */
  expires?: Moment | undefined
  /** The expiry with which it began, if that was set again, with what was set. */
  renewed?: { initial: Moment | undefined; renewals: Renewal[] }
  ended?: Moment
  endCause?: Cause
}

/** The expiry of a membership that is added again; an upload without an expiry keeps the previous one. */
export function renewPeriod(
  period: Period,
  cause: 'request' | 'import',
  expires: Moment | undefined,
  at: Moment
): void {
  if (cause === 'import' && !expires) return
  if (!expires && !period.expires) return
  period.renewed ??= { initial: period.expires, renewals: [] }
  period.renewed.renewals.push({ at, cause, expires })
  period.expires = expires
}

export function endPeriod(period: Period, at: Moment, cause: Cause): void {
  period.ended = at
  period.endCause = cause
}

/** The effect of a request, or of enrollment, on a membership. */
export type Decision = { at: Moment } & (
  | { operation: 'add'; cause: 'request' | 'enrollment' | 'import'; expires?: Moment | undefined }
  | { operation: 'delete'; cause: 'request' | 'import' }
)

/**
 * What is known about a segment while it is being filled: how many users are sampled from whom, and the explicit
 * changes meanwhile, which take precedence.
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

  /** Whether the user is in the segment, if that is known. */
  stateOf(userId: UserId): boolean | 'open' {
    const last = this.#decisions.get(userId)?.at(-1)
    if (last) return last.operation === 'add'
    return this.#candidates.includes(userId) ? 'open' : false
  }

  /** The users whom a request added or removed. */
  decided(): UserId[] {
    return [...this.#decisions.keys()]
  }

  /** How many of the users who may have been sampled were added or removed by request. */
  countDecided(): number {
    return this.#candidates.filter((userId) => this.#decisions.has(userId)).length
  }

  /** A user's possible periods after the filling: without and with having been added by it. */
  possiblePeriods(slug: string, userId: UserId, deleted: Moment | undefined, now: Microseconds): Period[][] {
    const decisions = this.#decisions.get(userId) ?? []
    const without = follow([], slug, decisions, deleted)
    if (!this.#candidates.includes(userId)) return [without]
    const latest = (decisions[0]?.at ?? deleted)?.latest ?? now
    const sampled: Period = { slug, added: new Moment(this.since.earliest, latest), cause: 'selection' }
    return [without, follow([sampled], slug, decisions, deleted)]
  }
}

/** The effect of explicit changes, and of the segment's deletion, on a user's periods. */
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
      if (cause !== 'enrollment') renewPeriod(open, cause, decision.expires, at)
    } else {
      open = { slug, added: at, cause, expires: decision.expires }
      periods.push(open)
    }
  }
  if (open && deleted) endPeriod(open, deleted, 'segment_deleted')
  return periods
}
