import * as fc from 'fast-check'
import t from 'tap'
import { continueAssignment } from '../../src/segments/filling-queries.ts'
import type { Answer } from '../support/client.ts'
import { holdTable, waitForBlocked } from '../support/locks.ts'
import { changed, learnUsers, ok } from '../support/members.ts'
import { shareService, type TestService } from '../support/service.ts'

const HOUR_MS = 3_600_000

const shared = await shareService(t)

/** Tests take the steps of the filling themselves. */
async function emptyService(): Promise<TestService> {
  const service = await shared()
  await service.app.backgroundJobs.assignments.stop()
  return service
}

type From = { all?: string[]; any?: string[]; none?: string[]; at?: string }

const create = (service: TestService, slug: string, from: From, body = {}, headers = {}) =>
  service.post('/api/v1/segment', { slug, from, ...body }, headers)

const count = async (service: TestService, from: From) =>
  (await service.post('/api/v1/segments/count', { from })).body

/** The ids in a segment, ascending, now or at a moment. */
async function membersOf(service: TestService, slug: string, at?: string): Promise<number[]> {
  const query = at === undefined ? '' : `?at=${at}`
  const { text } = await service.get(`/api/v1/segment/${slug}/users.csv${query}`)
  return text.trim().split('\n').slice(1).map(Number)
}

const recorded = async (service: TestService, slug: string) =>
  (await service.getSegment(slug)).json<{
    from: Required<From> | null
    created_at: string
    selection: number
    members: number
    assignment: unknown
  }>()

const change = (service: TestService, userId: number, body: object) =>
  service.post(`/api/v1/segments/user/${userId}`, body)

/** Creates segments, each with the users of these numbers, by request. */
async function fillSegments(service: TestService, members: Record<string, number[]>): Promise<void> {
  for (const slug of Object.keys(members)) t.same(await service.createSegment(slug), ok)
  for (const [slug, userIds] of Object.entries(members))
    for (const userId of userIds) t.same(await service.changeSegments(userId, [slug]), ok)
}

async function readMoment({ sql }: TestService): Promise<string> {
  const [row] = await sql<[{ now: string }]>`
    select to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as now`
  return row.now
}

async function fillAll({ app }: TestService, chunkSize = 2): Promise<void> {
  for (;;) {
    const step = await continueAssignment(app.bulk, chunkSize)
    if (!step) return
    t.equal(step.error, null)
  }
}

