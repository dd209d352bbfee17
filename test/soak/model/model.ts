import { type Cause, endPeriod, Filling, type Period, renewPeriod, type UserId } from './filling.ts'
import type { Microseconds, Moment } from './moment.ts'

export type Assignment = { status: string; assigned: number; target: number | null }

export type Lists = { all: string[]; any: string[]; none: string[] }
export type Composition = Lists & { users: UserId[] }

export type ModelSegment = {
  slug: string
  selection: number | null
  /** Whether new users join with the probability of the selection. */
  enrolls: boolean
  /** The exclusive group. A deleted segment stays in it. */
  group: string | null
  holdout: boolean
  /** The slugs that the segment was created from, and their users then; null: all known users. */
  composition: Composition | null
  created: Moment
  deleted?: Moment
  assignment: Assignment | null
  /** Set while it is not known yet who was sampled. */
  filling?: Filling
  /**
   * Set while the segment waits to be filled, in a group: the number of users, who was known, and who has been changed by
   * name since.
   */
  queued?: { target: number; known: UserId[]; decided: Set<UserId> }
  /** Users who were removed during the filling and were never members. */
  excluded: Set<UserId>
}

/** The slugs that the user is certainly in, and those that are not known yet, both in the order of creation. */
export type ActiveSegments = { certain: string[]; open: string[] }

/** The expected state of the service, in memory, as simple as possible. */
export class Model {
  /** In the order of creation. */
  readonly segments = new Map<string, ModelSegment>()
  /** The known users' periods, in the order in which they began. */
  readonly users = new Map<UserId, Period[]>()
  /** In the order of creation. */
  readonly groups = new Map<string, { isDeleted: boolean }>()
  readonly #moments = new Set<Moment>()

  /** The slug must be free. */
  createSegment({
    slug,
    selection,
    enrolls,
    group,
    holdout,
    composition,
    created
  }: Pick<
    ModelSegment,
    'slug' | 'selection' | 'enrolls' | 'group' | 'holdout' | 'composition' | 'created'
  >): void {
    const properties = { slug, selection, enrolls, group, holdout, composition, created }
    this.segments.set(slug, { ...properties, assignment: null, excluded: new Set() })
    this.#moments.add(created)
  }

  isLiveGroup(slug: string): boolean {
    return this.groups.get(slug)?.isDeleted === false
  }

  /** The segments of a group that are not deleted. */
  segmentsOf(group: string | null): ModelSegment[] {
    if (group === null) return []
    return [...this.segments.values()].filter((segment) => segment.group === group && !segment.deleted)
  }

  /** The other segments of a segment's group. */
  rivalsOf(slug: string): ModelSegment[] {
    const { group } = this.segment(slug)
    return this.segmentsOf(group).filter((segment) => segment.slug !== slug)
  }

  /** The segment of the group that has the user. */
  segmentOf(userId: UserId, group: string): string | undefined {
    return this.segmentsOf(group).find(({ slug }) => this.stateOf(userId, slug) === true)?.slug
  }

  /** The number of users who are in no segment of the group, less those who are reserved. */
  countFree(group: string): number {
    const taken = [...this.users.keys()].filter((userId) => this.segmentOf(userId, group) !== undefined)
    const reserved = this.segmentsOf(group).reduce((sum, { queued }) => sum + (queued?.target ?? 0), 0)
    return Math.max(0, this.users.size - taken.length - reserved)
  }

  /** The sum of the shares by which the group enrolls new users, in thousandths. */
  enrollmentOf(group: string): number {
    return this.segmentsOf(group)
      .filter(({ enrolls }) => enrolls)
      .reduce((sum, { selection }) => sum + Math.round((selection ?? 0) * 1000), 0)
  }

  /** The users of a composition. None of its segments is being filled. */
  compose({ all, any, none }: Lists): UserId[] {
    return [...this.users.keys()].filter((userId) => {
      const isIn = (slug: string) => this.stateOf(userId, slug) === true
      return all.every(isIn) && (any.length === 0 || any.some(isIn)) && !none.some(isIn)
    })
  }

