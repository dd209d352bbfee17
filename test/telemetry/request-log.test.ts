import { once } from 'node:events'
import { readdir, truncate } from 'node:fs/promises'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { countBlocked, holdTable } from '../support/locks.ts'
import { LogLines, levels, matchLines } from '../support/log-lines.ts'
import { createDatabase, shareDatabase, startService, startServiceOn, waitUntil } from '../support/service.ts'

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const info = { LOG_LEVEL: 'info' }

const startEmptyService = await shareDatabase(t)

t.test('the id of a request', async (t) => {
  const log = new LogLines()
  const service = await startEmptyService(t, info, { log })
  const send = (url: string, headers: Record<string, string> = {}) => service.app.inject({ url, headers })

  t.test('is the client’s, in every response and in the log', async (t) => {
    for (const [url, status] of [
      ['/health/live', 200],
      ['/api/v1/segments/user/1', 404],
      ['/api/v1/segments/user/x', 400],
      ['/nowhere', 404],
      ['/%zz', 400],
      ['/swagger/', 200],
      ['/swagger/static/nowhere.js', 404],
      ['/openapi.json', 200]
    ] as const) {
      log.clear()
      const id = `Caller_1.${status}-x`
      const answer = await send(url, { 'x-request-id': id })
      t.equal(answer.statusCode, status, url)
      t.equal(answer.headers['x-request-id'], id, url)
      matchLines(t, log.lines, [{ request_id: id, url: url.replace('user/1', 'user/*'), status }])
    }
    const longest = 'x'.repeat(128)
    t.equal((await send('/', { 'x-request-id': longest })).headers['x-request-id'], longest)
  })

  t.test('is generated if the client sends none, or one that must not be logged', async (t) => {
    const seen = new Set<string>()
    for (const given of [undefined, '', 'x'.repeat(129), 'a b', 'a"b', 'a,b', 'é', '{"a":1}']) {
      log.clear()
      const answer = await send('/health/live', given === undefined ? {} : { 'x-request-id': given })
      const id = String(answer.headers['x-request-id'])
      t.match(id, uuid, given ?? 'none')
      matchLines(t, log.lines, [{ request_id: id }])
      seen.add(id)
    }
    t.equal(seen.size, 8, 'a new id each time')
  })
})

t.test('a request is one line, with the error if it failed', async (t) => {
  const log = new LogLines()
  const service = await startEmptyService(t, info, { log })
  await service.changeSegments(1)
  await service.getSegments(1)
  await service.getSegments(404)
  await service.request({ method: 'PUT', url: '/health/live?x=1' })
  matchLines(t, log.lines, [
    { level: levels.info, msg: 'request', method: 'POST', url: '/api/v1/segments/user/*', status: 200 },
    { level: levels.info, msg: 'request', method: 'GET', url: '/api/v1/segments/user/*', status: 200 },
    {
      level: levels.info,
      msg: 'request',
      url: '/api/v1/segments/user/*',
      status: 404,
      code: 'USER_NOT_FOUND'
    },
    { level: levels.info, msg: 'request', method: 'PUT', url: '/health/live', code: 'METHOD_NOT_ALLOWED' }
  ])
  t.ok(log.lines.every(({ milliseconds }) => typeof milliseconds === 'number'))
})

t.test('a failure is logged once, with its cause and the request’s id', async (t) => {
  const log = new LogLines()
  const service = await startService(t, info, { log })
  await service.sql`alter table users rename to gone`
  await service.sql`create view users as select (1 / (1 - 1))::bigint as id`
  const { headers, body } = await service.app.inject('/api/v1/segments/user/1')
  t.notMatch(body, 'division', 'the client sees nothing of it')
  const id = headers['x-request-id']
  matchLines(t, log.lines, [
    {
      level: levels.error,
      msg: 'request failed',
      request_id: id,
      err: { code: '22012', message: 'division by zero', stack: /PostgresError/ }
    },
    {
      level: levels.warn,
      msg: 'request',
      request_id: id,
      status: 500,
      code: 'INTERNAL_ERROR',
      cause: '22012'
    }
  ])
})

t.test('the line of an error contains its causes', async (t) => {
  const log = new LogLines()
  const service = await startEmptyService(t, info, { log })
  const innermost = new Error('the disk is full')
  const err = new Error('outer', { cause: new Error('inner', { cause: innermost }) })
  service.app.log.error({ err }, 'failed')
  matchLines(t, log.lines, [
    { err: { message: 'outer: inner: the disk is full', stack: /caused by: Error: the disk is full/ } }
  ])
})

t.test(
  'an outage of the database is logged with one stack, and one line for each refused request',
  async (t) => {
    const log = new LogLines()
    const database = await createDatabase(t)
    const elsewhere = { ...database, url: 'postgres://postgres@127.0.0.1:1/none' }
    const service = await startServiceOn(t, elsewhere, info, { log })
    const answers = await Promise.all(Array.from({ length: 50 }, (_, user) => service.getSegments(1 + user)))
    t.ok(answers.every(({ status }) => status === 503))
    matchLines(t, log.of('requests are refused'), [{ level: levels.error, err: { code: 'ECONNREFUSED' } }])
    const requests = log.of('request')
    t.equal(requests.length, 50)
    for (const line of requests) {
      t.match(line, { level: levels.warn, status: 503, code: 'DATABASE_UNAVAILABLE', cause: 'ECONNREFUSED' })
      t.notOk(line.err)
    }
    t.equal(log.lines.length, 51)

    const other = new LogLines()
    const second = await startServiceOn(t, elsewhere, info, { log: other })
    await second.getSegments(1)
    t.equal(other.of('requests are refused').length, 1, 'another service logs it too')
  }
)

