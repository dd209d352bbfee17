/**
 * The commands for the service and its model. A new feature needs a new command here, and a method of the model for its
 * effect. Commands have no preconditions: each may come at any time, and the model knows the right response.
 */
import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import type { Answer } from '../../support/client.ts'
import { agreeOnInterval, agreeOnSegment, agreeOnUsers } from './agreement.ts'
import {
  assertAnswer,
  command,
  done,
  findEnrollments,
  inputs,
  refused,
  type Step,
  slug,
  slugs,
  userId
} from './command.ts'
import { countComposed, findCompositionRefusal, lists, prepareComposition } from './compositions.ts'
import type { UserId } from './filling.ts'
import { agreeOnFlags } from './flags-agreement.ts'
import {
  assertRefused,
  assertTaken,
  createGroup,
  deleteGroup,
  findConflict,
  groupSlug,
  withRivals
} from './groups.ts'
import { addUsers, importMembers, removeMembers, replaceMembers } from './imports.ts'
import type { ModelSegment } from './model.ts'
import { settleFilled, settleFillings, takeStep } from './settle.ts'
import { letTimePass } from './time.ts'
import { userIds, type World } from './world.ts'

const thousandths = fc.oneof(fc.integer({ min: 0, max: 1000 }), fc.constantFrom(0, 500, 1000))

/** The known users who are in a segment, read from the service. */
async function readMembers({ service, model }: World, slug: string): Promise<string[]> {
  const members: string[] = []
  for (const userId of model.users.keys()) {
    const { body } = await service.getSegments(userId)
    if ((body as string[]).includes(slug)) members.push(userId)
  }
  return members
}

const createSegment = command(
  'createSegment',
  inputs({
    slug,
    thousandths: fc.option(thousandths, { freq: 4 }),
    later: fc.boolean(),
    enrolls: fc.boolean(),
    group: fc.option(groupSlug),
    holdout: fc.option(fc.boolean(), { freq: 1 }),
    from: fc.option(lists, { freq: 1 })
  }),
  async (world, { slug, thousandths: given, later, enrolls: wanted, group, holdout, from }) => {
    const { service, model } = world
    // All users of a composition by default, and no new ones.
    const thousandths = given ?? (from && 1000)
    const enrolls = wanted && from === null
    const selection = thousandths === null ? null : thousandths / 1000
    const name = slug.toUpperCase()
    const groupName = group?.toUpperCase() ?? null
    const share = given === null ? {} : { selection, enroll_new_users: enrolls }
    const composition = from && (await prepareComposition(world, from))
    const [answer, at] = await world.during(() =>
      service.post(
        '/api/v1/segment',
        { slug, group, holdout, from, ...share },
        later ? { prefer: 'respond-async' } : {}
      )
    )
    if (holdout && groupName === null)
      return assertAnswer(answer, refused(400, 'INVALID_REQUEST', 'body field (holdout) needs a group'))
    const refusal = composition && findCompositionRefusal(model, composition)
    if (refusal) return assertAnswer(answer, refusal)
    if (groupName !== null && !model.isLiveGroup(groupName))
      return assertAnswer(answer, refused(404, 'GROUP_NOT_FOUND', `group with slug (${groupName}) not found`))
    if (model.segments.has(name) || model.groups.has(name)) return assertTaken(model, answer, name)
    const isEnrolling = enrolls && selection !== null
    const target = model.shareOf(composition, thousandths ?? 0)
    if (groupName !== null && thousandths !== null) {
      if (isEnrolling && model.enrollmentOf(groupName) + thousandths > 1000)
        return assertRefused(answer, [409, 'GROUP_EXHAUSTED'])
      const isFree = (userId: UserId) => model.segmentOf(userId, groupName) === undefined
      const freeOf = composition?.users.filter(isFree).length ?? Number.POSITIVE_INFINITY
      const free = Math.min(model.countFree(groupName), freeOf)
      if (target > free) return assertRefused(answer, [409, 'GROUP_EXHAUSTED'], { free_users: free })
    }
    model.createSegment({
      slug: name,
      selection,
      enrolls: isEnrolling,
      group: groupName,
      holdout: holdout ?? false,
      composition,
      created: at
    })
    assertAnswer(answer, { status: later ? 202 : 200, body: '' })
    if (thousandths === null) return
    if (later && groupName !== null) {
      const known = model.population(composition)
      model.segment(name).queued = { target, known, decided: new Set() }
      model.segment(name).assignment = { status: 'queued', assigned: 0, target }
      return
    }
    if (later) {
      model.beginFilling(name, target)
      return
    }
    const sampled = await readMembers(world, name)
    assert.equal(sampled.length, target, `sampled into ${name}`)
    for (const userId of sampled) model.addMember(userId, name, at)
    model.segment(name).assignment = { status: 'done', assigned: target, target }
  }
)

