/** Retries of writes: the header `Idempotency-Key`. */
import { readFile } from 'node:fs/promises'
import type { OutgoingHttpHeaders } from 'node:http'
import type postgres from 'postgres'
import t, { type Test } from 'tap'
import { emptyExpiredSlot } from '../../src/database/idempotency-keys.ts'
import type { Answer, TestClient } from '../support/client.ts'
import { connectClient } from '../support/client.ts'
import { startCuttingProxy } from '../support/cutting-proxy.ts'
import { dereference } from '../support/dereference.ts'
import { configureKeys, makeKey } from '../support/keys.ts'
import { holdTable, waitForBlocked } from '../support/locks.ts'
import { startServerProcess } from '../support/server-process.ts'
import {
  createDatabase,
  createFolder,
  dayFromNow,
  shareService,
  startService,
  startServiceOn,
  type TestService,
  waitUntil
} from '../support/service.ts'

type Write = {
  method: 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  url: string
  body?: unknown
  headers?: OutgoingHttpHeaders
  text?: string
}

/** Sends a write with a key. */
function write(client: TestClient, key: string | undefined, { method, url, body, headers, text }: Write) {
  return client.request({
    method,
    url,
    headers: {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(key === undefined ? {} : { 'idempotency-key': key }),
      ...headers
    },
    body: text ?? (body === undefined ? undefined : JSON.stringify(body))
  })
}

/** What a retry must repeat. */
function contentOf({ status, text, headers }: Answer) {
  return { status, text, location: headers['location'], token: headers['x-segments-token'] }
}

const countKeys = async ({ sql }: TestService) => {
  const [row] = await sql<[{ keys: number }]>`select count(*)::integer as keys from idempotency_keys`
  return row.keys
}

const csv = (url: string, text: string, method: 'POST' | 'PUT' | 'DELETE' = 'POST'): Write => ({
  method,
  url,
  text,
  headers: { 'content-type': 'text/csv' }
})

const emptyService = await shareService(t)

t.test('a retry of each write gets the first answer, and has no further effect', async (t) => {
  /** What is different after the write, and different again if it took effect twice. */
  const effect = async ({ sql }: TestService) => [
    await sql`select user_id, slug, operation, happened_at, expires_at from history order by 1, 4, 3`,
    await sql`select slug, deleted_at, selection from segments order by slug`,
    await sql`select segment_id, operation, changed_at from segment_changes where operation <> 'filled' order by id`,
    await sql`select filename, ordered_at from reports order by id`,
    await sql`select id from users order by id`
  ]
  const writes: Record<string, Write> = {
    'create a segment': { method: 'POST', url: '/api/v1/segment', body: { slug: 'B' } },
    'create a segment with a share': {
      method: 'POST',
      url: '/api/v1/segment',
      body: { slug: 'B', selection: 0.5 }
    },
    'create a segment in the background': {
      method: 'POST',
      url: '/api/v1/segment',
      body: { slug: 'B', selection: 0 },
      headers: { prefer: 'respond-async' }
    },
    'change a segment': { method: 'PATCH', url: '/api/v1/segment/A', body: { selection: 0.5 } },
    'delete a segment': { method: 'DELETE', url: '/api/v1/segment/A' },
    "change a user's segments": {
      method: 'POST',
      url: '/api/v1/segments/user/1',
      body: { segments_to_add: [{ slug: 'A', ttl_seconds: 60 }] }
    },
    'erase a user': { method: 'DELETE', url: '/api/v1/users/1' },
    'add users by an upload': csv('/api/v1/segment/A/users?on_error=skip', '10\n11\nx\n'),
    'remove users by an upload': csv('/api/v1/segment/A/users', '1\n2\n', 'DELETE'),
    'replace the users of a segment': csv('/api/v1/segment/A/users', '1\n10\n', 'PUT'),
    'make users known': csv('/api/v1/users', '10\n11\n'),
    'order a report': {
      method: 'POST',
      url: '/api/v1/reports',
      body: { from: dayFromNow(-1), to: dayFromNow(1) }
    }
  }
  for (const [name, request] of Object.entries(writes)) {
    const service = await emptyService()
    await service.createSegment('A')
    for (const user of [1, 2, 3, 4]) await service.changeSegments(user, ['A'])
    const before = await effect(service)
    const first = await write(service, name.replaceAll(' ', '-'), request)
    t.ok(first.status < 300, `${name}: ${first.text}`)
    t.equal(first.headers['idempotency-replayed'], undefined)
    const after = await effect(service)
    t.notSame(after, before, name)
    const second = await write(service, name.replaceAll(' ', '-'), request)
    t.same(contentOf(second), contentOf(first), name)
    t.equal(second.headers['idempotency-replayed'], 'true', name)
    t.same(await effect(service), after, name)
  }
})

