import { hostname } from 'node:os'
import t from 'tap'
import { makeKey } from '../support/keys.ts'
import { openConnection } from '../support/raw-connection.ts'
import { startService } from '../support/service.ts'

const user = '/api/v1/segments/user/1'

t.test('without keys, a service is not served under the name of another site', async (t) => {
  const service = await startService(t, {
    HOST: 'localhost',
    PUBLIC_URL: 'https://segments.example:8443/base',
    ALLOWED_HOSTS: 'segments,other.example'
  })
  await service.changeSegments(1)
  const get = (host: string, url = user) => service.get(url, { host })
  for (const host of [
    'evil.example',
    'evil.example:8080',
    'localhost.evil.example',
    'localhost@evil.example',
    'x'
  ]) {
    const message = `host (${host}) is not known to be this service: add it to ALLOWED_HOSTS, or configure API_KEYS`
    t.same(await get(host), { status: 421, body: { message, code: 'HOST_NOT_ALLOWED' } }, host)
    t.equal((await get(host, '/openapi.json')).status, 421, 'the documentation neither')
    t.equal((await get(host, '/health/live')).status, 200, 'probes are served')
  }
  const refused = await service.post('/api/v1/segment', { slug: 'REBOUND' }, { host: 'evil.example' })
  t.equal(refused.status, 421)
  t.same(await service.sql`select from segments`, [], 'a refused request has no effect')
  for (const host of [
    'localhost',
    'LOCALHOST:8080',
    'app.localhost',
    'localhost.',
    '127.0.0.1:8080',
    '192.0.2.7',
    '[::1]:8080',
    hostname(),
    'segments.example',
    'segments.example:443',
    'segments:8080',
    'other.example'
  ])
    t.equal((await get(host)).status, 200, host)
})

t.test('any name is allowed by ALLOWED_HOSTS=*, and with keys', async (t) => {
  const open = await startService(t, { ALLOWED_HOSTS: '*' })
  await open.changeSegments(1)
  t.equal((await open.get(user, { host: 'evil.example' })).status, 200)

  const key = makeKey('analyst', 'reader')
  const closed = await startService(t, { API_KEYS: key.setting })
  await closed.sql`insert into users (id) values (1)`
  t.equal((await closed.get(user, { host: 'evil.example' })).status, 401)
  t.equal((await closed.get(user, { host: 'evil.example', ...key.headers })).status, 200)
})

t.test('a second Host or Authorization is refused, with and without keys', async (t) => {
  const key = makeKey('analyst', 'reader')
  for (const config of [{}, { API_KEYS: key.setting }]) {
    const { app, sql } = await startService(t, config)
    await sql`insert into users (id) values (1)`
    const address = await app.listen({ host: '127.0.0.1', port: 0 })
    const authorization = `Authorization: ${key.headers.authorization}`
    const send = async (...headers: string[]) => {
      const connection = await openConnection(t, address)
      const lines = [`GET ${user} HTTP/1.1`, 'connection: close', ...headers]
      connection.socket.write(`${lines.join('\r\n')}\r\n\r\n`)
      await connection.ended()
      return connection.received
    }
    t.match(await send('host: localhost', authorization), /^HTTP\/1\.1 200 /)
    for (const [name, headers] of [
      ['host', ['host: localhost', 'HOST: localhost', authorization]],
      ['host', ['host: localhost', 'host: evil.example', authorization]],
      ['authorization', ['host: localhost', authorization, 'authorization: Bearer other']]
    ] as const) {
      const answer = await send(...headers)
      t.match(answer, /^HTTP\/1\.1 400 /)
      t.match(answer, `{"message":"header (${name}) appears more than once","code":"INVALID_REQUEST"}`)
    }
  }
})

t.test('without keys, a page of another site changes nothing', async (t) => {
  const service = await startService(t, {
    PUBLIC_URL: 'https://segments.example/base',
    CORS_ORIGINS: 'https://console.example'
  })
  await service.createSegment('A')
  const boundary = 'x'
  const body = `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="users.csv"\r\n\r\n10\r\n--${boundary}--\r\n`
  const send = (origin: string, host: string) =>
    service.request({
      method: 'POST',
      url: '/api/v1/segment/A/users',
      headers: { origin, host, 'content-type': `multipart/form-data; boundary=${boundary}` },
      body
    })
  for (const origin of ['https://evil.example', 'http://localhost:3000', 'http://localhost', 'null', 'x'])
    t.same(
      await send(origin, 'localhost:8080'),
      {
        status: 403,
        body: {
          message: `a page of (${origin}) may change nothing: add its origin to CORS_ORIGINS, or configure API_KEYS`,
          code: 'FORBIDDEN'
        }
      },
      origin
    )
  t.same(await service.sql`select from users`, [], 'a refused request has no effect')
  t.equal(
    (await service.get(user, { origin: 'https://evil.example', host: 'localhost' })).status,
    404,
    'reads are served'
  )
  for (const origin of ['http://localhost:8080', 'https://segments.example', 'https://console.example'])
    t.equal((await send(origin, 'localhost:8080')).status, 200, origin)
})