  /** The users of whom the share of a segment is sampled. */
  population(composition: Composition | null): UserId[] {
    return composition?.users ?? [...this.users.keys()]
  }

  /** Exactly ceil(share of the users). The share is in thousandths, so that nothing is rounded. */
  shareOf(composition: Composition | null, thousandths: number): number {
    return Math.ceil((thousandths * this.population(composition).length) / 1000)
  }

  /** Starts to fill the segment with some of the users of whom its share is sampled. */
  beginFilling(slug: string, target: number): void {
    const segment = this.segment(slug)
    segment.filling = new Filling(segment.created, target, this.population(segment.composition))
  }

  /** Ends the filling of a segment in a group. */
  endQueued(slug: string, assignment: Assignment, added: UserId[], at: Moment): void {
    const segment = this.segment(slug)
    for (const userId of added) this.addMember(userId, slug, at)
    const wasIn = (userId: UserId) => this.users.get(userId)?.some((period) => period.slug === slug)
    segment.excluded = new Set([...(segment.queued?.decided ?? [])].filter((userId) => !wasIn(userId)))
    segment.assignment = assignment
    delete segment.queued
  }

  /** The user has left a segment for another one of the group. */
  leaveMember(userId: UserId, slug: string, at: Moment): void {
    this.#end(this.users.get(userId) ?? [], slug, at, 'request')
  }

  /** Ends the filling, when it is known who was sampled. */
  endFilling(slug: string, assignment: Assignment, periods: Map<UserId, Period[]>): void {
    const segment = this.segment(slug)
    segment.excluded = new Set(segment.filling?.decided().filter((userId) => !periods.get(userId)?.length))
    delete segment.filling
    segment.assignment = assignment
    for (const [userId, added] of periods) for (const period of added) this.#begin(userId, period)
  }

  addMember(userId: UserId, slug: string, at: Moment): void {
    this.#begin(userId, { slug, added: at, cause: 'selection' })
  }

  /** The user was removed because the share was lowered. */
  dropMember(userId: UserId, slug: string, at: Moment): void {
    this.#moments.add(at)
    this.#end(this.users.get(userId) ?? [], slug, at, 'selection_lowered')
  }

  /** The user, who has just become known, was enrolled into the segment. */
  enroll(userId: UserId, slug: string, at: Moment): void {
    const { filling } = this.segment(slug)
    if (filling) filling.decide(userId, { operation: 'add', cause: 'enrollment', at })
    else this.#begin(userId, { slug, added: at, cause: 'enrollment' })
  }

  /** The segments that enroll new users. */
  enrollingSegments(): ModelSegment[] {
    return [...this.segments.values()].filter(({ enrolls, deleted }) => enrolls && !deleted)
  }

  /** The sampled members of the segment, and the known users who may still be sampled. */
  samples(slug: string): { sampled: UserId[]; candidates: UserId[] } {
    const { excluded, composition } = this.segment(slug)
    const population = this.population(composition)
    const rivals = this.rivalsOf(slug)
    const sampled: UserId[] = []
    const candidates: UserId[] = []
    for (const [userId, periods] of this.users) {
      const own = periods.filter((period) => period.slug === slug)
      const open = own.find(({ ended }) => !ended)
      if (open && (open.cause === 'selection' || open.cause === 'enrollment')) sampled.push(userId)
      const wasTakenOut = own.some(({ endCause }) => endCause === 'request' || endCause === 'import')
      const isFree = rivals.every((rival) => this.stateOf(userId, rival.slug) !== true)
      if (!open && !wasTakenOut && !excluded.has(userId) && isFree && population.includes(userId))
        candidates.push(userId)
    }
    return { sampled, candidates }
  }

  /** Ends the expired periods at their expiries. */
  expire(now: Microseconds): void {
    for (const period of [...this.users.values()].flat())
      if (!period.ended && period.expires && period.expires.latest <= now)
        endPeriod(period, period.expires, 'expiry')
  }