t.test('a retry of the cancellation of a report gets the first answer', async (t) => {
  const service = await emptyService()
  const { headers } = await service.orderReportOfAll({ from: '2023-08-01', to: '2023-08-31' })
  const { pathname } = new URL(headers.location ?? '')
  t.equal((await write(service, 'k', { method: 'DELETE', url: pathname })).status, 204)
  t.equal((await write(service, 'k', { method: 'DELETE', url: pathname })).status, 204)
  t.equal((await write(service, 'other', { method: 'DELETE', url: pathname })).code, 'REPORT_NOT_FOUND')
})

t.test('an order of a report whose file is lost is made again, also with a key', async (t) => {
  const service = await emptyService()
  const interval = { from: '2023-08-01', to: '2023-08-31' }
  await service.makeReportOfAll(interval)
  await service.sql`update reports set token = gen_random_uuid()`
  const request: Write = { method: 'POST', url: '/api/v1/reports', body: interval }
  const first = await write(service, 'k', request)
  t.equal(first.status, 202)
  t.same(await service.sql`select status = 'expired' as lost from reports`, [{ lost: false }])
  const report = await waitUntil(
    () => service.fetchReport(first),
    ({ code }) => code !== 'REPORT_PENDING'
  )
  t.equal(report.status, 200)
  t.equal((await write(service, 'k', request)).text, first.text)
})

t.test('a key is for one request of one caller', async (t) => {
  const [billing, search] = [makeKey('billing', 'admin'), makeKey('search', 'admin')]
  const service = await startService(t, { API_KEYS: configureKeys(billing, search) })
  const as = (key: typeof billing, request: Write) =>
    write(service, 'same', { ...request, headers: { ...request.headers, ...key.headers } })
  const create = (slug: string): Write => ({ method: 'POST', url: '/api/v1/segment', body: { slug } })

  t.equal((await as(billing, create('A'))).status, 200)
  t.equal((await as(search, create('B'))).status, 200, 'keys of other callers are separate')
  t.equal((await as(billing, create('A'))).headers['idempotency-replayed'], 'true')
  t.same(await as(billing, create('C')), {
    status: 422,
    body: {
      message: 'header (idempotency-key) was used for another request: use a new key for each write',
      code: 'IDEMPOTENCY_KEY_REUSED'
    }
  })
  for (const request of [
    { method: 'DELETE', url: '/api/v1/segment/A' },
    { method: 'PATCH', url: '/api/v1/segment/A', body: { slug: 'A' } },
    csv('/api/v1/users', '{"slug":"A"}')
  ] satisfies Write[])
    t.match(
      (await as(billing, request)).code,
      /IDEMPOTENCY_KEY_REUSED|INVALID_REQUEST|LINES_REJECTED/,
      request.url
    )
  t.same(
    await service.sql`select slug, deleted_at from segments order by slug`,
    ['A', 'B'].map((slug) => ({ slug, deleted_at: null }))
  )
})

t.test('the body of an upload is known by its bytes, and its parameters count', async (t) => {
  const service = await emptyService()
  await service.createSegment('A')
  const url = '/api/v1/segment/A/users'
  const first = await write(service, 'k', csv(url, '1\n2\n'))
  t.equal((await write(service, 'k', csv(url, '1\n3\n'))).code, 'IDEMPOTENCY_KEY_REUSED')
  t.equal((await write(service, 'k', csv(`${url}?dry_run=true`, '1\n2\n'))).code, 'IDEMPOTENCY_KEY_REUSED')
  t.equal(
    (await write(service, 'k', csv('/api/v1/segment/B/users', '1\n2\n'))).code,
    'IDEMPOTENCY_KEY_REUSED'
  )
  await service.deleteSegment('A')
  t.same(contentOf(await write(service, 'k', csv(url, '1\n2\n'))), contentOf(first), 'after its deletion too')
  t.same(await write(service, 'new', csv(url, '1\n2\n')), {
    status: 404,
    body: { message: 'segment with slug (A) not found', code: 'SEGMENT_NOT_FOUND' }
  })
})

t.test('a request whose key is in use is refused, and then answered as the first one', async (t) => {
  const service = await emptyService()
  await service.createSegment('A')
  const request: Write = {
    method: 'POST',
    url: '/api/v1/segments/user/1',
    body: { segments_to_add: ['A'] }
  }
  const release = await holdTable(t, service.database, 'memberships')
  const first = write(service, 'k', request)
  await waitForBlocked(service.database, 1)
  const second = await write(service, 'k', request)
  t.same(second, {
    status: 409,
    body: {
      message: 'a request with this header (idempotency-key) is still in progress, try again later',
      code: 'IDEMPOTENCY_KEY_IN_USE'
    }
  })
  t.equal(second.headers['retry-after'], '1')
  await release()
  const answer = contentOf(await first)
  t.same(contentOf(await write(service, 'k', request)), answer)
})

