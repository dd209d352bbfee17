/** The cursors of answers: what is read, and then the changes after its cursor, are exactly the memberships. */
import postgres from 'postgres'
import t from 'tap'
import type { Answer } from '../support/client.ts'
import { cursorOf, FeedConsumer, readAllChanges } from '../support/feed.ts'
import { waitForBlocked } from '../support/locks.ts'
import { shareService, type TestService } from '../support/service.ts'

const emptyService = await shareService(t)

const FUTURE = '2999-01-01T00:00:00.000000Z'

const download = (service: TestService, slug: string) =>
  service.get(`/api/v1/segment/${slug}/users.csv?expires=true`)
const query = (service: TestService, users: number[]) =>
  service.post('/api/v1/segments/users/query?cursor=true', { user_ids: users })
t.test('a download has the expiries if they are asked for', async (t) => {
  const service = await emptyService()
  await service.createSegment('A')
  await service.post('/api/v1/segments/user/1', {
    segments_to_add: ['A']
  })
  await service.post('/api/v1/segments/user/2', {
    segments_to_add: [{ slug: 'A', expires_at: FUTURE }]
  })
  t.equal((await download(service, 'a')).text, `user_id,expires_at\n1,\n2,${FUTURE}\n`)
  t.equal((await service.get('/api/v1/segment/a/users.csv?expires=false')).text, 'user_id\n1\n2\n')
  t.match(await service.get('/api/v1/segment/a/users.csv?expires=1'), {
    status: 400,
    body: { message: 'query parameter (expires) must be true or false' }
  })
})

t.test('a lookup of many users has a cursor if it is asked for', async (t) => {
  const service = await emptyService()
  await service.createSegment('A')
  await service.changeSegments(1, ['A'])
  const answer = await query(service, [1, 2])
  t.same(answer.body, { segments: { 1: ['A'] }, unknown: ['2'] })
  await service.changeSegments(2, ['A'])
  t.match((await readAllChanges(service, cursorOf(answer))).changes, [
    { type: 'membership_added', user_id: '2' }
  ])
  t.notOk('x-segments-cursor' in (await service.querySegments([1])).headers)
})

t.test('what is committed during a read is not in the answer, and comes after its cursor', async (t) => {
  const service = await emptyService()
  await service.createSegment('A')
  await service.changeSegments(1, ['A'])
  const writer = postgres(service.database.url, { max: 1, onnotice: () => {} })
  t.teardown(() => writer.end({ timeout: 1 }))
  let user = 1
  for (const [name, read, shows] of [
    [
      'users.csv',
      () => download(service, 'A'),
      (answer: Answer) => answer.text.trim().split('\n').length - 1
    ],
    [
      'users/query',
      () => query(service, [1, 2, 3]),
      (answer: Answer) => Object.keys((answer.body as { segments: object }).segments).length
    ]
  ] as const) {
    // The cursor has been read, and the memberships cannot be.
    await writer.unsafe('begin; lock table memberships')
    const reading = read()
    await waitForBlocked(service.database, 1)
    const members = user
    user += 1
    await writer`select change_user_segments(${user}, '{A}', '{}')`
    await writer.unsafe('commit')
    const answer = await reading
    t.equal(shows(answer), members, name)
    t.match((await readAllChanges(service, cursorOf(answer))).changes, [{ user_id: String(user) }], name)
  }
})

t.test(
  'a change that was written before the last one that the reader has seen, and committed after it',
  async (t) => {
    const service = await emptyService()
    await service.createSegment('A')
    const [seen, open] = [1, 2].map(() => postgres(service.database.url, { max: 1, onnotice: () => {} }))
    if (!seen || !open) throw new Error('two connections are needed')
    t.teardown(() => Promise.all([seen.end({ timeout: 1 }), open.end({ timeout: 1 })]))
    // The transaction that stays open has the higher id, so the snapshot of the reader does not list it.
    await seen.unsafe('begin; select pg_current_xact_id()')
    await open.unsafe(`begin; select change_user_segments(1, '{A}', '{}')`)
    await seen.unsafe(`select change_user_segments(2, '{A}', '{}'); commit`)
    const { changes, cursor } = await readAllChanges(service, 'start')
    t.match(changes.at(-1), { user_id: '2' })
    await open.unsafe('commit')
    t.match((await readAllChanges(service, cursor)).changes, [{ user_id: '1' }])
  }
)

t.test('members that are read while others write, and then followed', async (t) => {
  const service = await emptyService()
  for (const slug of ['A', 'B']) await service.createSegment(slug)
  const open = postgres(service.database.url, { max: 1, onnotice: () => {} })
  t.teardown(() => open.end({ timeout: 1 }))
  await open.unsafe(`begin; select change_user_segments(1000, '{A}', '{}')`)

  const consumers: FeedConsumer[] = []
  let isOver = false
  const reading = (async () => {
    while (!isOver) {
      const consumer = FeedConsumer.ofDownload('A', await download(service, 'A'))
      consumers.push(consumer)
      await consumer.catchUp(service, '&segment=A&limit=3')
    }
  })()
  const lookups: FeedConsumer[] = []
  const looking = (async () => {
    while (!isOver) {
      const answer = await query(service, [1])
      const consumer = new FeedConsumer(cursorOf(answer))
      const { segments } = answer.body as { segments: Record<string, string[]> }
      for (const slug of segments['1'] ?? [])
        consumer.members.set(slug, new Map([['1', { expiresAt: null }]]))
      lookups.push(consumer)
    }
  })()
  const writing = [1, 2, 3, 4].map(async (user) => {
    for (let turn = 0; turn < 60; turn += 1) {
      const added = user > 2 ? [{ slug: 'A', expires_at: `2999-01-01T00:00:${10 + (turn % 50)}Z` }] : ['A']
      const [add, remove] = turn % 2 === 0 ? [[...added, 'B'], []] : [[], ['A', 'B']]
      const change = { segments_to_add: add, segments_to_delete: remove }
      t.equal((await service.post(`/api/v1/segments/user/${user}`, change)).status, 200)
    }
    await service.changeSegments(user, ['A'])
  })
  await Promise.all(writing)
  await open.unsafe('commit')
  isOver = true
  await Promise.all([reading, looking])

  const last = FeedConsumer.ofDownload('A', await download(service, 'A'))
  t.equal(last.members.get('A')?.size, 5)
  for (const consumer of consumers) {
    await consumer.catchUp(service, '&segment=A&limit=3')
    t.same(
      new Map([...consumer.members].map(([slug, members]) => [slug, new Map([...members].sort())])),
      last.members
    )
  }
  t.ok(lookups.length > 0)
  for (const consumer of lookups) {
    await consumer.catchUp(service, '&user_id=1')
    t.same(consumer.segmentsAt('1', FUTURE), ['A'])
  }
})
