/** As in agreement.ts, for segments as flags of OpenFeature. */
import assert from 'node:assert/strict'
import type { UserId } from './filling.ts'
import type { World } from './world.ts'

/** Compares all flags of a user, known or not, with the user's segments, and each flag with the same flag among all. */
export async function agreeOnFlags({ service, model }: World, userId: UserId): Promise<void> {
  const { certain, open } = model.activeSegments(userId) ?? { certain: [], open: [] }
  const body = { context: { targetingKey: userId } }
  const all = await service.post('/ofrep/v1/evaluate/flags', body)
  assert.equal(all.status, 200, all.text)
  const answered = all.json<{ flags: { key: string; value: boolean | string }[] }>().flags
  const live = [...model.segments.keys()].filter((slug) => model.isLive(slug))
  const groups = [...model.groups.keys()].filter((slug) => model.isLiveGroup(slug))
  assert.deepEqual(
    answered.map(({ key }) => key),
    [...live, ...groups]
  )
  const flags = answered.slice(0, live.length)
  assert.deepEqual(
    answered.slice(live.length).map(({ value }) => value),
    groups.map((group) => model.segmentOf(userId, group) ?? ''),
    `groups of user ${userId}`
  )
  const settled = flags.filter(({ key }) => !open.includes(key))
  assert.deepEqual(
    settled.filter(({ value }) => value).map(({ key }) => key),
    certain,
    `flags of user ${userId}`
  )
  for (const slug of [...model.segments.keys(), ...model.groups.keys()]) {
    const one = await service.post(`/ofrep/v1/evaluate/flags/${slug}`, body)
    const flag = answered.find(({ key }) => key === slug)
    if (flag) assert.deepEqual([one.status, one.body], [200, { ...flag, metadata: {} }])
    else assert.deepEqual([one.status, one.json<{ errorCode: string }>().errorCode], [404, 'FLAG_NOT_FOUND'])
  }
}
