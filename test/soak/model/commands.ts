/**
 * The commands for the service and its model. A new feature needs a new command here, and a method of the model for its
 * effect. Commands have no preconditions: each may come at any time, and the model knows the right response.
 */
import assert from 'node:assert/strict'
import * as fc from 'fast-check'
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
import { agreeOnFlags } from './flags-agreement.ts'
import { addUsers, importMembers, removeMembers } from './imports.ts'
import { settleFilled, settleFillings } from './settle.ts'
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
    enrolls: fc.boolean()
  }),
  async (world, { slug, thousandths, later, enrolls }) => {
    const { service, model } = world
    const selection = thousandths === null ? null : thousandths / 1000
    const name = slug.toUpperCase()
    const [answer, at] = await world.during(() =>
      service.post(
        '/api/v1/segment',
        selection === null ? { slug } : { slug, selection, enroll_new_users: enrolls },
        later ? { prefer: 'respond-async' } : {}
      )
    )
    if (!model.createSegment(name, selection, enrolls && selection !== null, at)) {
      const message = `segment with slug (${name}) already exists`
      const { deleted_at } = answer.json<{ deleted_at?: string }>()
      assert.equal(deleted_at === undefined, model.isLive(name), `${name} is deleted`)
      const details = deleted_at === undefined ? {} : { deleted_at }
      assertAnswer(answer, refused(409, 'SEGMENT_ALREADY_EXISTS', message, details))
      return
    }
    assertAnswer(answer, { status: later ? 202 : 200, body: '' })
    if (thousandths === null) return
    const target = model.shareOfUsers(thousandths)
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

/** Raises or lowers the share, or changes whether new users are enrolled. */
const patchSegment = command(
  'patchSegment',
  inputs({ slug, thousandths: fc.option(thousandths, { freq: 4 }), enrolls: fc.option(fc.boolean()) }),
  async (world, { slug, thousandths, enrolls }) => {
    const { service, model } = world
    const name = slug.toUpperCase()
    const [answer, at] = await world.during(() =>
      service.patchSegment(slug, {
        ...(thousandths !== null && { selection: thousandths / 1000 }),
        ...(enrolls !== null && { enroll_new_users: enrolls })
      })
    )
    const segment = model.segments.get(name)
    if (thousandths === null && enrolls === null) {
      assert.equal(answer.status, 400)
    } else if (!segment || segment.deleted) {
      assertAnswer(answer, refused(404, 'SEGMENT_NOT_FOUND', `segment with slug (${name}) not found`))
    } else if (enrolls && thousandths === null && segment.selection === null) {
      const message = 'body field (enroll_new_users) needs a selection'
      assertAnswer(answer, refused(400, 'INVALID_REQUEST', message))
    } else if (thousandths !== null && segment.filling) {
      const message = `segment with slug (${name}) is still being filled`
      assertAnswer(answer, refused(409, 'SEGMENT_BEING_FILLED', message))
    } else {
      segment.enrolls = enrolls ?? segment.enrolls
      const before = model.samples(name)
      const missing = thousandths === null ? 0 : model.shareOfUsers(thousandths) - before.sampled.length
      const added = Math.min(Math.max(missing, 0), before.candidates.length)
      const isLowered = thousandths !== null && thousandths / 1000 < (segment.selection ?? 0)
      const removed = isLowered ? Math.max(-missing, 0) : 0
      assertAnswer(answer, { status: 200, body: { added, removed } }, `share of ${name}`)
      if (thousandths === null) return
      segment.selection = thousandths / 1000
      const target = model.shareOfUsers(thousandths)
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
    hours: fc.option(fc.constantFrom(12, 30, 60), { freq: 2 })
  }),
  async (world, { userId, add, remove, hours }) => {
    const { service, model } = world
    const ttl = add?.length && hours !== null ? hours * 3600 : undefined
    const [answer, at] = await world.during(() =>
      service.post(`/api/v1/segments/user/${userId}`, {
        segments_to_add: add,
        segments_to_delete: remove,
        ttl_seconds: ttl
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
    } else if (model.changeSegments(userId, toAdd, toRemove, at, expires)) {
      assertAnswer(answer, done)
      if (isNew) await findEnrollments(world, userId, all, at)
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
  await world.fill(users)
  await settleFilled(world)
})

const close = command('close', fc.integer({ min: 1, max: 3 }), (world, periods) => world.close(periods))

const settle = command('settle', fc.constant(null), settleFillings)

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: changeSegments.any },
  { weight: 4, arbitrary: createSegment.any },
  { weight: 2, arbitrary: deleteSegment.any },
  { weight: 3, arbitrary: importMembers.any },
  { weight: 2, arbitrary: removeMembers.any },
  { weight: 1, arbitrary: addUsers.any },
  { weight: 3, arbitrary: patchSegment.any },
  { weight: 1, arbitrary: readUsers.any },
  { weight: 1, arbitrary: evaluateFlags.any },
  { weight: 1, arbitrary: readSegment.any },
  { weight: 2, arbitrary: orderReport.any },
  { weight: 2, arbitrary: timePasses.any },
  { weight: 2, arbitrary: fill.any },
  { weight: 2, arbitrary: close.any },
  { weight: 1, arbitrary: settle.any }
)

/** Some initial segments and users: if there are few, most commands are refused. */
const beginning = fc.subarray([
  ...['A', 'B-1'].map((slug) => createSegment.of({ slug, thousandths: null, later: false, enrolls: false })),
  ...userIds.map((userId) => changeSegments.of({ userId, add: [], remove: [], hours: null }))
])

/** Any sequence of commands. */
export const sequence = (maxLength: number): fc.Arbitrary<Step[]> =>
  fc.tuple(beginning, fc.array(step, { minLength: 1, maxLength, size: 'max' })).map((steps) => steps.flat())
