/** Each function throws if the service and the model disagree, and records in the model what the service has shown. */
import assert from 'node:assert/strict'
import { type HistoryRow, parseHistory, replay } from '../../support/history.ts'
import { readPages } from '../../support/pages.ts'
import { dayFromNow } from '../../support/service.ts'
import { assertAnswer } from './command.ts'
import type { UserId } from './filling.ts'
import { agreeOnFlags } from './flags-agreement.ts'
import { agreeOnGroups } from './groups.ts'
import { agreeOnLists, agreeOnReportsOfAll, PAGE_SIZE } from './lists-agreement.ts'
import type { ActiveSegments, Composition, Model } from './model.ts'
import { dayAfter, parseTime } from './moment.ts'
import { userIds, type World } from './world.ts'

/** Compares the slugs with the user's segments, except for segments where the membership is not known yet. */
function checkActive(active: ActiveSegments | undefined, slugs: unknown): void {
  assert.ok(Array.isArray(slugs), `${slugs} are no slugs`)
  assert.deepEqual(
    slugs.filter((slug) => !active?.open.includes(slug)),
    active?.certain
  )
}

export async function agreeOnActiveSegments({ service, model }: World): Promise<void> {
  const answers = await Promise.all(userIds.map((userId) => service.getSegments(userId)))
  for (const [index, answer] of answers.entries()) {
    const userId = userIds[index] ?? ''
    const active = model.activeSegments(userId)
    if (active) {
      assert.equal(answer.status, 200, `user ${userId}`)
      checkActive(active, answer.body)
    } else {
      const message = `user with id (${userId}) not found`
      assertAnswer(answer, { status: 404, body: { message, code: 'USER_NOT_FOUND' } })
    }
  }
}

/** Compares the segments of the users with those that follow from the change feed. */
export async function agreeOnFeed({ service, followers }: World): Promise<void> {
  await followers.read(service)
  for (const userId of userIds) {
    const before = new Date().toISOString()
    const answer = await service.getSegments(userId)
    const after = new Date().toISOString()
    const segments = answer.status === 404 ? [] : answer.json<string[]>().toSorted()
    followers.agreeOnUser(userId, segments, [before, after])
  }
}

/** @param asked users, some of whom may appear more than once. */
export async function agreeOnUsers({ service, model }: World, asked: UserId[]): Promise<void> {
  const { status, body } = await service.post('/api/v1/segments/users/query', { user_ids: asked })
  assert.equal(status, 200, JSON.stringify(body))
  const { segments, unknown } = body as { segments: Record<string, string[]>; unknown: string[] }
  const once = [...new Set(asked)]
  assert.deepEqual(
    unknown,
    once.filter((userId) => !model.users.has(userId))
  )
  assert.deepEqual(Object.keys(segments).sort(), once.filter((userId) => model.users.has(userId)).sort())
  for (const [userId, slugs] of Object.entries(segments)) checkActive(model.activeSegments(userId), slugs)
}

function withoutMoment(from: unknown): unknown {
  if (from === null) return null
  const { at: _, ...lists } = from as Record<string, unknown>
  return lists
}

function withoutUsers(composition: Composition | null): unknown {
  if (composition === null) return null
  const { users: _, ...lists } = composition
  return lists
}

export async function agreeOnSegment({ service, model }: World, slug: string): Promise<void> {
  const { status, body } = await service.getSegment(slug)
  const segment = model.segments.get(slug)
  if (!segment) {
    assert.deepEqual(
      [status, body],
      [404, { message: `segment with slug (${slug}) not found`, code: 'SEGMENT_NOT_FOUND' }]
    )
    return
  }
  assert.equal(status, 200, JSON.stringify(body))
  const { created_at, deleted_at, members, assignment, from, ...rest } = body as Record<string, unknown>
  assert.deepEqual(rest, {
    slug,
    selection: segment.selection,
    description: null,
    enroll_new_users: segment.enrolls,
    group: segment.group,
    holdout: segment.holdout
  })
  assert.deepEqual(withoutMoment(from), withoutUsers(segment.composition))
  segment.created.see(String(created_at), `creation of ${slug}`)
  if (segment.deleted) segment.deleted.see(String(deleted_at), `deletion of ${slug}`)
  else assert.equal(deleted_at, null)
  if (segment.filling) return
  assert.equal(members, segment.deleted ? 0 : model.countMembers(slug))
  assert.deepEqual(assignment, segment.assignment)
}

