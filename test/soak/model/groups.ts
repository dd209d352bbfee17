/** Commands that create and delete exclusive groups, and what holds in groups. */
import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import type { Answer } from '../../support/client.ts'
import { assertAnswer, command, done, refused } from './command.ts'
import type { UserId } from './filling.ts'
import type { Model } from './model.ts'
import { settleFillings } from './settle.ts'
import { userIds, type World } from './world.ts'

/** Mostly the same, in upper and lower case, so that its segments meet. One is also the slug of segments. */
export const groupSlug = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom<string>('G', 'g') },
  { weight: 1, arbitrary: fc.constantFrom<string>('H', 'C.C') }
)

/** Asserts the status and the code, for messages that the model does not know, and the other fields. */
export function assertRefused({ status, body }: Answer, expected: [number, string], details = {}): void {
  const { message: _, ...rest } = body as Record<string, unknown>
  assert.deepEqual([status, rest], [expected[0], { code: expected[1], ...details }])
}

/** Asserts that the slug is taken. */
export function assertTaken(model: Model, answer: Answer, name: string): void {
  const kind = model.groups.has(name) ? 'group' : 'segment'
  const isDeleted = kind === 'group' ? !model.isLiveGroup(name) : !model.isLive(name)
  const { deleted_at } = answer.json<{ deleted_at?: string }>()
  assert.equal(deleted_at !== undefined, isDeleted, `${name} is deleted`)
  const message = `${kind} with slug (${name}) already exists`
  const details = deleted_at === undefined ? {} : { deleted_at }
  assertAnswer(answer, refused(409, `${kind.toUpperCase()}_ALREADY_EXISTS`, message, details))
}

/** The segments of the groups of these segments, themselves included. */
export function withRivals(model: Model, slugs: string[]): string[] {
  return slugs.flatMap((slug) => [
    slug,
    ...(model.segments.has(slug) ? model.rivalsOf(slug).map((rival) => rival.slug) : [])
  ])
}

export const createGroup = command('createGroup', groupSlug, async ({ service, model }, slug) => {
  const name = slug.toUpperCase()
  const answer = await service.post('/api/v1/groups', { slug })
  if (model.groups.has(name) || model.segments.has(name)) return assertTaken(model, answer, name)
  assertAnswer(answer, done)
  model.groups.set(name, { isDeleted: false })
})

export const deleteGroup = command(
  'deleteGroup',
  fc.constantFrom<string>('G', 'h', 'H', 'C.C'),
  async (world, slug) => {
    const { service, model } = world
    const name = slug.toUpperCase()
    // A segment that leaves a group before it is filled is filled otherwise.
    await settleFillings(world)
    const answer = await service.request({ method: 'DELETE', url: `/api/v1/groups/${slug}` })
    if (!model.isLiveGroup(name))
      return assertAnswer(answer, refused(404, 'GROUP_NOT_FOUND', `group with slug (${name}) not found`))
    assertAnswer(answer, done)
    for (const segment of model.segmentsOf(name)) {
      segment.group = null
      segment.holdout = false
    }
    model.groups.set(name, { isDeleted: true })
  }
)

/**
 * Why a user can't be added to segments by name, if that is so.
 *
 * @param remove the segments that the user leaves by the same request.
 */
export function findConflict(
  model: Model,
  userId: UserId,
  add: string[],
  remove: string[],
  move: boolean
): { status: number; body: unknown } | undefined {
  const added = [...model.segments.keys()].filter((slug) => add.includes(slug))
  const holdout = added.filter((slug) => model.segment(slug).holdout).sort()[0]
  if (holdout !== undefined) {
    const message = `segment with slug (${holdout}) is a holdout: users join it only by sampling and enrollment`
    return refused(409, 'SEGMENT_IS_HOLDOUT', message)
  }
  for (const segment of added) {
    for (const { slug: other } of model.rivalsOf(segment)) {
      const isIn = model.stateOf(userId, other) === true && !remove.includes(other) && !move
      if (!added.includes(other) && !isIn) continue
      const group = model.segment(segment).group
      const message = `user with id (${userId}) cannot be in segments (${segment}) and (${other}), which are both in group (${group})`
      return refused(409, 'GROUP_CONFLICT', message, { segment, other_segment: other, group })
    }
  }
  return undefined
}

/** Compares the groups with their reports, and each user's segments with what a group allows. */
export async function agreeOnGroups({ service, model }: World): Promise<void> {
  const live = [...model.groups.keys()].filter((slug) => model.isLiveGroup(slug)).sort()
  const list = (await service.get('/api/v1/groups')).json<{
    groups: { slug: string; segments: string[] }[]
  }>()
  assert.deepEqual(
    list.groups.map(({ slug, segments }) => [slug, segments]),
    live.map((slug) => [slug, model.segmentsOf(slug).map((segment) => segment.slug)])
  )
  for (const group of live) {
    const segments = model.segmentsOf(group)
    await agreeOnOverlaps({ service, model }, group)
    const report = (await service.get(`/api/v1/groups/${group}`)).json<Record<string, unknown>>()
    const members = segments.map(({ slug }) => model.countMembers(slug) ?? 0)
    assert.deepEqual(
      [report['users'], report['members'], report['free_users']],
      [model.users.size, members.reduce((sum, count) => sum + count, 0), model.countFree(group)],
      `group ${group}`
    )
    assert.deepEqual(
      (report['segments'] as Record<string, unknown>[]).map(({ assignment: _, ...segment }) => segment),
      segments.map(({ slug, selection, enrolls, holdout }, index) => ({
        slug,
        selection,
        enroll_new_users: enrolls,
        holdout,
        members: members[index]
      }))
    )
  }
}

/** Compares the overlaps of the newest segments, of the group or not, as far as their members are known. */
async function agreeOnOverlaps(
  { service, model }: Pick<World, 'service' | 'model'>,
  group: string
): Promise<void> {
  const known = [...model.segments.values()].filter(({ deleted, filling }) => !deleted && !filling).slice(-50)
  const slugs = known.map(({ slug }) => slug)
  const query = slugs.length > 0 ? `?segments=${slugs.join()}` : ''
  const { overlaps } = (await service.get(`/api/v1/groups/${group}/overlap${query}`)).json<{
    overlaps: { segments: [string, string]; users: number }[]
  }>()
  const usersOf = (slug: string) =>
    new Set([...model.users.keys()].filter((userId) => model.stateOf(userId, slug) === true))
  assert.deepEqual(
    overlaps.filter(({ users }) => users > 0).map(({ segments, users }) => [...segments, users]),
    slugs
      .flatMap((one, index) => slugs.slice(index + 1).map((other) => [one, other] as const))
      .map(([one, other]) => [one, other, usersOf(one).intersection(usersOf(other)).size] as const)
      .filter(([, , users]) => users > 0)
  )
}

/** No user is in two segments of a group, by what the service answers. */
export async function checkExclusive({ service, model }: World): Promise<void> {
  const { body } = await service.post('/api/v1/segments/users/query', { user_ids: userIds })
  const { segments } = body as { segments: Record<string, string[]> }
  for (const [userId, slugs] of Object.entries(segments)) {
    const groups = slugs.map((slug) => model.segment(slug).group).filter((group) => group !== null)
    assert.equal(new Set(groups).size, groups.length, `user ${userId} is in ${slugs}`)
  }
}