  /** @returns false if the segment does not exist. */
  deleteSegment(slug: string, at: Moment): boolean {
    const segment = this.#live(slug)
    if (!segment) return false
    segment.deleted = at
    this.#moments.add(at)
    for (const periods of this.users.values()) this.#end(periods, slug, at, 'segment_deleted')
    return true
  }

  /** @returns false if a slug names no segment. */
  changeSegments(userId: UserId, add: string[], remove: string[], at: Moment, expires?: Moment): boolean {
    if (![...add, ...remove].every((slug) => this.#live(slug))) return false
    this.#moments.add(at)
    if (expires) this.#moments.add(expires)
    this.makeKnown(userId)
    for (const slug of remove) this.removeMember(userId, slug, at, 'request')
    for (const slug of add) this.#add(userId, slug, at, 'request', expires)
    return true
  }

  /** @returns false if the user was already known. */
  makeKnown(userId: UserId): boolean {
    if (this.users.has(userId)) return false
    this.users.set(userId, [])
    return true
  }

  /** An upload has added a known user to a segment. */
  importMember(userId: UserId, slug: string, at: Moment, expires?: Moment): void {
    this.#moments.add(at)
    if (expires) this.#moments.add(expires)
    this.#add(userId, slug, at, 'import', expires)
  }

  /** A request or an upload has removed a user from a segment. */
  removeMember(userId: UserId, slug: string, at: Moment, cause: 'request' | 'import'): void {
    this.#moments.add(at)
    const { filling, queued } = this.segment(slug)
    filling?.decide(userId, { operation: 'delete', cause, at })
    queued?.decided.add(userId)
    this.#end(this.users.get(userId) ?? [], slug, at, cause)
  }

  /** Undefined if the user is unknown. */
  activeSegments(userId: UserId): ActiveSegments | undefined {
    const periods = this.users.get(userId)
    if (!periods) return undefined
    const active: ActiveSegments = { certain: [], open: [] }
    for (const { slug, deleted } of this.segments.values()) {
      if (deleted) continue
      const state = this.stateOf(userId, slug)
      if (state === 'open') active.open.push(slug)
      else if (state) active.certain.push(slug)
    }
    return active
  }

  /** Whether the user is in a segment that is not deleted, if that is known. */
  stateOf(userId: UserId, slug: string): boolean | 'open' {
    const periods = this.users.get(userId) ?? []
    return this.segment(slug).filling?.stateOf(userId) ?? periods.some((p) => p.slug === slug && !p.ended)
  }

  /** The number of members; undefined while the segment is being filled. */
  countMembers(slug: string): number | undefined {
    if (this.segment(slug).filling) return undefined
    return [...this.users.values()].flat().filter((period) => period.slug === slug && !period.ended).length
  }

  segment(slug: string): ModelSegment {
    const segment = this.segments.get(slug)
    if (!segment) throw new Error(`the model has no segment ${slug}`)
    return segment
  }

  /** Moves everything that has happened into the past. */
  moveBack(by: bigint): void {
    for (const moment of this.#moments) moment.moveBack(by)
  }

  isLive(slug: string): boolean {
    return this.#live(slug) !== undefined
  }

  #live(slug: string): ModelSegment | undefined {
    const segment = this.segments.get(slug)
    return segment?.deleted ? undefined : segment
  }

  #add(userId: UserId, slug: string, at: Moment, cause: 'request' | 'import', expires?: Moment): void {
    const { filling, queued } = this.segment(slug)
    queued?.decided.add(userId)
    const open = this.users.get(userId)?.find((period) => period.slug === slug && !period.ended)
    if (filling) filling.decide(userId, { operation: 'add', cause, at, expires })
    else if (open) renewPeriod(open, cause, expires, at)
    else this.#begin(userId, { slug, added: at, cause, expires })
  }

  #begin(userId: UserId, period: Period): void {
    this.#moments.add(period.added)
    this.users.get(userId)?.push(period)
  }

  #end(periods: Period[], slug: string, at: Moment, cause: Cause): void {
    const open = periods.find((period) => period.slug === slug && !period.ended)
    if (open) endPeriod(open, at, cause)
  }
}