/** Raises or lowers the share, or changes whether new users are enrolled, the group or whether it is a holdout. */
const patchSegment = command(
  'patchSegment',
  inputs({
    slug,
    thousandths: fc.option(thousandths, { freq: 4 }),
    enrolls: fc.option(fc.boolean()),
    group: fc.option(fc.option(groupSlug, { freq: 2 }), { nil: undefined, freq: 1 }),
    holdout: fc.option(fc.boolean(), { freq: 1 })
  }),
  async (world, { slug, thousandths, enrolls, group, holdout }) => {
    const { service, model } = world
    const name = slug.toUpperCase()
    const [answer, at] = await world.during(() =>
      service.patchSegment(slug, {
        ...(thousandths !== null && { selection: thousandths / 1000 }),
        ...(enrolls !== null && { enroll_new_users: enrolls }),
        ...(group !== undefined && { group }),
        ...(holdout !== null && { holdout })
      })
    )
    const segment = model.segments.get(name)
    const entered = group?.toUpperCase()
    const targetGroup = group === undefined ? (segment?.group ?? null) : (entered ?? null)
    const hasMoved = segment !== undefined && targetGroup !== segment.group
    if (thousandths === null && enrolls === null && group === undefined && holdout === null) {
      assert.equal(answer.status, 400)
    } else if (segment && entered !== undefined && !model.isLiveGroup(entered)) {
      assertAnswer(answer, refused(404, 'GROUP_NOT_FOUND', `group with slug (${entered}) not found`))
    } else if (!segment || segment.deleted) {
      assertAnswer(answer, refused(404, 'SEGMENT_NOT_FOUND', `segment with slug (${name}) not found`))
    } else if (enrolls && segment.composition !== null) {
      const message = 'body field (enroll_new_users) must be false with `from`: new users are in no segment'
      assertAnswer(answer, refused(400, 'INVALID_REQUEST', message))
    } else if (enrolls && thousandths === null && segment.selection === null) {
      const message = 'body field (enroll_new_users) needs a selection'
      assertAnswer(answer, refused(400, 'INVALID_REQUEST', message))
    } else if ((thousandths !== null || hasMoved) && (segment.filling || segment.queued)) {
      const message = `segment with slug (${name}) is still being filled`
      assertAnswer(answer, refused(409, 'SEGMENT_BEING_FILLED', message))
    } else if (holdout && targetGroup === null) {
      assertAnswer(answer, refused(400, 'INVALID_REQUEST', 'body field (holdout) needs a group'))
    } else if (refuseInGroup(world, answer, segment, { thousandths, enrolls, target: targetGroup })) {
      return
    } else {
      segment.enrolls = enrolls ?? segment.enrolls
      segment.group = targetGroup
      segment.holdout = targetGroup !== null && (holdout ?? segment.holdout)
      const before = model.samples(name)
      const missing =
        thousandths === null ? 0 : model.shareOf(segment.composition, thousandths) - before.sampled.length
      const added = Math.min(Math.max(missing, 0), before.candidates.length)
      const isLowered = thousandths !== null && thousandths / 1000 < (segment.selection ?? 0)
      const removed = isLowered ? Math.max(-missing, 0) : 0
      assertAnswer(answer, { status: 200, body: { added, removed } }, `share of ${name}`)
      if (thousandths === null) return
      segment.selection = thousandths / 1000
      const target = model.shareOf(segment.composition, thousandths)
      segment.assignment = {
        status: 'done',
        assigned: Math.min(target, before.sampled.length + added),
        target
      }
      const members = new Set(await readMembers(world, name))
      for (const userId of before.candidates) if (members.has(userId)) model.addMember(userId, name, at)
      for (const userId of before.sampled) if (!members.has(userId)) model.dropMember(userId, name, at)
      assert.equal(model.samples(name).sampled.length, before.sampled.length + added - removed)
    }
  }
)

