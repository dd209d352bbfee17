/** Commands that change many users by one upload. */
import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { CSV, JSON_ARRAY, NDJSON, upload } from '../../support/uploads.ts'
import { assertAnswer, command, findEnrollments, inputs, refused, slug, userId } from './command.ts'
import type { UserId } from './filling.ts'
import { assertRefused, withRivals } from './groups.ts'
import { MICROSECONDS_OF_AN_HOUR, type Microseconds, Moment, writeTime } from './moment.ts'
import type { World } from './world.ts'

type Line = { userId: string; hours: number | null }

const NO_ID = 'ten'

/** Lines with an expiry that many hours ahead. */
const lines = (hours: fc.Arbitrary<number | null>): fc.Arbitrary<Line[]> =>
  fc.array(
    inputs({
      userId: fc.oneof({ weight: 30, arbitrary: userId }, { weight: 1, arbitrary: fc.constant(NO_ID) }),
      hours
    }),
    { maxLength: 6 }
  )
const anyHours = fc.oneof(
  { weight: 30, arbitrary: fc.constantFrom(null, 12, 30, 60) },
  { weight: 1, arbitrary: fc.constant(-1) }
)
const how = {
  form: fc.constantFrom(CSV, NDJSON, JSON_ARRAY),
  dryRun: fc.boolean(),
  skip: fc.boolean()
}
type How = { form: string; dryRun: boolean; skip: boolean }

/** The lines in one of the formats. */
function write(form: string, lines: Line[], now: Microseconds): string {
  const expiryOf = ({ hours }: Line) =>
    hours === null ? undefined : writeTime(now + BigInt(hours) * MICROSECONDS_OF_AN_HOUR)
  if (form === CSV) {
    const hasExpiries = lines.some(({ hours }) => hours !== null)
    const header = hasExpiries ? 'user_id,expires_at' : 'user_id'
    const rows = lines.map((line) => (hasExpiries ? `${line.userId},${expiryOf(line) ?? ''}` : line.userId))
    return [header, ...rows].join('\n')
  }
  const elements = lines.map((line) => {
    const expiry = expiryOf(line)
    // As text: JavaScript's numbers are not exact.
    const id = line.userId === NO_ID ? `"${NO_ID}"` : line.userId
    return expiry === undefined ? id : `{"user_id":${id},"expires_at":"${expiry}"}`
  })
  return form === NDJSON ? elements.join('\n') : `[${elements.join()}]`
}

function isGood({ userId, hours }: Line): boolean {
  return userId !== NO_ID && (hours === null || hours > 0)
}

type Account = Record<string, unknown> & { rejected: { count: number; first: { line: number }[] } }

/** How a segment is replaced. */
type Limit = { maxRemoved?: number | undefined }

/**
 * Sends the lines, and checks the account of the service.
 *
 * @param accountFor the expected counts of the valid lines; a pair allows any number from the first to the second.
 * @param isFree whether the user of a line may be added. If not, the line is rejected too.
 * @param removes how many members a replacement by the valid lines removes.
 * @returns when they took effect, and when the upload was generated; undefined if they had no effect.
 */