t.test('a composition is exact at any moment, compared with the periods themselves', async (t) => {
  const service = await emptyService()
  const { sql } = service
  const names = ['A', 'B', 'C', 'D']
  const start = Date.parse('2024-03-01T00:00:00Z')
  const toTime = (hour: number) => new Date(start + hour * HOUR_MS).toISOString()
  const deletedAt: Record<string, number> = { C: 40, D: 70 }
  await sql`insert into segments ${sql(
    names.map((slug) => ({
      slug,
      created_at: toTime(0),
      deleted_at: slug in deletedAt ? toTime(deletedAt[slug] ?? 0) : null
    }))
  )}`
  // Whole hours, so that moments and changes coincide. Up to two periods, one after the other.
  const lengths = fc.tuple(
    fc.nat({ max: 40 }),
    fc.nat({ max: 30 }),
    fc.constantFrom('removed_at', 'expires_at', 'open'),
    fc.integer({ min: 1, max: 20 }),
    fc.nat({ max: 30 }),
    fc.constantFrom('removed_at', 'expires_at', 'open')
  )
  const users = Array.from({ length: 40 }, (_, index) => ({ id: index + 1, known: index % 8 }))
  await sql`insert into users ${sql(users.map(({ id, known }) => ({ id, created_at: toTime(known) })))}`
  const drawn = fc.sample(fc.option(lengths, { freq: 4 }), { numRuns: users.length * names.length, seed: 7 })
  type Period = { userId: number; slug: string; begun: number; ended: number }
  const periods: Period[] = []
  for (const [index, lengths] of drawn.entries()) {
    if (lengths === null) continue
    const [begun, length, end, pause, secondLength, secondEnd] = lengths
    const userId = (index % users.length) + 1
    const slug = names[Math.floor(index / users.length)] ?? ''
    const parts: [number, number, string][] =
      end === 'open'
        ? [[begun, length, end]]
        : [
            [begun, length, end],
            [begun + length + pause, secondLength, secondEnd]
          ]
    for (const [position, [from, hours, kind]] of parts.entries()) {
      const to = toTime(from + hours)
      // An expired period is only closed when the user is added again.
      const isClosed = kind === 'removed_at' || position < parts.length - 1
      await sql`
        insert into memberships (user_id, segment_id, added_at, removed_at, expires_at)
        select ${userId}, id, ${toTime(from)}, ${isClosed ? to : null}, ${kind === 'expires_at' ? to : null}
        from segments where slug = ${slug}`
      const ended = kind === 'open' ? Number.POSITIVE_INFINITY : from + hours
      periods.push({ userId, slug, begun: from, ended: Math.min(ended, deletedAt[slug] ?? ended) })
    }
  }
  const isIn = (userId: number, slug: string, hour: number) =>
    periods.some((p) => p.userId === userId && p.slug === slug && p.begun <= hour && p.ended > hour)
  const roles = fc.tuple(...names.map(() => fc.constantFrom('all', 'any', 'none', '-')))
  const compositions = fc.sample(fc.tuple(roles, fc.integer({ min: -1, max: 80 })), { numRuns: 80, seed: 3 })
  let nonEmpty = 0
  for (const [index, [role, hour]] of compositions.entries()) {
    const named = (list: string) => names.filter((_, place) => role[place] === list)
    const [all, any, none] = [named('all'), named('any'), named('none')]
    if (all.length + any.length + none.length === 0) continue
    const from = { all, any, none, at: toTime(hour) }
    const gone = [...all, ...any, ...none].filter((slug) => (deletedAt[slug] ?? 1000) <= hour)
    if (gone.length > 0) {
      const missing = {
        status: 404,
        body: { message: 'some segments not found', code: 'SEGMENTS_NOT_FOUND', segments: gone }
      }
      t.same(await create(service, `N${index}`, from), missing)
      t.same(await service.post('/api/v1/segments/count', { from }), missing)
      continue
    }
    const isOfUsers = all.length + any.length === 0
    const expected = users.filter(
      ({ id, known }) =>
        all.every((slug) => isIn(id, slug, hour)) &&
        (any.length === 0 || any.some((slug) => isIn(id, slug, hour))) &&
        !none.some((slug) => isIn(id, slug, hour)) &&
        (!isOfUsers || known <= hour)
    )
    if (expected.length > 0) nonEmpty += 1
    const label = JSON.stringify(from)
    t.same(await count(service, from), { users: expected.length }, label)
    t.same(await create(service, `N${index}`, from), ok, label)
    t.same(
      await membersOf(service, `N${index}`),
      expected.map(({ id }) => id),
      label
    )
  }
  t.ok(nonEmpty > 20, `${nonEmpty} compositions had users`)
})

t.test('without a moment, it is the moment of creation, which the record shows', async (t) => {
  const service = await emptyService()
  await fillSegments(service, { A: [1, 2, 3, 4], B: [3], C: [4, 5] })
  await change(service, 6, { segments_to_add: [{ slug: 'A', ttl_seconds: 60 }] })
  await service.sql`update memberships set added_at = added_at - interval '1 hour', expires_at = now() where user_id = 6`
  t.same(await create(service, 'new', { all: ['a'], none: ['b'] }), ok)
  t.same(await membersOf(service, 'NEW'), [1, 2, 4], 'an expired membership does not count')
  const { from, created_at, selection, members } = await recorded(service, 'NEW')
  t.same(from, { all: ['A'], any: [], none: ['B'], at: created_at })
  t.same([selection, members], [1, 3])
  const { entries } = (await service.get('/api/v1/segment/NEW/history')).json<{ entries: object[] }>()
  t.match(entries, [
    {
      operation: 'created',
      added: 3,
      changes: { from: { from: null, to: from }, selection: { from: null, to: 1 } }
    }
  ])
  const { memberships } = (await service.get('/api/v1/segments/user/4/memberships')).json<{
    memberships: object[]
  }>()
  t.match(memberships, [
    { slug: 'A' },
    { slug: 'C' },
    { slug: 'NEW', added_at: created_at, cause: 'selection' }
  ])
  const { segments } = (await service.get('/api/v1/segments')).json<{ segments: { from: unknown }[] }>()
  t.same(
    segments.map((segment) => segment.from),
    [null, null, null, from]
  )
  t.same(await service.changeSegments(1, [], ['A']), ok)
  t.same(await create(service, 'LATER', { any: ['A', 'C'], at: created_at }), ok)
  t.same(await membersOf(service, 'LATER'), [1, 2, 3, 4, 5])
  t.same(await count(service, { any: ['A', 'C'] }), { users: 4 }, 'user 1 has left')
  t.same(await count(service, { none: ['A', 'C'] }), { users: 2 }, 'users 1 and 6 are known')
  t.same(await count(service, { none: ['A'], at: '2001-01-01T00:00:00Z' }), { users: 0 }, 'nobody was known')
})

