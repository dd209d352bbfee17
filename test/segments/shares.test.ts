import t from 'tap'
import { readClock } from '../../src/database/times.ts'
import { countBlocked } from '../support/locks.ts'
import { changed, learnUsers, members, outline } from '../support/members.ts'
import { moved } from '../support/periods.ts'
import { shareService, startService, waitUntil } from '../support/service.ts'
import { upload } from '../support/uploads.ts'

const emptyService = await shareService(t)

t.test('raising a share adds random users, and removes nobody', async (t) => {
  const service = await emptyService()
  await learnUsers(service, 1_000)
  await service.createSegment('A', 0.1)
  const before = await members(service, 'A')
  t.equal(before.size, 100)
  t.same(await service.patchSegment('a', { selection: 0.2505 }), changed(151, 0), 'exactly, rounded up')
  const after = await members(service, 'A')
  t.equal(after.size, 251)
  t.ok(before.isSubsetOf(after))
  const [added] = after.difference(before)
  t.same(await outline(service, String(added)), [['A', 'add', 'selection']])
  t.match((await service.getSegment('A')).body, { selection: 0.2505, members: 251 })
  t.same(
    await service.patchSegment('A', { selection: 0.2505 }),
    changed(0, 0),
    'repeating it changes nothing'
  )
  t.same(await service.patchSegment('A', { selection: 1 }), changed(749, 0))
  t.same(await service.patchSegment('A', { selection: 0 }), changed(0, 1_000))
  t.same(await members(service, 'A'), new Set())

  // The added users are sampled from all ids, so the mean of their ids is near the middle.
  const ids = [...after.difference(before)].map(Number)
  const mean = ids.reduce((sum, id) => sum + id, 0) / ids.length
  t.ok(mean > 400 && mean < 600, `${mean}`)
})

t.test('lowering a share removes random sampled members', async (t) => {
  const service = await emptyService()
  await learnUsers(service, 100)
  await service.createSegment('A', 0.5)
  const drawn = await members(service, 'A')
  const others = Array.from({ length: 100 }, (_, n) => String(n + 1)).filter((id) => !drawn.has(id))
  const byHand = new Set(others.slice(0, 20))
  for (const id of byHand) await service.changeSegments(id, ['A'])

  t.same(await service.patchSegment('A', { selection: 0.1 }), changed(0, 40))
  const left = await members(service, 'A')
  t.equal(left.size, 30)
  t.ok(byHand.isSubsetOf(left), 'explicitly added users stay')
  const [removed] = drawn.difference(left)
  t.same(await outline(service, String(removed)), [
    ['A', 'add', 'selection'],
    ['A', 'delete', 'selection_lowered']
  ])
  t.same(await service.patchSegment('A', { selection: 0 }), changed(0, 10))
  t.same(await members(service, 'A'), byHand)
  t.same(
    await service.patchSegment('A', { selection: 0.8 }),
    changed(80, 0),
    'users removed by sampling may be sampled again'
  )
  t.same((await members(service, 'A')).size, 100)
})

t.test(
  'raising a share removes nobody, even if enrollment has added more users than the share',
  async (t) => {
    const service = await emptyService()
    await learnUsers(service, 100)
    await service.createSegment('A', 0.6)
    await service.sql`update segments set selection = 0.4`
    t.same(await service.patchSegment('A', { selection: 0.5 }), changed(0, 0))
    t.same(
      await service.patchSegment('A', { selection: 0.5 }),
      changed(0, 0),
      'repeating the share removes nobody either'
    )
    t.same(await service.patchSegment('A', { selection: 0.49 }), changed(0, 11))
  }
)

t.test('a membership that expires while the change of the share waits is not counted', async (t) => {
  for (const [selection, outcome] of [
    [0.3, changed(0, 2)],
    [1, changed(5, 0)]
  ] as const) {
    const service = await emptyService()
    await learnUsers(service, 10)
    await service.createSegment('A', 1)
    for (let id = 1; id <= 5; id += 1)
      await service.post(`/api/v1/segments/user/${id}`, { segments_to_add: ['A'], ttl_seconds: 3600 })
    const holder = await service.sql.reserve()
    await holder`begin`
    await holder`select pg_advisory_xact_lock_shared(1, id) from segments`
    const answer = service.patchSegment('A', { selection })
    await waitUntil(
      () => countBlocked(service.database),
      (count) => count === 1
    )
    await holder`
    update memberships set expires_at = ${await readClock(holder)} where expires_at is not null`
    await holder`commit`
    holder.release()
    t.same(await answer, outcome)
    t.equal((await members(service, 'A')).size, selection * 10)
  }
})

t.test('explicitly removed users are never sampled again', async (t) => {
  const service = await emptyService()
  await learnUsers(service, 100)
  await service.createSegment('A', 0.5)
  const gone = new Set([...(await members(service, 'A'))].slice(0, 10))
  const [first, ...others] = gone
  await service.changeSegments(Number(first), [], ['A'])
  await upload(service, 'segment/A/users', others.join('\n'), { method: 'DELETE' })
  t.same(
    await service.patchSegment('A', { selection: 1 }),
    changed(50, 0),
    'all available users: ten too few'
  )
  const all = await members(service, 'A')
  t.equal(all.size, 90)
  t.ok(all.isDisjointFrom(gone))
})