/** Asserts the refusal of a change that the group does not allow. @returns false if it allows it. */
function refuseInGroup(
  { model }: World,
  answer: Answer,
  segment: ModelSegment,
  {
    thousandths,
    enrolls,
    target
  }: { thousandths: number | null; enrolls: boolean | null; target: string | null }
): boolean {
  if (target === null) return false
  const { slug, group, selection } = segment
  const hasMoved = target !== group
  const both = [...model.users.keys()].filter(
    (userId) => model.stateOf(userId, slug) === true && model.segmentOf(userId, target) !== undefined
  )
  if (hasMoved && both.length > 0) {
    assertRefused(answer, [409, 'GROUP_CONFLICT'], { users: both.length })
    return true
  }
  // As if it were changed already.
  const before = { ...segment }
  Object.assign(segment, {
    group: target,
    enrolls: enrolls ?? segment.enrolls,
    selection: thousandths === null ? selection : thousandths / 1000
  })
  const isTooMuch = model.enrollmentOf(target) > 1000
  const { sampled, candidates } = model.samples(slug)
  const free = model.countFree(target)
  Object.assign(segment, before)
  if (isTooMuch && (thousandths !== null || enrolls || hasMoved)) {
    assertRefused(answer, [409, 'GROUP_EXHAUSTED'])
    return true
  }
  const missing = thousandths === null ? 0 : model.shareOf(segment.composition, thousandths) - sampled.length
  const available = missing > free ? free : candidates.length
  if (missing <= available) return false
  assertRefused(answer, [409, 'GROUP_EXHAUSTED'], { free_users: available })
  return true
}

const deleteSegment = command('deleteSegment', slug, async (world, slug) => {
  const { service, model } = world
  const name = slug.toUpperCase()
  const [answer, at] = await world.during(() => service.deleteSegment(slug))
  const expected = model.deleteSegment(name, at)
    ? done
    : refused(404, 'SEGMENT_NOT_FOUND', `segment with slug (${name}) is not found for delete`)
  assertAnswer(answer, expected)
})

const changeSegments = command(
  'changeSegments',
  inputs({
    userId,
    add: fc.option(slugs, { nil: undefined }),
    remove: fc.option(slugs, { nil: undefined }),
    hours: fc.option(fc.constantFrom(12, 30, 60), { freq: 2 }),
    move: fc.boolean()
  }),
  async (world, { userId, add, remove, hours, move }) => {
    const { service, model } = world
    const ttl = add?.length && hours !== null ? hours * 3600 : undefined
    const [answer, at] = await world.during(() =>
      service.post(`/api/v1/segments/user/${userId}`, {
        segments_to_add: add,
        segments_to_delete: remove,
        ttl_seconds: ttl,
        move
      })
    )
    const expires = ttl === undefined ? undefined : at.after(BigInt(ttl) * 1_000_000n)
    const isNew = !model.users.has(userId)
    const toAdd = (add ?? []).map((name) => name.toUpperCase())
    const toRemove = (remove ?? []).map((name) => name.toUpperCase())
    const all = [...toAdd, ...toRemove]
    const twice = all.find((name, index) => all.indexOf(name) < index)
    if (twice) {
      const message = `segment with slug (${twice}) appears more than once in the request`
      assertAnswer(answer, refused(400, 'DUPLICATE_SLUG', message))
    } else if (all.every((name) => model.isLive(name))) {
      const conflict = findConflict(model, userId, toAdd, toRemove, move)
      if (conflict) return assertAnswer(answer, conflict)
      const rivals = toAdd.flatMap((name) => model.rivalsOf(name)).map(({ slug }) => slug)
      for (const name of rivals) if (model.stateOf(userId, name) === true) model.leaveMember(userId, name, at)
      model.changeSegments(userId, toAdd, toRemove, at, expires)
      assertAnswer(answer, done)
      if (isNew) await findEnrollments(world, userId, [...withRivals(model, toAdd), ...toRemove], at)
    } else {
      const segments = all.filter((name) => !model.isLive(name))
      assertAnswer(answer, refused(404, 'SEGMENTS_NOT_FOUND', 'some segments not found', { segments }))
    }
  }
)