t.test('a share of a composition is exact and drawn from its users alone', async (t) => {
  const service = await emptyService()
  const inA = Array.from({ length: 100 }, (_, index) => index + 1)
  await learnUsers(service, 300)
  await service.createSegment('A')
  await service.sql`
    insert into memberships (user_id, segment_id) select id, 1 from users where id <= 100`
  const drawn = new Set<number>()
  for (const [index, [selection, goal]] of [
    [0.07, 7],
    [0.071, 8],
    [0, 0],
    [1, 100],
    [0.5, 50],
    [0.5, 50],
    [0.5, 50]
  ].entries()) {
    const slug = `S${index}`
    t.same(await create(service, slug, { all: ['A'] }, { selection }), ok)
    const members = await membersOf(service, slug)
    t.equal(members.length, goal, `${selection}`)
    t.same(
      members.filter((userId) => !inA.includes(userId)),
      []
    )
    if (selection === 0.5) for (const userId of members) drawn.add(userId)
  }
  t.ok(drawn.size > 60, 'each draw is another one')
})

t.test('a mistaken deletion is undone', async (t) => {
  const service = await emptyService()
  await fillSegments(service, { A: [1, 2, 3] })
  await service.changeSegments(3, [], ['A'])
  await service.deleteSegment('A')
  const { deleted_at } = (await service.getSegment('A')).json<{ deleted_at: string }>()
  const missing = {
    status: 404,
    body: { message: 'some segments not found', code: 'SEGMENTS_NOT_FOUND', segments: ['A'] }
  }
  t.same(await create(service, 'A_AGAIN', { all: ['A'] }), missing)
  t.same(await create(service, 'A_AGAIN', { all: ['A'], at: deleted_at }), missing, 'its deletion')
  const at = deleted_at.replace(
    /\d{6}Z$/,
    (micros) => `${String(Number.parseInt(micros, 10) - 1).padStart(6, '0')}Z`
  )
  if (!deleted_at.endsWith('.000000Z')) {
    t.same(await create(service, 'A_AGAIN', { all: ['A'], at }), ok, 'a microsecond before')
    t.same(await membersOf(service, 'A_AGAIN'), [1, 2])
  }
})

