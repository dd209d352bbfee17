/** The change feed: what it contains, its filters and its cursors. */
import t from 'tap'
import { FeedConsumer, readAllChanges, readChanges } from '../support/feed.ts'
import { shareService, waitUntil } from '../support/service.ts'

const emptyService = await shareService(t)

const FUTURE = '2999-01-01T00:00:00.000000Z'

t.test('single changes are in the feed, in their order', async (t) => {
  const service = await emptyService()
  await service.createSegment('A')
  await service.createSegment('B')
  await service.post('/api/v1/segments/user/10', {
    segments_to_add: ['A', { slug: 'B', expires_at: FUTURE }]
  })
  // Changes nothing.
  await service.changeSegments(10, ['A'], [])
  await service.post('/api/v1/segments/user/10', {
    segments_to_add: [{ slug: 'B', expires_at: null }],
    segments_to_delete: ['A']
  })
  await service.patchSegment('A', { description: 'new' })
  await service.deleteSegment('B')
  await service.request({ method: 'DELETE', url: '/api/v1/users/10' })

  const { changes } = await readAllChanges(service, 'start')
  t.same(
    changes.map(({ type, user_id, slug, cause, expires_at }) => [type, user_id, slug, cause, expires_at]),
    [
      ['segment_created', null, 'A', null, null],
      ['segment_created', null, 'B', null, null],
      ['segment_changed', null, 'A', null, null],
      ['segment_deleted', null, 'B', null, null],
      ['user_erased', '10', null, null, null]
    ],
    'an erased user is in no other change'
  )
  t.same(changes[2]?.changes, { description: { from: null, to: 'new' } })
})

t.test('memberships', async (t) => {
  const service = await emptyService()
  await service.createSegment('A')
  await service.createSegment('B')
  const { cursor } = await readChanges(service, 'now')
  await service.post('/api/v1/segments/user/10', {
    segments_to_add: ['A', { slug: 'B', expires_at: FUTURE }]
  })
  await service.changeSegments(10, ['A'], [])
  await service.post('/api/v1/segments/user/10', { segments_to_add: ['B'], segments_to_delete: ['A'] })
  const { changes } = await readAllChanges(service, cursor)
  t.same(
    changes.map(({ type, user_id, slug, cause, expires_at }) => [type, user_id, slug, cause, expires_at]),
    [
      ['membership_added', '10', 'A', 'request', null],
      ['membership_added', '10', 'B', 'request', FUTURE],
      ['membership_removed', '10', 'A', 'request', null],
      ['expiry_set', '10', 'B', 'request', null]
    ]
  )
  const { entries } = (await service.get('/api/v1/segments/user/10/history')).json<{
    entries: { time: string }[]
  }>()
  t.same(
    changes.map(({ time }) => time),
    entries.map(({ time }) => time),
    'the times are those of the history'
  )
})

t.test('an expiry is announced, and is no change', async (t) => {
  const service = await emptyService()
  await service.createSegment('A')
  const { cursor } = await readChanges(service, 'now')
  await service.post('/api/v1/segments/user/1', { segments_to_add: [{ slug: 'A', ttl_seconds: 1 }] })
  await waitUntil(
    () => service.getSegments(1),
    ({ text }) => text === '[]'
  )
  await service.changeSegments(1, [], ['A'])
  await service.changeSegments(1, ['A'], [])
  const { changes } = await readAllChanges(service, cursor)
  t.same(
    changes.map(({ type }) => type),
    ['membership_added', 'membership_added'],
    'neither the expiry nor the removal of an expired membership is a change'
  )
})

const csv = { 'content-type': 'text/csv' }

t.test('draws, changed shares, enrollment and uploads are in the feed', async (t) => {
  const service = await emptyService()
  const consumer = new FeedConsumer((await readChanges(service, 'now')).cursor)
  const follow = async () => {
    const changes = await consumer.catchUp(service, '&limit=997')
    for (const slug of ['DRAWN', 'ENROLLING', 'UPLOADED', 'FILLED']) {
      const { text } = await service.get(`/api/v1/segment/${slug}/users.csv`)
      if (text.startsWith('user_id'))
        t.same(consumer.membersAt(slug, new Date().toISOString()), text.trim().split('\n').slice(1), slug)
    }
    return changes
  }
  const upload = (method: string, url: string, first: number, count: number) =>
    service.request({
      method,
      url: `/api/v1/${url}`,
      headers: csv,
      body: Array.from({ length: count }, (_, n) => `${first + n}\n`).join('')
    })

  await service.post('/api/v1/segment', { slug: 'ENROLLING', selection: 0.5, enroll_new_users: true })
  await upload('POST', 'users', 1, 5_000)
  t.ok((await follow()).length > 2_000, 'enrolled users')
  await service.createSegment('DRAWN', 0.9)
  t.equal((await follow()).length, 1 + 4_500)
  await service.patchSegment('DRAWN', { selection: 0.1 })
  t.equal((await follow()).length, 1 + 4_000)
  await service.patchSegment('DRAWN', { selection: 0.2 })
  t.equal((await follow()).length, 1 + 500)
  await service.createSegment('UPLOADED')
  await upload('POST', 'segment/uploaded/users', 1, 2_500)
  t.equal((await follow()).length, 1 + 2_500)
  const renewed = await service.request({
    method: 'POST',
    url: '/api/v1/segment/uploaded/users',
    headers: csv,
    body: `user_id,expires_at\n1,${FUTURE}\n2,\n2501,${FUTURE}\n`
  })
  t.equal(renewed.status, 200, renewed.text)
  t.same(
    (await follow()).map(({ type, user_id, expires_at }) => [type, user_id, expires_at]),
    [
      ['expiry_set', '1', FUTURE],
      ['membership_added', '2501', FUTURE]
    ]
  )
  await upload('DELETE', 'segment/uploaded/users', 2, 2_000)
  t.equal((await follow()).length, 2_000)
  await service.createSegment('FILLED', 0.5, { prefer: 'respond-async' })
  await waitUntil(
    () => service.getSegment('FILLED'),
    ({ text }) => text.includes('"done"')
  )
  t.equal((await follow()).length, 1 + 2_500)
  await service.request({ method: 'DELETE', url: '/api/v1/users/2501' })
  await follow()
})