const readUsers = command('readUsers', fc.array(userId, { minLength: 1, maxLength: 8 }), agreeOnUsers)

const evaluateFlags = command('evaluateFlags', userId, agreeOnFlags)

const readSegment = command('readSegment', slug, (world, slug) => agreeOnSegment(world, slug.toUpperCase()))

/** Days from today. */
const day = fc.integer({ min: -5, max: 1 })

const orderReport = command(
  'orderReport',
  inputs({
    userId,
    from: day,
    to: fc.oneof({ weight: 9, arbitrary: day }, { weight: 1, arbitrary: fc.constant(3) })
  }),
  async (world, { userId, from, to }) => {
    const [first, last] = [await world.day(from), await world.day(to)]
    if (from < to && to <= 1) return agreeOnInterval(world, userId, first, last)
    const answer = await world.service.orderReport(userId, first, last)
    const message =
      from < to
        ? `query parameter (to) must be tomorrow at the latest: ${last} is later`
        : `query parameter (from) must be before (to): ${first} is not before ${last}`
    assertAnswer(answer, refused(400, 'INVALID_REQUEST', message))
  }
)

const timePasses = command(
  'timePasses',
  inputs({ days: fc.integer({ min: 1, max: 2 }), toMidnight: fc.boolean() }),
  letTimePass
)

const fill = command('fill', fc.integer({ min: 1, max: 3 }), async (world, users) => {
  await takeStep(world, users)
  await settleFilled(world)
})

const close = command('close', fc.integer({ min: 1, max: 3 }), (world, periods) => world.close(periods))

const settle = command('settle', fc.constant(null), settleFillings)

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: changeSegments.any },
  { weight: 4, arbitrary: createSegment.any },
  { weight: 2, arbitrary: deleteSegment.any },
  { weight: 1, arbitrary: createGroup.any },
  { weight: 1, arbitrary: deleteGroup.any },
  { weight: 3, arbitrary: importMembers.any },
  { weight: 2, arbitrary: replaceMembers.any },
  { weight: 2, arbitrary: removeMembers.any },
  { weight: 1, arbitrary: addUsers.any },
  { weight: 3, arbitrary: patchSegment.any },
  { weight: 1, arbitrary: readUsers.any },
  { weight: 1, arbitrary: evaluateFlags.any },
  { weight: 1, arbitrary: readSegment.any },
  { weight: 2, arbitrary: countComposed.any },
  { weight: 2, arbitrary: orderReport.any },
  { weight: 2, arbitrary: timePasses.any },
  { weight: 2, arbitrary: fill.any },
  { weight: 2, arbitrary: close.any },
  { weight: 1, arbitrary: settle.any }
)

/** Some initial segments and users: if there are few, most commands are refused. */
const beginning = fc.subarray([
  ...['A', 'B-1'].map((slug) =>
    createSegment.of({
      slug,
      thousandths: null,
      later: false,
      enrolls: false,
      group: null,
      holdout: null,
      from: null
    })
  ),
  createSegment.of({
    slug: '5E',
    thousandths: 200,
    later: false,
    enrolls: true,
    group: 'G',
    holdout: null,
    from: null
  }),
  ...userIds.map((userId) => changeSegments.of({ userId, add: [], remove: [], hours: null, move: false }))
])

/** Any sequence of commands. */
export const sequence = (maxLength: number): fc.Arbitrary<Step[]> =>
  fc
    .tuple(
      fc.constant([createGroup.of('G')]),
      beginning,
      fc.array(step, { minLength: 1, maxLength, size: 'max' })
    )
    .map((steps) => steps.flat())