/** The user's whole history; undefined if the user is unknown. */
export async function agreeOnHistory(
  { service, model }: World,
  userId: UserId
): Promise<HistoryRow[] | undefined> {
  const { status, body } = await service.makeReport(userId, '1970-01-01', dayFromNow(1))
  const active = model.activeSegments(userId)
  if (!active) {
    assert.equal(status, 404, JSON.stringify(body))
    return undefined
  }
  assert.equal(status, 200, JSON.stringify(body))
  const rows = parseHistory(String(body)).filter(({ slug }) => !model.segments.get(slug)?.filling)
  checkOrder(model, rows)
  checkRows(model, userId, rows)
  const isSettled = (slug: string) => !model.segment(slug).filling
  assert.deepEqual(replay(rows), active.certain.filter(isSettled).sort(), 'what the history leads to')
  return rows
}

/** Oldest first; at one moment removals before additions, and both in the order of the segments' creation. */
function checkOrder(model: Model, rows: HistoryRow[]): void {
  const slugs = [...model.segments.keys()]
  const place = ({ date, operation, slug }: HistoryRow) =>
    `${date} ${operation === 'delete' ? 0 : 1} ${String(slugs.indexOf(slug)).padStart(3, '0')}`
  assert.deepEqual(rows.map(place), rows.map(place).sort())
}

/** Compares each segment's rows with the user's periods in it, and their times with the possible ones. */
function checkRows(model: Model, userId: UserId, rows: HistoryRow[]): void {
  const periods = model.users.get(userId) ?? []
  for (const slug of new Set([...model.segments.keys(), ...rows.map((row) => row.slug)])) {
    const expected = periods
      .filter((period) => period.slug === slug)
      .flatMap(({ added, ended }) => [
        { operation: 'add', at: added },
        ...(ended ? [{ operation: 'delete', at: ended }] : [])
      ])
    const actual = rows.filter((row) => row.slug === slug)
    assert.deepEqual(
      actual.map((row) => [row.userId, row.operation]),
      expected.map(({ operation }) => [userId, operation]),
      `history of user ${userId} in ${slug}`
    )
    for (const [index, { operation, at }] of expected.entries())
      at.see(actual[index]?.date ?? '', `${operation} of user ${userId} in ${slug}`)
  }
}

type Entry = {
  slug: string
  operation: 'add' | 'delete' | 'expiry_set'
  time: string
  cause: string
  expires_at: string | null
}

/** Compares the timeline with the history, with causes and expiries, and with the segments at each of its moments. */
async function agreeOnTimeline(
  { service, model }: World,
  userId: UserId,
  history: HistoryRow[]
): Promise<void> {
  const isSettled = ({ slug }: { slug: string }) => !model.segments.get(slug)?.filling
  const url = `/api/v1/segments/user/${userId}/history?limit=${PAGE_SIZE}`
  const all = (await readPages<Entry>(service, url, 'entries')).items.filter(isSettled)
  const entries = all.filter(({ operation }) => operation !== 'expiry_set')
  checkRenewals(model, userId, all)
  assert.deepEqual(
    entries.map(({ slug, operation, time }) => [slug, operation, time]),
    history.map(({ slug, operation, date }) => [slug, operation, date])
  )
  for (const slug of new Set(entries.map((entry) => entry.slug))) {
    const periods = (model.users.get(userId) ?? []).filter((period) => period.slug === slug)
    const own = entries.filter((entry) => entry.slug === slug)
    assert.deepEqual(
      own.map(({ cause }) => cause),
      periods.flatMap(({ cause, endCause }) => (endCause ? [cause, endCause] : [cause])),
      `causes of user ${userId} in ${slug}`
    )
    const additions = own.filter(({ operation }) => operation === 'add')
    for (const [index, { expires_at }] of additions.entries()) {
      const { renewed, expires: latest } = periods[index] ?? {}
      const expires = renewed ? renewed.initial : latest
      if (expires) expires.see(String(expires_at), `expiry of user ${userId} in ${slug}`)
      else assert.equal(expires_at, null)
    }
  }
  const active = new Set<string>()
  for (const [index, { slug, operation, time }] of entries.entries()) {
    if (operation === 'add') active.add(slug)
    else active.delete(slug)
    if (entries[index + 1]?.time === time) continue
    const { status, body } = await service.get(`/api/v1/segments/user/${userId}?at=${time}`)
    assert.equal(status, 200, JSON.stringify(body))
    const slugs = (body as string[]).filter((name) => isSettled({ slug: name }))
    assert.deepEqual(slugs.toSorted(), [...active].sort(), `user ${userId} at ${time}`)
  }
  await agreeOnMemberships(service, userId, all, isSettled)
}