t.test('filters', async (t) => {
  const service = await emptyService()
  for (const slug of ['A', 'B']) await service.createSegment(slug)
  for (const user of [1, 2]) await service.changeSegments(user, ['A', 'B'], [])
  await service.deleteSegment('B')
  await service.request({ method: 'DELETE', url: '/api/v1/users/1' })
  const kinds = async (query: string) =>
    (await readAllChanges(service, 'start', query)).changes.map(({ type, user_id, slug }) => [
      type,
      user_id,
      slug
    ])
  t.same(await kinds('&segment=a'), [
    ['segment_created', null, 'A'],
    ['membership_added', '2', 'A'],
    ['user_erased', '1', null]
  ])
  t.same(await kinds('&user_id=2'), [
    ['membership_added', '2', 'A'],
    ['membership_added', '2', 'B'],
    ['segment_deleted', null, 'B']
  ])
  t.same(await kinds('&user_id=2&segment=A'), [['membership_added', '2', 'A']])
  t.match(await service.get('/api/v1/changes?after=start&segment=nothing'), {
    status: 404,
    code: 'SEGMENT_NOT_FOUND'
  })
})

t.test('the changes after the cursor of any change are those that follow it', async (t) => {
  const service = await emptyService()
  await service.createSegment('A')
  await service.request({
    method: 'POST',
    url: '/api/v1/segment/a/users',
    headers: csv,
    body: '3\n1\n2\n'
  })
  await service.changeSegments(9, ['A'], [])
  const { changes } = await readAllChanges(service, 'start')
  t.same(
    changes.map(({ user_id }) => user_id),
    [null, '1', '2', '3', '9']
  )
  const withoutCursor = ({ cursor: _, ...change }: (typeof changes)[number]) => change
  for (const [index, { cursor }] of changes.entries())
    for (const limit of [1, 2, 100]) {
      const rest = await readAllChanges(service, cursor, `&limit=${limit}`)
      t.same(rest.changes.map(withoutCursor), changes.slice(index + 1).map(withoutCursor))
    }
})

t.test('what is no cursor is refused', async (t) => {
  const service = await emptyService()
  await service.createSegment('A')
  const { cursor } = await readChanges(service, 'now')
  const pack = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const state = JSON.parse(Buffer.from(cursor, 'base64url').toString())[1]
  const garbage = [
    'x',
    `${cursor}=`,
    cursor.slice(1),
    pack([]),
    pack([2, state]),
    pack([1, [...state.slice(0, 5), ['x']]]),
    pack([1, [-1, ...state.slice(1)]]),
    pack([1, [state[0], state[1], '2026-02-30', 1, 1, []]]),
    pack([1, [state[0], state[1], '2026-02-29', 1, 1, []]]),
    pack([1, [state[0], state[1], '0000-01-01', 1, 1, []]]),
    pack([1, state, state, 1, '2026-02-28', '0']),
    pack([1, state, 1])
  ]
  for (const after of garbage)
    t.match(
      await service.get(`/api/v1/changes?after=${encodeURIComponent(after)}`),
      { status: 400, code: 'INVALID_CURSOR' },
      after
    )
  t.match(await service.get('/api/v1/changes'), { status: 400, code: 'INVALID_REQUEST' })
})

t.test('a cursor from before a restore has expired', async (t) => {
  const service = await emptyService()
  await service.createSegment('A')
  await service.sql`create table backup as select * from changes`
  await service.createSegment('B')
  const { cursor } = await readChanges(service, 'now')
  const { changes } = await readAllChanges(service, 'start')
  const waiting = service.get(`/api/v1/changes?after=${cursor}&wait=30`)
  await waitUntil(
    async () => service.app.load.inFlight,
    (count) => count === 1
  )
  // It has been read behind the statements of the request above.
  await readChanges(service, cursor)
  await service.sql`delete from changes where not exists (select from backup where backup.position = changes.position)`
  await service.sql`drop table backup`
  const expired = { status: 410, code: 'CURSOR_EXPIRED' }
  t.match(await service.get(`/api/v1/changes?after=${cursor}`), expired)
  t.match(await service.get(`/api/v1/changes?after=${changes[1]?.cursor}`), expired)
  await service.createSegment('C')
  t.match(await service.get(`/api/v1/changes?after=${cursor}`), expired)
  t.match(await waiting, expired, 'also for a request that was waiting')
})

t.test('`wait` answers with the first change', async (t) => {
  const service = await emptyService()
  await service.createSegment('A')
  const { cursor } = await readChanges(service, 'now')
  const waiting = readChanges(service, cursor, '&wait=30')
  const other = readChanges(service, cursor, '&wait=30&user_id=2')
  await service.changeSegments(1, ['A'], [])
  t.match(await waiting, { changes: [{ type: 'membership_added', user_id: '1' }] })
  await service.changeSegments(2, ['A'], [])
  t.match(await other, { changes: [{ type: 'membership_added', user_id: '2' }] })
  const { cursor: last } = await readAllChanges(service, cursor)
  const begun = performance.now()
  t.same((await readChanges(service, last, '&wait=1')).changes, [])
  t.ok(performance.now() - begun > 900, 'without changes, it waits for the whole time')
})