t.test('a request that changed nothing is tried again', async (t) => {
  const service = await emptyService()
  const change: Write = {
    method: 'POST',
    url: '/api/v1/segments/user/1',
    body: { segments_to_add: ['A'] }
  }
  t.equal((await write(service, 'change', change)).code, 'SEGMENTS_NOT_FOUND')
  const upload = csv('/api/v1/segment/A/users', '1\n')
  t.equal((await write(service, 'upload', upload)).code, 'SEGMENT_NOT_FOUND')
  t.equal((await write(service, 'rejected', csv('/api/v1/users', 'x\n'))).code, 'LINES_REJECTED')
  t.equal(await countKeys(service), 0)
  await service.createSegment('A')
  const create: Write = { method: 'POST', url: '/api/v1/segment', body: { slug: 'A' } }
  t.equal((await write(service, 'create', create)).code, 'SEGMENT_ALREADY_EXISTS')
  t.equal((await write(service, 'change', change)).status, 200)
  t.equal((await write(service, 'upload', upload)).status, 200)
  t.same((await service.getSegments(1)).body, ['A'])
  t.equal(await countKeys(service), 2)
})

t.test('a key has 1 to 255 visible ASCII characters', async (t) => {
  const service = await emptyService()
  const request: Write = { method: 'POST', url: '/api/v1/segments/user/1', body: {} }
  for (const key of ['', 'k'.repeat(256), 'a b', 'ä', 'a\tb'])
    t.match(
      await write(service, key, request),
      {
        status: 400,
        body: {
          message: /^header \(idempotency-key\) must be 1 to 255 visible ASCII characters/,
          code: 'INVALID_REQUEST'
        }
      },
      key
    )
  for (const key of ['k', '~'.repeat(255), '"8e03978e-40d5-43dd-bc93-6894a57f9324"', "'!#"])
    t.equal((await write(service, key, request)).status, 200, key)
})

t.test('without a key nothing is stored, and reads ignore keys', async (t) => {
  const service = await emptyService()
  await service.createSegment('A')
  await service.changeSegments(1, ['A'])
  await service.get('/api/v1/segments/user/1', { 'idempotency-key': 'k' })
  await service.post('/api/v1/segments/users/query', { user_ids: [1] }, { 'idempotency-key': 'k' })
  await service.get(`/api/v1/segments/user/1/csv?from=2023-08-01&to=2023-08-31`, { 'idempotency-key': 'k' })
  t.equal(await countKeys(service), 0)
})

t.test('answers are kept for 24 hours, and then removed with their slot', async (t) => {
  const service = await emptyService()
  const request: Write = { method: 'POST', url: '/api/v1/segments/user/1', body: {} }
  const replayed = async (key: string) =>
    (await write(service, key, request)).headers['idempotency-replayed'] === 'true'
  for (const key of ['old', 'kept']) t.equal(await replayed(key), false)
  const age = (hours: number) => service.sql`
    with moved as (
      delete from idempotency_keys returning *
    )
    insert into idempotency_keys
    select
      (floor(extract(epoch from now() - make_interval(hours => ${hours})) / 86400)::bigint % 3)::smallint, id,
      now() - make_interval(hours => ${hours}), fingerprint, token, status, headers, body
    from moved`
  await age(23)
  t.equal(await replayed('kept'), true)
  await age(25)
  t.equal(await replayed('kept'), false, 'it is written again')
  await service.sql`delete from idempotency_keys`
  t.equal(await replayed('kept'), false)
  await age(72)
  t.equal(await replayed('kept'), false, 'in a slot that nobody has emptied')
  t.equal(await replayed('kept'), true)
  await service.sql`delete from idempotency_keys`
  t.equal(await replayed('kept'), false)
  await age(48)
  t.equal(await replayed('new'), false)
  t.equal(await countKeys(service), 2)
  const release = await holdTable(t, service.database, 'idempotency_keys', 'share')
  await emptyExpiredSlot(service.app.bulk)
  t.equal(await countKeys(service), 2, 'it does not wait for others')
  await release()
  await emptyExpiredSlot(service.app.bulk)
  t.equal(await countKeys(service), 1)
  t.equal(await replayed('new'), true)
})