async function send(
  world: World,
  path: string,
  method: 'POST' | 'PUT' | 'DELETE',
  { lines, form, dryRun, skip, maxRemoved }: How & Limit & { lines: Line[] },
  accountFor: (good: Line[]) => Record<string, [least: number, most: number]>,
  isFree: (line: Line) => boolean = () => true,
  removes: (good: Line[]) => number = () => 0
): Promise<{ at: Moment; now: Microseconds; good: Line[] } | undefined> {
  const now = await world.now()
  const limit = maxRemoved === undefined ? '' : `&max_removed=${maxRemoved}`
  const query = `?on_error=${skip ? 'skip' : 'fail'}${dryRun ? '&dry_run=true' : ''}${limit}`
  const [answer, at] = await world.during(() =>
    upload(world.service, path, write(form, lines, now), { type: form, method, query })
  )
  const { status, body } = answer
  const isAccepted = (line: Line) => isGood(line) && isFree(line)
  const good = lines.filter(isAccepted)
  const rejected = lines.length - good.length
  const isRefused = rejected > 0 && !skip && !dryRun
  const removed = removes(good)
  if (!isRefused && !dryRun && removed > (maxRemoved ?? (good.length > 0 ? removed : 0))) {
    assertRefused(answer, [409, 'TOO_MANY_REMOVED'], { removed })
    return undefined
  }
  const what = `${method} ${path} of ${JSON.stringify(lines)}: ${JSON.stringify(body)}`
  assert.equal(status, isRefused ? 400 : 200, what)
  const account = body as Account
  if (isRefused) assert.equal(account.code, 'LINES_REJECTED', what)
  assert.equal(account.lines, lines.length, what)
  const first = form === CSV ? 2 : 1
  const bad = lines.flatMap((line, index) => (isAccepted(line) ? [] : [index + first]))
  assert.equal(account.rejected.count, rejected, what)
  assert.deepEqual(
    account.rejected.first.map(({ line }) => line),
    bad,
    what
  )
  for (const [name, [least, most]] of Object.entries(accountFor(good))) {
    const count = Number(account[name])
    assert.ok(least <= count && count <= most, `${name} from ${least} to ${most}: ${what}`)
  }
  return isRefused || dryRun ? undefined : { at, now, good }
}

/** The users of the valid lines, each once, with the last expiry. */
function usersOf(good: Line[]): Map<UserId, number | null> {
  const users = new Map<UserId, number | null>()
  for (const { userId, hours } of good) users.set(userId, hours ?? users.get(userId) ?? null)
  return users
}

/** The smallest and the largest possible number of members among them: during a filling, some are unknown. */
function countIn({ model }: World, slug: string, users: UserId[]): [least: number, most: number] {
  const states = users.map((userId) => model.stateOf(userId, slug))
  const certain = states.filter((state) => state === true).length
  return [certain, certain + states.filter((state) => state === 'open').length]
}

function countUnknown({ model }: World, users: UserId[]): [least: number, most: number] {
  const count = users.filter((userId) => !model.users.has(userId)).length
  return [count, count]
}

/** Makes new users known, with the segments that have enrolled them. */
async function becomeKnown(world: World, users: UserId[], named: string[], at: Moment): Promise<void> {
  for (const userId of users)
    if (world.model.makeKnown(userId)) await findEnrollments(world, userId, named, at)
}

/** Like the other uploads to a segment, refused if the segment does not exist. */
async function refusedWithout(
  { service, model }: World,
  slug: string,
  method: 'POST' | 'PUT' | 'DELETE'
): Promise<boolean> {
  const segment = model.segments.get(slug)
  if (segment && !segment.deleted) return false
  const message = `segment with slug (${slug}) not found`
  assertAnswer(
    await upload(service, `segment/${slug}/users`, '1', { method }),
    refused(404, 'SEGMENT_NOT_FOUND', message)
  )
  return true
}

/** Like other additions by name, refused if the segment is a holdout. */
async function refusedByHoldout(
  { service, model }: World,
  slug: string,
  method: 'POST' | 'PUT'
): Promise<boolean> {
  if (!model.segment(slug).holdout) return false
  const message = `segment with slug (${slug}) is a holdout: users join it only by sampling and enrollment`
  const answer = await upload(service, `segment/${slug}/users`, '1', { method })
  assertAnswer(answer, refused(409, 'SEGMENT_IS_HOLDOUT', message))
  return true
}

/** Whether the user of a line is in no other segment of the group. */
function isFreeFor({ model }: World, slug: string): (line: Line) => boolean {
  const rivals = model.rivalsOf(slug)
  return ({ userId }) => rivals.every((rival) => model.stateOf(userId, rival.slug) !== true)
}

function accountForAdded(world: World, slug: string, good: Line[]): Record<string, [number, number]> {
  const users = [...usersOf(good).keys()]
  const [least, most] = countIn(world, slug, users)
  const repeated = good.length - users.length
  return {
    added: [users.length - most, users.length - least],
    already_members: [repeated + least, repeated + most],
    new_users: countUnknown(world, users)
  }
}