t.test('each kind of database fault is logged once', async (t) => {
  const log = new LogLines()
  const database = await createDatabase(t)
  const url = new URL(database.url)
  const name = `${url.pathname.slice(1)}_later`
  Object.assign(url, { pathname: name, username: name, password: 'secret' })
  await database.sql.unsafe(`create role ${name} login password 'secret'`)
  t.teardown(() => database.sql.unsafe(`drop role ${name}`))
  const service = await startServiceOn(t, { ...database, url: url.href }, info, { log })
  const codes = () => log.of('requests are refused').map(({ err }) => err?.code)

  await service.getSegments(1)
  t.same(codes(), ['3D000'], 'no such database')
  await database.sql.unsafe(`alter role ${name} nologin`)
  await service.getSegments(1)
  await service.getSegments(1)
  t.same(codes(), ['3D000', '28000'], 'no such user')
})

t.test('a request whose client disconnects has one line', async (t) => {
  const log = new LogLines()
  const service = await startEmptyService(t, info, { log })
  const { port } = new URL(await service.app.listen({ host: '127.0.0.1', port: 0 }))
  const release = await holdTable(t, service.database, 'memberships')
  const socket = connect(Number(port), '127.0.0.1')
  socket.write('GET /api/v1/segments/user/1 HTTP/1.1\r\nhost: localhost\r\nx-request-id: gone\r\n\r\n')
  await waitUntil(
    () => countBlocked(service.database),
    (blocked) => blocked === 1
  )
  socket.resetAndDestroy()
  await waitUntil(
    async () => log.of('request aborted').length,
    (count) => count === 1
  )
  await release()
  await service.app.close()
  matchLines(t, log.of('request aborted'), [{ level: levels.info, request_id: 'gone', status: 499 }])
  t.equal(log.lines.filter(({ request_id }) => request_id === 'gone').length, 1, 'and no other')
})

t.test('a report whose client disconnects half-way has one line', async (t) => {
  const log = new LogLines()
  const service = await startEmptyService(t, info, { log })
  const { port } = new URL(await service.app.listen({ host: '127.0.0.1', port: 0 }))
  await service.changeSegments(1)
  await service.makeReport(1, '2023-08-01', '2023-08-31')
  const filename = 'user-1_2023-08-01_2023-08-31.csv'
  const [stored] = await readdir(service.reportsDirectory)
  // More than the system buffers for a reader.
  await truncate(join(service.reportsDirectory, String(stored)), 50_000_000)
  const socket = connect(Number(port), '127.0.0.1')
  socket.write(
    `GET /api/v1/segments/user/history/${filename} HTTP/1.1\r\nhost: localhost\r\nx-request-id: gone\r\n\r\n`
  )
  await once(socket, 'data')
  socket.resetAndDestroy()
  await waitUntil(
    async () => log.of('request aborted').length,
    (count) => count === 1
  )
  await service.app.close()
  matchLines(
    t,
    log.lines.filter(({ request_id }) => request_id === 'gone'),
    [{ level: levels.info, msg: 'request aborted', status: 499 }]
  )
})

t.test('a malformed request is answered with an id, and has one line', async (t) => {
  const log = new LogLines()
  const service = await startEmptyService(t, info, { log })
  await service.app.listen({ host: '127.0.0.1', port: 0 })
  const socket = connect((service.app.server.address() as AddressInfo).port, '127.0.0.1')
  let answer = ''
  socket.on('data', (chunk) => (answer += chunk))
  socket.end('NONSENSE\r\n\r\n')
  await once(socket, 'close')
  const [, id] = /\r\nx-request-id: (\S+)\r\n/.exec(answer) ?? []
  t.match(id, uuid)
  matchLines(t, log.of('malformed request'), [
    { level: levels.info, request_id: id, status: 400, code: 'MALFORMED_REQUEST', cause: /^HPE_/ }
  ])
})

t.test('the log lines and the connection of a report have the id of its order', async (t) => {
  const log = new LogLines()
  const service = await startService(t, info, { log })
  await service.changeSegments(1)
  const order = (from: string, id: string) =>
    service.app.inject({
      url: `/api/v1/segments/user/1/csv?from=${from}&to=2023-08-31`,
      headers: { 'x-request-id': id }
    })
  const release = await holdTable(t, service.database, 'memberships')
  t.equal((await order('2023-08-01', 'order-1')).statusCode, 202)
  await waitUntil(
    () => countBlocked(service.database, 'user-segments report'),
    (blocked) => blocked === 1
  )
  t.same(
    await service.sql`
      select application_name as name from pg_stat_activity
      where datname = current_database() and application_name like 'user-segments report%'`,
    [{ name: 'user-segments report order-1' }]
  )
  await release()
  await service.makeReport(1, '2023-08-01', '2023-08-31')
  matchLines(t, log.of('report made'), [
    { request_id: 'order-1', report: 'user-*_2023-08-01_2023-08-31.csv', rows: 0 }
  ])

  await service.sql`alter view history rename to gone`
  await order('2023-08-02', 'order-2')
  await service.makeReport(1, '2023-08-02', '2023-08-31')
  matchLines(
    t,
    log.of('report failed'),
    [1, 2, 3, 4, 5].map((attempt) => ({
      level: levels.error,
      request_id: 'order-2',
      attempt,
      err: { message: /relation "history" does not exist/ }
    }))
  )
})