t.test('what a composition may not say is refused', async (t) => {
  const service = await emptyService()
  await fillSegments(service, { A: [1], B: [1] })
  const many = Array.from({ length: 51 }, (_, index) => `S${index}`)
  const time = 'a time as in RFC 3339, such as 2026-11-23T08:51:00Z'
  const duplicate = 'segment with slug (A) appears more than once in the request'
  const cases: [from: object | null, message: string, code?: string][] = [
    [{}, 'body field (from) must name a segment in all, any or none'],
    [{ all: [], any: null, none: [] }, 'body field (from) must name a segment in all, any or none'],
    [{ all: ['A', 'a'] }, duplicate, 'DUPLICATE_SLUG'],
    [{ all: ['A'], none: ['a'] }, duplicate, 'DUPLICATE_SLUG'],
    [{ all: many, any: many.map((slug) => `X${slug}`) }, 'body field (from) must name at most 100 segments'],
    [{ all: ['A'], at: '9999-01-01T00:00:00Z' }, 'body field (from.at) must not be in the future'],
    [{ all: ['A'], at: 'yesterday' }, `body field (from.at) must be ${time}`],
    [{ some: ['A'] }, 'unknown body field (from.some)'],
    [
      { all: ['-'] },
      'body field (from.all[0]) must be 1 to 128 characters: a letter or digit, then letters, digits, "_", "-" or "."'
    ]
  ]
  for (const [from, message, code = 'INVALID_REQUEST'] of cases) {
    const refusal = { status: 400, body: { message, code } }
    t.same(await service.post('/api/v1/segment', { slug: 'X', from }), refusal, message)
    t.same(await service.post('/api/v1/segments/count', { from }), refusal, message)
  }
  const missing = { message: 'some segments not found', code: 'SEGMENTS_NOT_FOUND', segments: ['NO', 'NE'] }
  t.same(await create(service, 'X', { all: ['no', 'A'], none: ['Ne'] }), { status: 404, body: missing })
  const enrolls = {
    status: 400,
    body: {
      message: 'body field (enroll_new_users) must be false with `from`: new users are in no segment',
      code: 'INVALID_REQUEST'
    }
  }
  t.same(await create(service, 'X', { all: ['A'] }, { enroll_new_users: true }), enrolls)
  t.equal((await service.getSegment('X')).status, 404, 'nothing was created')
  t.same(await create(service, 'A', { all: ['B'] }), {
    status: 409,
    body: { message: 'segment with slug (A) already exists', code: 'SEGMENT_ALREADY_EXISTS' }
  })
  t.same(await create(service, 'X', { all: ['A'] }), ok)
  t.same(await service.patchSegment('X', { enroll_new_users: true }), enrolls)
  t.same(await service.patchSegment('X', { enroll_new_users: false, description: 'x' }), changed(0, 0))
  t.same(await service.post('/api/v1/segment', { slug: 'Y', from: null }), ok, 'null is absent')
  t.match(await recorded(service, 'Y'), { from: null, selection: null })
})

t.test('a changed share is one of the same users at the same moment', async (t) => {
  const service = await emptyService()
  await learnUsers(service, 50)
  await service.createSegment('A')
  await service.sql`insert into memberships (user_id, segment_id) select id, 1 from users where id <= 20`
  t.same(await create(service, 'NEW', { all: ['A'] }, { selection: 0.5 }), ok)
  const { from } = await recorded(service, 'NEW')
  for (const userId of [18, 19, 20]) await service.changeSegments(userId, [], ['A'])
  for (const userId of [31, 32, 33]) await service.changeSegments(userId, ['A'])
  t.same(await service.patchSegment('NEW', { selection: 0.81 }), changed(7, 0))
  t.ok((await membersOf(service, 'NEW')).every((userId) => userId <= 20))
  t.same(await service.patchSegment('NEW', { selection: 0.1 }), changed(0, 15))
  t.same(await service.patchSegment('NEW', { selection: 1 }), changed(18, 0))
  t.same(
    await membersOf(service, 'NEW'),
    Array.from({ length: 20 }, (_, index) => index + 1)
  )
  t.same((await recorded(service, 'NEW')).from, from)
  await service.deleteSegment('A')
  t.same(await service.patchSegment('NEW', { selection: 0.5 }), changed(0, 10), 'also after its deletion')
})

