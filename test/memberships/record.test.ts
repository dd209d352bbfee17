import { readdir } from 'node:fs/promises'
import t, { type Test } from 'tap'
import { configureKeys, makeKey } from '../support/keys.ts'
import { dayFromNow, shareDatabase, type TestService, waitUntil } from '../support/service.ts'

type Entry = {
  slug: string
  operation: string
  time: string
  cause: string
  actor: string | null
  expires_at: string | null
}
type Membership = { slug: string; added_at: string; expires_at: string | null; cause: string; actor: string }

const admin = makeKey('anna', 'admin')
const editor = makeKey('edgar', 'editor')
const startOnShared = await shareDatabase(t)

/** A service with the segments A and B. */
async function start(t: Test): Promise<TestService> {
  const service = await startOnShared(t, { API_KEYS: configureKeys(admin, editor) })
  for (const slug of ['A', 'B']) await service.post('/api/v1/segment', { slug }, admin.headers)
  return service
}

const change = (service: TestService, body: object, { headers } = admin) =>
  service.post('/api/v1/segments/user/1', body, headers)

async function history(service: TestService): Promise<Entry[]> {
  const { body } = await service.get('/api/v1/segments/user/1/history', admin.headers)
  return (body as { entries: Entry[] }).entries
}

async function memberships(service: TestService, at?: string): Promise<Membership[]> {
  const query = at === undefined ? '' : `?at=${at}`
  const { body } = await service.get(`/api/v1/segments/user/1/memberships${query}`, admin.headers)
  return (body as { memberships: Membership[] }).memberships
}

t.test('an expiry that is set again is an entry of its own, and what was told before stays', async (t) => {
  const service = await start(t)
  await change(service, { segments_to_add: ['A'] })
  const told = await history(service)
  t.match(told, [{ slug: 'A', operation: 'add', actor: 'anna', expires_at: null }])

  t.equal((await change(service, { segments_to_add: ['A'], ttl_seconds: 60 }, editor)).status, 200)
  const [addition, setting, ...more] = await history(service)
  t.same([addition], told)
  t.same(more, [])
  t.match(setting, { slug: 'A', operation: 'expiry_set', cause: 'request', actor: 'edgar' })
  const lifetime = Date.parse(String(setting?.expires_at)) - Date.parse(String(setting?.time))
  t.equal(lifetime, 60_000)

  await service.request({
    method: 'POST',
    url: '/api/v1/segment/A/users',
    headers: { ...editor.headers, 'content-type': 'text/csv' },
    body: 'user_id,expires_at\n1,2100-01-01T00:00:00Z\n'
  })
  await change(service, { segments_to_add: ['A'] })
  await change(service, { segments_to_add: ['A'] })
  const entries = await history(service)
  t.same(entries.slice(0, 2), [addition, setting])
  t.match(entries.slice(2), [
    { operation: 'expiry_set', cause: 'import', actor: 'edgar', expires_at: '2100-01-01T00:00:00.000000Z' },
    { operation: 'expiry_set', cause: 'request', actor: 'anna', expires_at: null }
  ])
  t.equal(entries.length, 4, 'an expiry that stays the same is no entry')

  t.same(
    await Promise.all(
      entries.map(async ({ time }) => (await memberships(service, time)).map(({ expires_at }) => expires_at))
    ),
    entries.map(({ expires_at }) => [expires_at]),
    'at each moment, the expiry that was known then'
  )
})

t.test('an upload sets expiries and adds members at one moment', async (t) => {
  const service = await start(t)
  await change(service, { segments_to_add: ['A'] })
  await service.request({
    method: 'POST',
    url: '/api/v1/segment/A/users',
    headers: { ...editor.headers, 'content-type': 'text/csv' },
    body: 'user_id,expires_at\n1,2100-01-01T00:00:00Z\n2,2100-01-01T00:00:00Z\n'
  })
  const [, setting] = await history(service)
  t.match(setting, { operation: 'expiry_set', cause: 'import' })
  const { body } = await service.get('/api/v1/segment/A/users/2', admin.headers)
  t.match(body, { member: true, added_at: setting?.time })
})

t.test('each segment to add may have an expiry of its own', async (t) => {
  const service = await start(t)
  const day = '2100-01-01T00:00:00.000000Z'
  const segments_to_add = [{ slug: 'a', ttl_seconds: 60 }, { slug: 'B' }]
  t.equal((await change(service, { segments_to_add, expires_at: day })).status, 200)
  const [a, b] = await memberships(service)
  t.match(a, { slug: 'A', cause: 'request', actor: 'anna' })
  t.equal(Date.parse(String(a?.expires_at)) - Date.parse(String(a?.added_at)), 60_000)
  t.match(b, { slug: 'B', expires_at: day })

  for (const [body, message, code] of [
    [
      { segments_to_add: [{ slug: 'A', expires_at: day, ttl_seconds: 1 }] },
      'body fields (segments_to_add[0].expires_at, segments_to_add[0].ttl_seconds): only one of them may be given',
      'INVALID_REQUEST'
    ],
    [
      { segments_to_add: ['A', { slug: 'a' }] },
      'segment with slug (A) appears more than once in the request',
      'DUPLICATE_SLUG'
    ],
    [
      { segments_to_add: [{ slug: 'B', expires_at: '2000-01-01T00:00:00Z' }] },
      'body field (expires_at) must be in the future',
      'EXPIRY_PASSED'
    ]
  ] as const) {
    const answer = await change(service, body)
    t.same([answer.status, answer.body], [400, { message, code }])
  }
  t.equal((await history(service)).length, 2, 'nothing has changed')
})

