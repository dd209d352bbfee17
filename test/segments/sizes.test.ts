import * as fc from 'fast-check'
import t from 'tap'
import { startService, type TestService } from '../support/service.ts'

const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000

type Sizes = { sizes: { time: string; members: number }[] }

const sizesOf = async (service: TestService, query: string, slug = 'A') =>
  ((await service.get(`/api/v1/segment/${slug}/sizes${query}`)).body as Sizes).sizes

const format = (milliseconds: number) => new Date(milliseconds).toISOString().replace('Z', '000Z')

/** Puts periods into the past. Times are in milliseconds. */
async function addPeriods(
  { sql }: TestService,
  slug: string,
  periods: { userId: number; begun: number; removed?: number; expired?: number }[]
): Promise<void> {
  for (const { userId, begun, removed, expired } of periods) {
    await sql`insert into users (id) values (${userId}) on conflict do nothing`
    await sql`
      insert into memberships (user_id, segment_id, added_at, removed_at, expires_at)
      select ${userId}, id, ${new Date(begun)}, ${removed === undefined ? null : new Date(removed)}, ${expired === undefined ? null : new Date(expired)}
      from segments
      where slug = ${slug}`
  }
}

t.test('the sizes of a segment are those of its members at each moment', async (t) => {
  const service = await startService(t)
  await service.createSegment('A')
  await service.createSegment('B')
  await addPeriods(service, 'B', [{ userId: 1, begun: 0 }])
  const start = Date.parse('2024-03-01T00:00:00Z')
  // Whole hours, so that moments and changes coincide.
  const hour = fc.integer({ min: -30, max: 80 }).map((hours) => start + hours * HOUR_MS)
  const periods = await fc.sample(
    fc.record({
      begun: hour,
      length: fc.integer({ min: 0, max: 60 }),
      end: fc.constantFrom('removed', 'expired', 'open')
    }),
    { numRuns: 60, seed: 1 }
  )
  await addPeriods(
    service,
    'A',
    periods.map(({ begun, length, end }, index) => ({
      userId: 10 + index,
      begun,
      ...(end !== 'open' && { [end]: begun + length * HOUR_MS })
    }))
  )
  for (const [step, stepMs, count] of [
    ['hour', HOUR_MS, 100],
    ['day', DAY_MS, 5]
  ] as const) {
    const expected = Array.from({ length: count }, (_, index) => {
      const at = start - 10 * HOUR_MS + index * stepMs
      const members = periods.filter(
        ({ begun, length, end }) => begun <= at && (end === 'open' || begun + length * HOUR_MS > at)
      )
      return { time: format(at), members: members.length }
    })
    const [first, last] = [expected[0]?.time, expected.at(-1)?.time]
    t.same(await sizesOf(service, `?from=${first}&to=${last}&step=${step}`), expected, step)
    for (const { time, members } of expected.slice(0, 20)) {
      const csv = (await service.get(`/api/v1/segment/A/users.csv?at=${time}`)).body as string
      t.equal(csv.trim().split('\n').length - 1, members, `the members at ${time}`)
    }
  }
})

t.test('by default, the sizes are those of the last 90 days', async (t) => {
  const service = await startService(t)
  await service.createSegment('A')
  const today = Math.floor(Date.now() / DAY_MS) * DAY_MS
  await addPeriods(service, 'A', [{ userId: 1, begun: today - 10 * DAY_MS }])
  const sizes = await sizesOf(service, '')
  t.equal(sizes.length, 91)
  t.same([sizes[0]?.time, sizes.at(-1)?.time], [format(today - 90 * DAY_MS), format(today)])
  t.same(
    sizes.slice(79, 82).map(({ members }) => members),
    [0, 1, 1]
  )
  const hours = await sizesOf(service, '?step=hour')
  t.equal(hours.length, 91)
  t.equal(Date.parse(hours.at(-1)?.time ?? '') % HOUR_MS, 0)
  t.same(await sizesOf(service, '?from=2024-01-01&to=2024-01-03&step=day'), [
    { time: '2024-01-01T00:00:00.000000Z', members: 0 },
    { time: '2024-01-02T00:00:00.000000Z', members: 0 },
    { time: '2024-01-03T00:00:00.000000Z', members: 0 }
  ])
  const upToNow = await sizesOf(service, `?from=${format(today - DAY_MS)}&to=9999-12-31`)
  t.same(
    upToNow.map(({ members }) => members),
    [1, 1],
    'no later than now'
  )
  t.same(await sizesOf(service, '?from=9999-12-31'), [], 'nothing is known of the future')
  const exact = '2024-01-01T00:00:00.000001Z'
  t.same(await sizesOf(service, `?from=${exact}&to=${exact}`), [{ time: exact, members: 0 }])
  for (const [query, message] of [
    ['?from=2024-01-02&to=2024-01-01', 'query parameter (from) must not be after query parameter (to)'],
    [
      '?from=2001-01-01',
      'there are more than 2000 moments: query parameter (from) must be later, or (step) longer'
    ],
    ['?step=week', 'query parameter (step) must be hour or day']
  ] as const)
    t.match(await service.get(`/api/v1/segment/A/sizes${query}`), { status: 400, body: { message } }, query)
  t.match(await service.get('/api/v1/segment/NOWHERE/sizes'), { status: 404 })

  await service.deleteSegment('A')
  t.equal((await sizesOf(service, '')).at(-1)?.members, 1, 'a deleted segment had members before')
})