/** Compares the entries that set an expiry again with the model's. */
function checkRenewals(model: Model, userId: UserId, entries: Entry[]): void {
  for (const slug of model.segments.keys()) {
    const renewals = (model.users.get(userId) ?? [])
      .filter((period) => period.slug === slug)
      .flatMap(({ renewed }) => renewed?.renewals ?? [])
    const own = entries.filter((entry) => entry.slug === slug && entry.operation === 'expiry_set')
    assert.deepEqual(
      own.map(({ cause }) => cause),
      renewals.map(({ cause }) => cause),
      `expiries of user ${userId} in ${slug} that were set again`
    )
    for (const [index, { at, expires }] of renewals.entries()) {
      at.see(own[index]?.time ?? '', `expiry of user ${userId} in ${slug} set`)
      if (expires) expires.see(String(own[index]?.expires_at), `expiry of user ${userId} in ${slug}`)
      else assert.equal(own[index]?.expires_at, null)
    }
  }
}

type Membership = { slug: string; added_at: string; expires_at: string | null; cause: string }

/** At the moment of each entry, the memberships are what the entries up to that moment say. */
async function agreeOnMemberships(
  service: World['service'],
  userId: UserId,
  entries: Entry[],
  isSettled: (membership: { slug: string }) => boolean
): Promise<void> {
  const current = new Map<string, Membership>()
  for (const [index, { slug, operation, time, cause, expires_at }] of entries.entries()) {
    const before = current.get(slug)
    if (operation === 'add') current.set(slug, { slug, added_at: time, expires_at, cause })
    else if (operation === 'expiry_set' && before) current.set(slug, { ...before, expires_at })
    else current.delete(slug)
    if (entries[index + 1]?.time === time) continue
    const { status, body } = await service.get(`/api/v1/segments/user/${userId}/memberships?at=${time}`)
    assert.equal(status, 200, JSON.stringify(body))
    const { memberships } = body as { memberships: (Membership & { actor: string | null })[] }
    const bySlug = (a: Membership, b: Membership) => (a.slug < b.slug ? -1 : 1)
    assert.deepEqual(
      memberships
        .filter(isSettled)
        .map(({ actor: _, ...membership }) => membership)
        .sort(bySlug),
      [...current.values()].sort(bySlug),
      `memberships of user ${userId} at ${time}`
    )
  }
}

/** Compares a report of an interval with that part of the whole history, to the microsecond. */
export async function agreeOnInterval(world: World, userId: UserId, from: string, to: string): Promise<void> {
  const all = await agreeOnHistory(world, userId)
  if (all) return agreeOnPart(world, all, userId, from, to)
  const message = `user with id (${userId}) not found`
  assertAnswer(await world.service.orderReport(userId, from, to), {
    status: 404,
    body: { message, code: 'USER_NOT_FOUND' }
  })
}

async function agreeOnPart(
  { service, model }: World,
  all: HistoryRow[],
  userId: UserId,
  from: string,
  to: string
): Promise<void> {
  const { status, body } = await service.makeReport(userId, from, to)
  assert.equal(status, 200, JSON.stringify(body))
  const [first, last] = [parseTime(`${from}T00:00:00.000000Z`), parseTime(`${to}T00:00:00.000000Z`)]
  assert.deepEqual(
    parseHistory(String(body)).filter(({ slug }) => !model.segments.get(slug)?.filling),
    all.filter(({ date }) => first <= parseTime(date) && parseTime(date) < last),
    `report of user ${userId} from ${from} to ${to}`
  )
}

/** Compares everything that the service can return. */
export async function agreeOnEverything(world: World): Promise<void> {
  await agreeOnActiveSegments(world)
  await world.followers.catchUp(world.service)
  world.followers.agree()
  await agreeOnUsers(world, [...userIds])
  for (const userId of userIds) await agreeOnFlags(world, userId)
  for (const slug of world.model.segments.keys()) await agreeOnSegment(world, slug)
  await agreeOnLists(world)
  await agreeOnGroups(world)
  const histories = new Map<UserId, HistoryRow[]>()
  const agreements = userIds.map(async (userId) => {
    const all = await agreeOnHistory(world, userId)
    if (!all) return
    histories.set(userId, all)
    await agreeOnTimeline(world, userId, all)
    const last = all.at(-1)?.date.slice(0, 10)
    if (!last) return
    // Midnight belongs to the day that begins.
    await agreeOnPart(world, all, userId, '1970-01-01', last)
    await agreeOnPart(world, all, userId, last, dayAfter(last))
  })
  await Promise.all(agreements)
  await agreeOnReportsOfAll(world, histories)
}
