import assert from 'node:assert/strict'
import { parseHistory } from '../../support/history.ts'
import type { Period, UserId } from './filling.ts'
import type { Assignment, ModelSegment } from './model.ts'
import { dayOf, MICROSECONDS_OF_A_DAY, type Microseconds, type Moment, parseTime } from './moment.ts'
import type { World } from './world.ts'

/** Users to add in one step. */
const CHUNK_SIZE = 2

type SlugRow = { operation: string; date: string }

/** Finishes every filling, and records who was sampled. */
export async function settleFillings(world: World): Promise<void> {
  while (await takeStep(world, CHUNK_SIZE)) await world.retryFillings()
}

/** Takes a step of a filling, and records who was sampled if it was the last one. @returns whether there was a step. */
export async function takeStep(world: World, chunkSize: number): Promise<boolean> {
  const [isTaken, at] = await world.during(() => world.fill(chunkSize))
  for (const segment of world.model.segments.values())
    if (segment.queued) await settleQueued(world, segment, at)
  if (!isTaken) await settleFilled(world)
  return isTaken
}

/** Records who was added to a segment of a group, if that has happened at the moment. */
async function settleQueued(world: World, segment: ModelSegment, at: Moment): Promise<void> {
  const { service, model } = world
  const { slug, queued, deleted } = segment
  const { assignment } = (await service.getSegment(slug)).json<{ assignment: Assignment }>()
  if (!queued || assignment.status === 'queued') return
  const { target, known, decided } = queued
  const eligible = model
    .samples(slug)
    .candidates.filter((userId) => known.includes(userId) && !decided.has(userId))
  const added: UserId[] = []
  for (const userId of model.users.keys()) {
    if (deleted || model.stateOf(userId, slug) === true) continue
    const { body } = await service.getSegments(userId)
    if ((body as string[]).includes(slug)) added.push(userId)
  }
  const status = deleted ? 'cancelled' : eligible.length < target ? 'failed' : 'done'
  assert.deepEqual(assignment, { status, assigned: status === 'done' ? target : 0, target }, slug)
  assert.equal(added.length, assignment.assigned, `added to ${slug}`)
  assert.deepEqual(
    added.filter((userId) => !eligible.includes(userId)),
    [],
    `added to ${slug}`
  )
  model.endQueued(slug, assignment, added, at)
}

/** Records who was sampled for the segments whose filling has ended. */
export async function settleFilled(world: World): Promise<void> {
  for (const segment of world.model.segments.values()) if (segment.filling) await settle(world, segment)
}

async function settle(world: World, { slug, filling, deleted }: ModelSegment): Promise<void> {
  if (!filling) return
  const { body } = await world.service.getSegment(slug)
  const { assignment } = body as { assignment: Assignment }
  const { status, assigned, target } = assignment
  if (status === 'queued' || status === 'running') return
  // If the segment was deleted before the sampling, there is no target.
  assert.ok(target === filling.target || (status === 'cancelled' && target === null), JSON.stringify(body))
  assert.ok(status === 'done' ? assigned === target : deleted, JSON.stringify(body))

  const now = await world.now()
  const periods = new Map<UserId, Period[]>()
  let added = 0
  for (const userId of world.model.users.keys()) {
    const rows = await readRows(world, userId, slug, now)
    const possible = filling.possiblePeriods(slug, userId, deleted, now)
    const actual = possible.findIndex((candidate) => isHistory(candidate, rows))
    assert.notEqual(actual, -1, `history of user ${userId} in ${slug} cannot be: ${JSON.stringify(rows)}`)
    added += actual
    periods.set(userId, possible[actual] ?? [])
  }
  assert.ok(added <= filling.target, `${added} instead of ${filling.target} were added to ${slug}`)
  // Users with explicit changes may have been skipped.
  if (status === 'done')
    assert.ok(added >= filling.target - filling.countDecided(), `${added} were added to ${slug}`)
  world.model.endFilling(slug, assignment, periods)
}

async function readRows(world: World, userId: UserId, slug: string, now: Microseconds): Promise<SlugRow[]> {
  const { body } = await world.service.makeReport(userId, '1970-01-01', dayOf(now + MICROSECONDS_OF_A_DAY))
  return parseHistory(String(body)).filter((row) => row.slug === slug)
}

function isHistory(periods: Period[], rows: SlugRow[]): boolean {
  const events = periods.flatMap(({ added, ended }) => [
    { operation: 'add', at: added },
    ...(ended ? [{ operation: 'delete', at: ended }] : [])
  ])
  return (
    events.length === rows.length &&
    events.every(({ operation, at }, index) => {
      const row = rows[index]
      return row?.operation === operation && at.allows(parseTime(row.date))
    })
  )
}