/** Adds the users of lines that have taken effect. */
async function addLines(
  world: World,
  slug: string,
  { at, now, good }: { at: Moment; now: Microseconds; good: Line[] }
): Promise<void> {
  const users = usersOf(good)
  await becomeKnown(world, [...users.keys()], withRivals(world.model, [slug]), at)
  for (const [userId, hours] of users) {
    const time = hours === null ? undefined : now + BigInt(hours) * MICROSECONDS_OF_AN_HOUR
    world.model.importMember(userId, slug, at, time === undefined ? undefined : new Moment(time, time))
  }
}

export const importMembers = command(
  'importMembers',
  inputs({ slug, lines: lines(anyHours), ...how }),
  async (world, input) => {
    const slug = input.slug.toUpperCase()
    if ((await refusedWithout(world, slug, 'POST')) || (await refusedByHoldout(world, slug, 'POST'))) return
    const sent = await send(
      world,
      `segment/${input.slug}/users`,
      'POST',
      input,
      (good) => accountForAdded(world, slug, good),
      isFreeFor(world, slug)
    )
    if (sent) await addLines(world, slug, sent)
  }
)

export const replaceMembers = command(
  'replaceMembers',
  inputs({
    slug,
    lines: lines(anyHours),
    ...how,
    maxRemoved: fc.option(fc.integer({ min: 0, max: 4 }), { nil: undefined })
  }),
  async (world, input) => {
    const slug = input.slug.toUpperCase()
    if ((await refusedWithout(world, slug, 'PUT')) || (await refusedByHoldout(world, slug, 'PUT'))) return
    const { model, service } = world
    const { filling, queued } = model.segment(slug)
    if (filling || queued) {
      const answer = await upload(service, `segment/${slug}/users`, '1', { method: 'PUT' })
      return assertRefused(answer, [409, 'SEGMENT_BEING_FILLED'])
    }
    const missing = (good: Line[]) => {
      const users = usersOf(good)
      return [...model.users.keys()].filter(
        (userId) => model.stateOf(userId, slug) === true && !users.has(userId)
      )
    }
    const removes = (good: Line[]) => missing(good).length
    const accountFor = (good: Line[]): Record<string, [number, number]> => ({
      ...accountForAdded(world, slug, good),
      removed: [removes(good), removes(good)]
    })
    const sent = await send(
      world,
      `segment/${input.slug}/users`,
      'PUT',
      input,
      accountFor,
      isFreeFor(world, slug),
      removes
    )
    if (!sent) return
    for (const userId of missing(sent.good)) model.removeMember(userId, slug, sent.at, 'import')
    await addLines(world, slug, sent)
  }
)

const noExpiry = fc.constant(null)

export const removeMembers = command(
  'removeMembers',
  inputs({ slug, lines: lines(noExpiry), ...how }),
  async (world, input) => {
    const slug = input.slug.toUpperCase()
    if (await refusedWithout(world, slug, 'DELETE')) return
    const sent = await send(world, `segment/${input.slug}/users`, 'DELETE', input, (good) => {
      const users = [...usersOf(good).keys()]
      const [least, most] = countIn(world, slug, users)
      return { removed: [least, most], not_members: [good.length - most, good.length - least] }
    })
    if (!sent) return
    for (const userId of usersOf(sent.good).keys()) world.model.removeMember(userId, slug, sent.at, 'import')
  }
)

export const addUsers = command(
  'addUsers',
  inputs({ lines: lines(noExpiry), ...how }),
  async (world, input) => {
    const sent = await send(world, 'users', 'POST', input, (good) => {
      const [count] = countUnknown(world, [...usersOf(good).keys()])
      return { new_users: [count, count], already_known: [good.length - count, good.length - count] }
    })
    if (sent) await becomeKnown(world, [...usersOf(sent.good).keys()], [], sent.at)
  }
)
