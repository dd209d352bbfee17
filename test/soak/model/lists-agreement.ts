/** As in agreement.ts, for all users and segments at once. */
import assert from 'node:assert/strict'
import { type HistoryRow, parseHistory } from '../../support/history.ts'
import { readPages } from '../../support/pages.ts'
import { dayFromNow } from '../../support/service.ts'
import type { UserId } from './filling.ts'
import type { World } from './world.ts'

/** Entries on a page: few, so that there are several pages. */
export const PAGE_SIZE = 3

/** Compares the lists of segments, deleted ones included, and of their users, and the downloads. */
export async function agreeOnLists({ service, model }: World): Promise<void> {
  const segments = await readPages<{ slug: string }>(
    service,
    `/api/v1/segments?include_deleted=true&limit=${PAGE_SIZE}`,
    'segments'
  )
  assert.deepEqual(
    segments.items.map(({ slug }) => slug),
    [...model.segments.keys()].sort()
  )
  for (const slug of model.segments.keys()) {
    const users = await readPages<{ user_id: string }>(
      service,
      `/api/v1/segment/${slug}/users?limit=${PAGE_SIZE}`,
      'users'
    )
    const members = [...model.users.keys()]
      .filter((userId) => model.activeSegments(userId)?.certain.includes(slug))
      .sort((a, b) => (BigInt(a) < BigInt(b) ? -1 : 1))
    assert.deepEqual(
      users.items.map(({ user_id }) => user_id),
      members,
      `users of ${slug}`
    )
    const { body } = await service.get(`/api/v1/segment/${slug}/users.csv`)
    assert.equal(body, ['user_id', ...members, ''].join('\n'), `users of ${slug} as CSV`)
  }
}

/** Compares the report of all users with their histories, and that of a segment with its part. */
export async function agreeOnReportsOfAll(
  { service, model }: World,
  histories: ReadonlyMap<UserId, HistoryRow[]>
): Promise<void> {
  const tomorrow = dayFromNow(1)
  const read = async (segment?: string) => {
    const order = { from: '1970-01-01', to: tomorrow, ...(segment !== undefined && { segment }) }
    const { status, body } = await service.makeReportOfAll(order)
    assert.equal(status, 200, JSON.stringify(body))
    return parseHistory(String(body))
  }
  const all = await read()
  const dates = all.map(({ date }) => date)
  assert.deepEqual(dates, dates.toSorted(), 'the report of all is not in order')
  assert.deepEqual(
    new Map(Map.groupBy(all, ({ userId }) => userId)),
    new Map([...histories].filter(([, rows]) => rows.length > 0))
  )
  for (const slug of model.segments.keys())
    assert.deepEqual(
      await read(slug),
      all.filter((row) => row.slug === slug),
      `report of ${slug}`
    )
}