t.test('the members at a past moment are listed as they were recorded then', async (t) => {
  const service = await startService(t)
  await service.createSegment('A')
  const moment = async () =>
    (
      await service.sql<
        [{ now: string }]
      >`select to_char(clock_timestamp(), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as now`
    )[0].now
  const listed = async (at: string, query = '') => {
    const { users = [] } = (await service.get(`/api/v1/segment/A/users?at=${at}${query}`)).body as {
      users?: { user_id: string; expires_at: string | null }[]
    }
    return users.map(({ user_id, expires_at }) => [user_id, expires_at])
  }
  const download = async (at: string, query = '') =>
    (await service.get(`/api/v1/segment/A/users.csv?at=${at}${query}`)).body

  const before = await moment()
  const [first, second] = ['2100-01-01T00:00:00.000000Z', '2101-01-01T00:00:00.000000Z']
  const change = (userId: number, body: object) => service.post(`/api/v1/segments/user/${userId}`, body)
  await change(1, { segments_to_add: ['A'], expires_at: first })
  await change(2, { segments_to_add: ['A'] })
  const early = await moment()
  await change(1, { segments_to_add: ['A'], expires_at: second })
  await change(2, { segments_to_delete: ['A'] })
  await change(3, { segments_to_add: ['A'] })
  const middle = await moment()
  await change(2, { segments_to_add: ['A'] })
  const late = await moment()
  await service.deleteSegment('A')
  const gone = await moment()

  t.same(await listed(before), [])
  t.same(await listed(early), [
    ['1', first],
    ['2', null]
  ])
  t.same(await listed(middle), [
    ['1', second],
    ['3', null]
  ])
  t.same(await listed(late), [
    ['1', second],
    ['2', null],
    ['3', null]
  ])
  t.same(await listed(gone), [])
  t.equal(await download(early), 'user_id\n1\n2\n')
  t.equal(await download(early, '&expires=true'), `user_id,expires_at\n1,${first}\n2,\n`)
  t.equal(await download(middle, '&expires=true'), `user_id,expires_at\n1,${second}\n3,\n`)
  t.equal(await download(gone), 'user_id\n')

  const { body, headers } = await service.request({
    method: 'GET',
    url: `/api/v1/segment/A/users?at=${late}&limit=2`
  })
  const { next_cursor: cursor } = body as { next_cursor: string }
  t.match(headers['link'], /at=/, 'the next page is of the same moment')
  t.same(await listed(late, `&cursor=${cursor}`), [['3', null]])
  t.match(
    await service.get(`/api/v1/segment/A/users?at=${middle}&cursor=${cursor}`),
    { status: 400, body: { code: 'INVALID_CURSOR' } },
    'a cursor belongs to its moment'
  )
  for (const path of ['users', 'users.csv']) {
    t.match(await service.get(`/api/v1/segment/A/${path}?at=2100-01-01T00:00:00Z`), {
      status: 400,
      body: { message: 'query parameter (at) must not be in the future' }
    })
    t.match(await service.get(`/api/v1/segment/NOWHERE/${path}?at=${late}`), { status: 404 })
  }
})

t.test('the known users are counted', async (t) => {
  const service = await startService(t)
  const count = async () => (await service.get('/api/v1/users/count')).body
  t.same(await count(), { users: 0 })
  await service.changeSegments(1)
  await service.changeSegments(2)
  t.same(await count(), { users: 2 })
  await service.request({ method: 'DELETE', url: '/api/v1/users/1' })
  t.same(await count(), { users: 1 })
})