t.test('a share counts the current users, and expired memberships do not count', async (t) => {
  const service = await emptyService()
  await learnUsers(service, 10)
  await service.createSegment('A')
  await service.post('/api/v1/segments/user/1', { segments_to_add: ['A'], ttl_seconds: 60 })
  const earlier = (by: string) => moved(service.sql, 'added_at', by)
  await service.sql`update memberships set added_at = ${earlier('-1 hour')}, expires_at = ${earlier('-1 minute')}`
  t.same(await service.patchSegment('A', { selection: 1 }), changed(10, 0))
  t.same(await outline(service, 1), [
    ['A', 'add', 'request'],
    ['A', 'delete', 'expiry'],
    ['A', 'add', 'selection']
  ])
  await service.sql`insert into users (id) select generate_series(11, 20)`
  t.same(await service.patchSegment('A', { selection: 1 }), changed(10, 0))
})

t.test('a segment’s description and enrollment can be changed separately', async (t) => {
  const service = await emptyService()
  await service.post('/api/v1/segment', { slug: 'A', description: 'One “line”, ünïcode 🎯' })
  const plain = { description: 'One “line”, ünïcode 🎯', enroll_new_users: false, selection: null }
  t.match((await service.getSegment('A')).body, plain)
  t.same(await service.patchSegment('A', { description: 'Another' }), changed(0, 0))
  t.match((await service.getSegment('A')).body, { ...plain, description: 'Another' })
  t.same(await service.patchSegment('A', { selection: 0.5, enroll_new_users: true }), changed(0, 0))
  t.match((await service.getSegment('A')).body, {
    description: 'Another',
    enroll_new_users: true,
    selection: 0.5
  })
  t.same(await service.patchSegment('A', { description: null }), changed(0, 0))
  t.match((await service.getSegment('A')).body, { description: null, enroll_new_users: true, selection: 0.5 })
})

t.test('invalid changes of a segment are refused', async (t) => {
  const service = await emptyService()
  await service.createSegment('A')
  await service.createSegment('GONE')
  await service.deleteSegment('GONE')
  const cases: [string, object, number, string][] = [
    ['A', {}, 400, 'INVALID_REQUEST'],
    ['A', { selection: 1.1 }, 400, 'INVALID_REQUEST'],
    ['A', { selection: null }, 400, 'INVALID_REQUEST'],
    ['A', { slug: 'B' }, 400, 'INVALID_REQUEST'],
    ['A', { description: '' }, 400, 'INVALID_REQUEST'],
    ['A', { description: 'a\nb' }, 400, 'INVALID_REQUEST'],
    ['A', { description: '\u0000' }, 400, 'INVALID_REQUEST'],
    ['A', { description: '\ud800' }, 400, 'INVALID_REQUEST'],
    ['A', { description: 'x'.repeat(1_001) }, 400, 'INVALID_REQUEST'],
    ['A', { enroll_new_users: true }, 400, 'INVALID_REQUEST'],
    ['B', { selection: 1 }, 404, 'SEGMENT_NOT_FOUND'],
    ['GONE', { selection: 1 }, 404, 'SEGMENT_NOT_FOUND']
  ]
  for (const [slug, change, status, code] of cases)
    t.match(await service.patchSegment(slug, change), { status, body: { code } }, JSON.stringify(change))
  t.match(await service.post('/api/v1/segment', { slug: 'B', enroll_new_users: true }), {
    status: 400,
    body: { message: 'body field (enroll_new_users) needs a selection' }
  })
  t.match((await service.getSegment('B')).status, 404)
})

t.test('a segment that is being filled keeps its share until it is full', async (t) => {
  const service = await startService(t)
  await learnUsers(service, 10)
  await service.app.backgroundJobs.assignments.stop()
  const headers = { 'content-type': 'application/json', prefer: 'respond-async' }
  await service.request({
    method: 'POST',
    url: '/api/v1/segment',
    headers,
    body: '{"slug":"A","selection":0.5}'
  })
  t.match(await service.patchSegment('A', { selection: 1 }), {
    status: 409,
    body: { code: 'SEGMENT_BEING_FILLED' }
  })
  t.same(await service.patchSegment('A', { description: 'Its other properties don’t wait' }), changed(0, 0))
  t.match((await service.getSegment('A')).body, { selection: 0.5 })
})

t.test('concurrent changes of shares and memberships leave a consistent history', async (t) => {
  const service = await emptyService()
  await learnUsers(service, 60)
  await service.createSegment('A', 0.5)
  const ids = Array.from({ length: 60 }, (_, n) => String(n + 1))
  const work = ids.map(async (id) => {
    for (let round = 0; round < 6; round += 1)
      t.equal((await service.changeSegments(id, round % 2 ? ['A'] : [], round % 2 ? [] : ['A'])).status, 200)
  })
  for (const selection of [0.9, 0.1, 0.7, 0, 1, 0.3])
    t.equal((await service.patchSegment('A', { selection })).status, 200)
  await Promise.all(work)
  const overlaps = await service.sql`
    select from memberships a
    join memberships b using (user_id, segment_id)
    where a.added_at < b.added_at
      and b.added_at < coalesce(a.removed_at, 'infinity')`
  t.same(overlaps, [])
  t.same(await members(service, 'A'), new Set(ids.toSorted()), 'the last request of each user added them')
})