t.test('in the background, the users are those of the moment of the request', async (t) => {
  const service = await emptyService()
  await fillSegments(service, { A: [1, 2, 3, 4, 5, 6, 7], B: [7] })
  const prefer = { prefer: 'respond-async' }
  t.same(await create(service, 'NEW', { all: ['A'], none: ['B'] }, {}, prefer), { status: 202, body: '' })
  const { from, created_at, members } = await recorded(service, 'NEW')
  t.same([from?.at, members], [created_at, 0])
  const leave = () => service.changeSegments(1, ['B'], ['A'])
  t.same(await leave(), ok)
  t.same(await service.changeSegments(8, ['A']), ok)
  t.match(
    await continueAssignment(service.app.bulk, 2),
    { slug: 'NEW', error: null },
    'the users are sampled'
  )
  await service.changeSegments(2, [], ['A'])
  await service.changeSegments(3, [], ['NEW'])
  t.equal((await service.request({ method: 'DELETE', url: '/api/v1/users/4' })).status, 204)
  await service.deleteSegment('A')
  await fillAll(service)
  t.same(await membersOf(service, 'NEW'), [1, 2, 5, 6], 'without those removed from it and those erased')
  t.match((await recorded(service, 'NEW')).assignment, { status: 'done', target: 5, assigned: 5 })
})

t.test('in a group, the share of the composition is drawn from those who are free', async (t) => {
  const service = await emptyService()
  await service.post('/api/v1/groups', { slug: 'G' })
  await learnUsers(service, 100)
  await fillSegments(service, { A: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] })
  await service.post('/api/v1/segment', { slug: 'RIVAL', group: 'G' })
  for (const userId of [1, 2, 3]) await service.changeSegments(userId, ['RIVAL'])
  const body = { group: 'G', selection: 0.8 }
  const exhausted = {
    status: 409,
    body: {
      message: '8 more users are needed, but only 7 are free in group (G)',
      code: 'GROUP_EXHAUSTED',
      free_users: 7
    }
  }
  t.same(await create(service, 'NEW', { all: ['A'] }, body), exhausted)
  t.same(await create(service, 'NEW', { all: ['A'] }, body, { prefer: 'respond-async' }), exhausted)
  t.same(await create(service, 'NEW', { all: ['A'] }, { ...body, selection: 0.7 }), ok)
  t.same(await membersOf(service, 'NEW'), [4, 5, 6, 7, 8, 9, 10])
  t.same(
    await create(
      service,
      'OTHER',
      { none: ['A'] },
      { group: 'G', selection: 0.5 },
      { prefer: 'respond-async' }
    ),
    {
      status: 202,
      body: ''
    }
  )
  await fillAll(service)
  t.match((await recorded(service, 'OTHER')).assignment, { status: 'done', target: 45 })
  const others = await membersOf(service, 'OTHER')
  t.equal(others.length, 45)
  t.ok(others.every((userId) => userId > 10))
})

t.test('a retry with the same key creates nothing again, even if a segment is gone', async (t) => {
  const service = await emptyService()
  await fillSegments(service, { A: [1, 2] })
  const headers = { 'idempotency-key': 'k' }
  t.same(await create(service, 'NEW', { all: ['A'] }, {}, headers), ok)
  await service.changeSegments(1, [], ['A'])
  await service.deleteSegment('A')
  const retried = await create(service, 'NEW', { all: ['A'] }, {}, headers)
  t.same(retried, ok)
  t.equal(retried.headers['idempotency-replayed'], 'true')
  t.same(await membersOf(service, 'NEW'), [1, 2])
  t.match(await create(service, 'NEW', { any: ['A'] }, {}, headers), { status: 422 })
})

t.test('a change that is dated before the moment counts, though it is committed later', async (t) => {
  const service = await emptyService()
  await fillSegments(service, { A: [1] })
  const cases: [slug: string, userId: number, from: From][] = [
    ['OF_A', 2, { all: ['A'] }],
    ['OF_USERS', 3, { none: ['A'] }]
  ]
  for (const [slug, userId, from] of cases) {
    const release = await holdTable(t, service.database, 'users', 'share')
    const late = service.changeSegments(userId, userId === 2 ? ['A'] : [])
    await waitForBlocked(service.database, 1)
    const created: Promise<Answer> = create(service, slug, from)
    await waitForBlocked(service.database, 2)
    await release()
    t.same(await Promise.all([late, created]), [ok, ok])
    t.ok((await membersOf(service, slug)).includes(userId), slug)
  }
  const { from } = await recorded(service, 'OF_A')
  t.same(await membersOf(service, 'A', from?.at), await membersOf(service, 'OF_A'))
  t.ok((await readMoment(service)) > String(from?.at))
})