t.test('a connection that is lost during the commit: the write with a key is answered', async (t) => {
  const database = await createDatabase(t)
  for (const side of ['before', 'after'] as const) {
    const url = await startCuttingProxy(t, database.url, { text: 'as token; commit', side })
    const service = await startServiceOn(t, { ...database, url })
    const request = csv('/api/v1/users', side === 'before' ? '1\n2\n' : '3\n4\n')
    t.match(await write(service, side, request), { status: 200, body: { new_users: 2 } }, side)
  }
})

t.test('kill -9 at any moment: the retry is answered as the first request would have been', async (t) => {
  const retries: Record<string, { request: Write; body: object }> = {
    'an upload': {
      request: csv('/api/v1/segment/A/users', '1\n2\n3\n'),
      body: { added: 3, already_members: 0, new_users: 3 }
    },
    'a change of a share': {
      request: { method: 'PATCH', url: '/api/v1/segment/A', body: { selection: 1 } },
      body: { added: 3, removed: 0 }
    }
  }
  for (const [name, { request, body }] of Object.entries(retries)) {
    for (const text of ['as token; commit', 'insert into idempotency_keys']) {
      const { database, start } = await createScene(t)
      const setUp = connectClient(await (await start(database.url)).address())
      await setUp.createSegment('A')
      if (name === 'a change of a share') await write(setUp, undefined, csv('/api/v1/users', '1\n2\n3\n'))
      setUp.close()
      const url = await startCuttingProxy(t, database.url, { text, side: 'withhold' })
      const killed = await start(url)
      const client = connectClient(await killed.address())
      const first = write(client, 'k', request).catch((error: Error) => error)
      const isCommitted = text.endsWith('commit')
      if (isCommitted) await waitForMembers(database.sql, 3)
      else await waitForIdle(database.sql)
      killed.process.kill('SIGKILL')
      await killed.exitCode()
      t.type(await first, Error, 'nobody has got the answer')
      const members = await database.sql`select from memberships`
      t.equal(members.length, isCommitted ? 3 : 0)
      const retry = await waitUntil(
        async () => write(connectClient(await (await start(database.url)).address()), 'k', request),
        ({ status }) => status !== 409
      )
      t.match(retry, { status: 200, body }, `${name}, ${text}`)
      t.equal(retry.headers['idempotency-replayed'], isCommitted ? 'true' : undefined)
      t.equal((await database.sql`select from memberships`).length, 3)
    }
  }
})

/** A database, and processes of the service on it. */
async function createScene(t: Test) {
  const database = await createDatabase(t)
  const folder = await createFolder(t)
  const start = async (url: string) =>
    startServerProcess(t, { DATABASE_URL: url, PORT: '0', REPORTS_DIR: folder })
  return { database, start }
}

async function waitForMembers(sql: postgres.Sql, count: number): Promise<void> {
  await waitUntil(
    () => sql`select from memberships`,
    ({ length }) => length === count
  )
}

/** Waits until the service has written in a transaction, which it does not go on with. */
async function waitForIdle(sql: postgres.Sql): Promise<void> {
  await waitUntil(
    () => sql`
      select from pg_stat_activity
      where datname = current_database()
        and application_name like 'user-segments bulk %'
        and backend_xid is not null
        and wait_event = 'ClientRead'`,
    ({ length }) => length === 1
  )
}

t.test('the OpenAPI document names the header of each write, and its errors', async (t) => {
  const document = dereference(
    JSON.parse(await readFile(new URL('../../openapi.json', import.meta.url), 'utf8'))
  )
  type Operation = {
    parameters?: { name: string }[]
    responses: Record<string, { headers?: Record<string, unknown> }>
  }
  const paths = document.paths as Record<string, Record<string, Operation>>
  const reads = [
    'post /api/v1/segments/users/query',
    'post /api/v1/segments/count',
    'post /ofrep/v1/evaluate/flags',
    'post /ofrep/v1/evaluate/flags/{slug}'
  ]
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, { parameters = [], responses }] of Object.entries(methods)) {
      const name = `${method} ${path}`
      const isWrite = method !== 'get' && !reads.includes(name)
      t.equal(
        parameters.some((parameter) => parameter.name === 'idempotency-key'),
        isWrite,
        name
      )
      if (!isWrite) continue
      t.match(JSON.stringify(responses[409]), /IDEMPOTENCY_KEY_IN_USE/, name)
      t.match(JSON.stringify(responses[422]), /IDEMPOTENCY_KEY_REUSED/, name)
      for (const [status, { headers = {} }] of Object.entries(responses))
        t.equal('Idempotency-Replayed' in headers, status < '300', `${name} ${status}`)
    }
  }
})
