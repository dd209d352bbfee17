import assert from 'node:assert/strict'
import { parseHistory } from '../../support/history.ts'
import type { Period, UserId } from './filling.ts'
import type { Assignment, ModelSegment } from './model.ts'
import { dayOf, MICROSECONDS_OF_A_DAY, type Microseconds, parseTime } from './moment.ts'
import type { World } from './world.ts'

/** Users to add in one step. */
const CHUNK_SIZE = 2

type SlugRow = { operation: string; date: string }

/** Finishes every filling, and records who was sampled. */
export async function settleFillings(world: World): Promise<void> {
  while (await world.fill(CHUNK_SIZE));
  await settleFilled(world)
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
