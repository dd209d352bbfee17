import t from 'tap'
import { makeKey } from '../support/keys.ts'
import { startService } from '../support/service.ts'

const origin = 'https://admin.example.com'
const asks = {
  origin,
  'access-control-request-method': 'DELETE',
  'access-control-request-headers': 'authorization'
}

t.test('by default no other origin is allowed', async (t) => {
  const service = await startService(t)
  await service.sql`insert into users (id) values (1)`
  const read = await service.app.inject({ url: '/api/v1/segments/user/1', headers: { origin } })
  t.equal(read.statusCode, 200)
  t.match(read.headers, { 'access-control-allow-origin': undefined, vary: undefined })
  const preflight = await service.app.inject({ method: 'OPTIONS', url: '/api/v1/segment/A', headers: asks })
  t.equal(preflight.statusCode, 405)
  t.match(preflight.headers, { 'access-control-allow-origin': undefined })
})

t.test('configured origins are allowed, and no others', async (t) => {
  const key = makeKey('marketing', 'admin')
  const service = await startService(t, {
    API_KEYS: key.setting,
    CORS_ORIGINS: ` ${origin} , http://127.0.0.1:3000`
  })
  await service.createSegment('A')
  const ask = (headers: object) =>
    service.app.inject({ method: 'OPTIONS', url: '/api/v1/segment/A', headers: { ...headers } })

  t.test('a preflight needs no key', async (t) => {
    for (const allowed of [origin, 'http://127.0.0.1:3000']) {
      const { statusCode, headers, body } = await ask({ ...asks, origin: allowed })
      t.same([statusCode, body], [204, ''])
      t.match(headers, {
        'access-control-allow-origin': allowed,
        'access-control-allow-methods': /\bDELETE\b/,
        'access-control-allow-headers': 'authorization',
        'access-control-allow-credentials': undefined
      })
    }
  })

  t.test('another origin gets no CORS header', async (t) => {
    for (const other of [
      'https://example.com',
      'http://admin.example.com',
      `${origin}.evil.example`,
      'null',
      '*'
    ]) {
      const { headers } = await ask({ ...asks, origin: other })
      t.equal(headers['access-control-allow-origin'], undefined, other)
    }
  })

  t.test('responses and errors can be read, and caches keep them apart by origin', async (t) => {
    const url = '/api/v1/segments/user/404'
    const refused = await service.app.inject({ url, headers: { origin } })
    t.equal(refused.statusCode, 401)
    const missing = await service.app.inject({ url, headers: { origin, ...key.headers } })
    t.equal(missing.statusCode, 404)
    for (const { headers } of [refused, missing]) {
      t.match(headers, { 'access-control-allow-origin': origin, vary: /origin/i })
      const exposed = String(headers['access-control-expose-headers']).split(', ')
      const read = [
        ...['retry-after', 'x-request-id', 'etag', 'link', 'www-authenticate', 'content-range', 'ratelimit'],
        ...['ratelimit-policy', 'idempotency-replayed', 'x-segments-token', 'x-segments-cursor']
      ]
      t.same(
        read.filter((name) => !exposed.includes(name)),
        []
      )
    }
  })

  t.test(
    'an OPTIONS request that is no preflight is answered like any method that a path lacks',
    async (t) => {
      for (const headers of [{}, { origin }, { 'access-control-request-method': 'GET' }, key.headers]) {
        const { statusCode, headers: answered, ...answer } = await ask(headers)
        t.same(
          [statusCode, answered.allow?.toString().split(', ').sort()],
          [405, ['DELETE', 'GET', 'HEAD', 'PATCH']]
        )
        t.equal(answer.json().code, 'METHOD_NOT_ALLOWED')
      }
      const unknown = await service.app.inject({ method: 'OPTIONS', url: '/nowhere' })
      t.same([unknown.statusCode, unknown.json().code], [404, 'ROUTE_NOT_FOUND'])
    }
  )

  t.test('other paths and methods are the same as without CORS', async (t) => {
    const request = async (method: 'GET' | 'PUT', url: string) => {
      const { statusCode, headers } = await service.app.inject({ method, url })
      return [statusCode, headers.allow]
    }
    t.same(await request('GET', '/nowhere'), [404, undefined])
    t.same(await request('PUT', '/api/v1/segment'), [405, 'POST'])
  })
})