t.test('whether a user is in a segment, and why', async (t) => {
  const service = await start(t)
  const get = (path: string) => service.get(`/api/v1/${path}`, editor.headers)
  t.match(await get('segment/a/users/1'), { status: 404, code: 'USER_NOT_FOUND' })
  t.match(await get('segment/none/users/1'), { status: 404, code: 'SEGMENT_NOT_FOUND' })
  t.match(await get('segments/user/1/memberships'), { status: 404, code: 'USER_NOT_FOUND' })
  await change(service, { segments_to_add: ['A'] }, editor)
  const [membership] = await memberships(service)
  const { slug: _, ...fields } = membership ?? { slug: '' }
  t.same((await get('segment/a/users/1')).body, { member: true, ...fields })
  t.same((await get('segment/B/users/1')).body, { member: false })
  await service.request({ method: 'DELETE', url: '/api/v1/segment/A', headers: admin.headers })
  t.same((await get('segment/A/users/1')).body, { member: false })
  t.same(await memberships(service), [])
  t.same(
    (await memberships(service, String(membership?.added_at))).map(({ slug, actor }) => [slug, actor]),
    [['A', 'edgar']],
    'what was so then is told after the deletion'
  )
  t.match(await get('segments/user/1/memberships?at=2100-01-01T00:00:00Z'), {
    status: 400,
    body: { message: 'query parameter (at) must not be in the future' }
  })
})

t.test('a user who is erased is in no row and no file', async (t) => {
  const service = await start(t)
  const headers = admin.headers
  const erase = (user: number) => service.request({ method: 'DELETE', url: `/api/v1/users/${user}`, headers })
  await change(service, { segments_to_add: ['A'] })
  await change(service, { segments_to_add: ['A', 'B'], ttl_seconds: 60 })
  await service.post('/api/v1/segments/user/2', { segments_to_add: ['A'] }, headers)
  const [from, to] = ['2023-01-01', dayFromNow(1)]
  const orders = [
    await service.get(`/api/v1/segments/user/1/csv?from=${from}&to=${to}`, headers),
    await service.get(`/api/v1/segments/user/2/csv?from=${from}&to=${to}`, headers),
    await service.post('/api/v1/reports', { from, to }, headers)
  ]
  const fetchReports = () =>
    Promise.all(
      orders.map(({ body }) => service.get(new URL((body as { link: string }).link).pathname, headers))
    )
  await t.resolveMatch(waitForAll(fetchReports, 200), [{ status: 200 }, { status: 200 }, { status: 200 }])

  t.match(await service.request({ method: 'DELETE', url: '/api/v1/users/1', headers: editor.headers }), {
    status: 403,
    code: 'FORBIDDEN'
  })
  t.equal((await erase(1)).status, 204)
  t.match(await erase(1), { status: 404, code: 'USER_NOT_FOUND' })
  t.match(await service.get('/api/v1/segments/user/1', headers), { status: 404 })
  t.match(await fetchReports(), [{ status: 404 }, { status: 200 }, { status: 404 }])
  t.match(await readdir(service.reportsDirectory), { length: 1 }, 'only the report of user 2 is left')
  const rows = await service.sql`
    select 1 from users where id = 1
    union all select 2 from memberships where user_id = 1
    union all select 3 from expiry_changes where user_id = 1
    union all select 4 from reports where user_id = 1`
  t.same(rows, [])
  t.same((await service.get('/api/v1/segments/user/2', headers)).body, ['A'])

  await change(service, {})
  t.same(await history(service), [], 'who comes again is a new user')
})

t.test('a user who is erased while shares are drawn is in no segment', async (t) => {
  const service = await start(t)
  const headers = admin.headers
  for (let user = 1; user <= 20; user += 1) await service.post(`/api/v1/segments/user/${user}`, {}, headers)
  const erasures = Array.from({ length: 10 }, (_, index) =>
    service.request({ method: 'DELETE', url: `/api/v1/users/${index + 1}`, headers })
  )
  const creations = Array.from({ length: 10 }, (_, index) =>
    service.post(
      '/api/v1/segment',
      { slug: `S${index}`, selection: 1 },
      index % 2 === 0 ? headers : { ...headers, prefer: 'respond-async' }
    )
  )
  for (const { status } of await Promise.all(erasures)) t.equal(status, 204)
  for (const { status } of await Promise.all(creations)) t.ok(status < 300)
  await waitForAll(async () => service.sql<{ status: string }[]>`select status from assignments`, 'done')
  t.same(
    await service.sql`
      select distinct user_id from memberships
      where not exists (select from users where id = user_id)`,
    []
  )
})

/** Repeats until each result has the status. */
async function waitForAll<T extends { status: unknown }>(
  read: () => Promise<readonly T[]>,
  status: T['status']
): Promise<readonly T[]> {
  return waitUntil(read, (results) => results.every((result) => result.status === status))
}
