import { Writable } from 'node:stream'
import Fastify, { type FastifyInstance, type FastifyPluginAsync } from 'fastify'
import t from 'tap'
import { ConfigError } from '../../src/config-error.ts'
import { authenticationPlugin } from '../../src/http/authentication.ts'
import { connectionsPlugin } from '../../src/http/connections.ts'
import { rateLimitsPlugin } from '../../src/http/rate-limits.ts'
import { FaultLog } from '../../src/telemetry/request-log.ts'
import { configureKeys, makeKey, type TestKey } from '../support/keys.ts'
import { startService, waitUntil } from '../support/service.ts'

const options = { HOST: '127.0.0.1', OPEN_ROUTES: 'docs' }
const digest = 'a'.repeat(64)

/** An app with nothing but authentication, and its log. */
async function build(settings: Partial<Parameters<typeof authenticationPlugin>[1]> = {}) {
  const lines: string[] = []
  const stream = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk))
      done()
    }
  })
  const app = Fastify({ logger: { level: 'warn', stream } })
  app.decorate('faultLog', new FaultLog())
  await app.register(connectionsPlugin)
  await app.register(rateLimitsPlugin)
  await app.register(authenticationPlugin, { ...options, ...settings })
  return { app, lines }
}

t.test('a route that declares no role fails to register, whatever kind of route it is', async (t) => {
  for (const API_KEYS of [undefined, `analyst:reader:${digest}`]) {
    const { app } = await build(API_KEYS === undefined ? {} : { API_KEYS })
    const handler = async () => 'shown'
    t.throws(() => app.get('/documented', handler), { message: 'GET /documented declares no role' })
    t.throws(() => app.post('/hidden', { schema: { hide: true } }, handler), /POST \/hidden declares no role/)
    t.throws(() => app.route({ method: ['PUT', 'PATCH'], url: '/several', handler }), /declares no role/)
    t.throws(() => app.get('/config', { config: { deadline: 1 } }, handler), /declares no role/)
    const inScope = async (scope: FastifyInstance) => void scope.get('/scoped', handler)
    await t.rejects(
      build().then(({ app }) => app.register(inScope)),
      /GET \/scoped declares no role/
    )
    t.equal((await app.inject('/documented')).statusCode, 404)
  }
})

t.test('a scope can set the role of routes that declare none, only within the scope', async (t) => {
  const key = makeKey('analyst', 'reader')
  const { app } = await build({ API_KEYS: key.setting })
  const schema = { hide: true }
  const pages: FastifyPluginAsync = async (scope) => {
    scope.undeclaredRole = 'reader'
    scope.get('/undeclared', { schema }, async () => 'shown')
    scope.get('/declared', { schema, config: { role: 'open' } }, async () => 'shown')
  }
  await app.register(pages)
  t.throws(() => app.get('/outside', { schema }, async () => 'shown'), /declares no role/)
  t.equal((await app.inject('/undeclared')).statusCode, 401)
  t.equal((await app.inject({ url: '/undeclared', headers: key.headers })).body, 'shown')
  t.equal((await app.inject('/declared')).body, 'shown')
})

t.test('OPEN_ROUTES says which routes outside the API need no key', async (t) => {
  for (const [OPEN_ROUTES, docs, metrics, console] of [
    ['docs', 'open', 'reader', 'reader'],
    ['metrics', 'reader', 'open', 'reader'],
    ['docs,console', 'open', 'reader', 'open'],
    ['docs,metrics', 'open', 'open', 'reader'],
    [' docs , metrics,console ', 'open', 'open', 'open'],
    [' none ', 'reader', 'reader', 'reader'],
    ['none', 'reader', 'reader', 'reader']
  ] as const) {
    const { app } = await build({ OPEN_ROUTES })
    const routes = ['docs', 'metrics', 'console'] as const
    t.same(routes.map(app.roleOf), [docs, metrics, console], OPEN_ROUTES)
  }
})

t.test('handlers and later hooks know who sent a request', async (t) => {
  const key = makeKey('support', 'editor')
  const { app } = await build({ API_KEYS: key.setting })
  app.get('/', { schema: { hide: true }, config: { role: 'reader' } }, async ({ actor }) => actor)
  t.same((await app.inject({ url: '/', headers: key.headers })).json(), { name: 'support', role: 'editor' })

  const { app: unprotected } = await build()
  unprotected.get('/', { schema: { hide: true }, config: { role: 'admin' } }, async ({ actor }) => ({
    isUnknown: actor === undefined
  }))
  t.same((await unprotected.inject({ url: '/', headers: key.headers })).json(), { isUnknown: true })
})

t.test('without keys the service listens on loopback only, or refuses to start', async (t) => {
  for (const HOST of ['127.0.0.1', '127.9.9.9', 'localhost', '::1', '0:0:0:0:0:0:0:1', '::ffff:127.0.0.1']) {
    await t.resolves(build({ HOST }), HOST)
  }
  for (const HOST of ['0.0.0.0', '::', '0', '192.0.2.1', '::ffff:192.0.2.1', 'segments.example', '127.1']) {
    const message = `API_KEYS is not set: without it HOST must be a loopback address, not ${HOST}; AUTH=off allows access without keys`
    await t.rejects(build({ HOST }), new ConfigError(message), HOST)
    await t.resolves(build({ HOST, AUTH: 'off' }), HOST)
    await t.resolves(build({ HOST, API_KEYS: `analyst:reader:${digest}` }), HOST)
  }
})

t.test('a service without authentication warns once', async (t) => {
  for (const [settings, warnings] of [
    [{}, 1],
    [{ AUTH: 'off' }, 1],
    [{ API_KEYS: `analyst:reader:${digest}` }, 0]
  ] as const) {
    const { app, lines } = await build(settings)
    t.teardown(() => app.close())
    t.same(lines, [], 'not before it listens')
    await app.listen({ host: 'localhost', port: 0 })
    t.equal(lines.length, warnings)
    for (const line of lines)
      t.match(line, 'authentication is off: anyone who can reach the service has full access')
  }
})

t.test('invalid keys are named by their position, and never shown', async (t) => {
  const form = 'must be name:role:sha256-of-secret, as `npm run key` prints it'
  const valid = `analyst:reader:${digest}`
  for (const [API_KEYS, message] of [
    ['sesame', `API_KEYS is not valid: key 1 ${form}`],
    ['analyst:reader', `API_KEYS is not valid: key 1 ${form}`],
    ['analyst:reader:sesame', `API_KEYS is not valid: key 1 ${form}`],
    [`analyst:owner:${digest}`, `API_KEYS is not valid: key 1 ${form}`],
    [`analyst:open:${digest}`, `API_KEYS is not valid: key 1 ${form}`],
    [`:reader:${digest}`, `API_KEYS is not valid: key 1 ${form}`],
    [`an alyst:reader:${digest}`, `API_KEYS is not valid: key 1 ${form}`],
    [`${'a'.repeat(65)}:reader:${digest}`, `API_KEYS is not valid: key 1 ${form}`],
    [`${valid}0`, `API_KEYS is not valid: key 1 ${form}`],
    [`${valid}\nanalyst:reader:sesame`, `API_KEYS is not valid: key 1 ${form}`],
    [`${valid},`, `API_KEYS is not valid: key 2 ${form}`],
    [`${valid},analyst:reader:sesame`, `API_KEYS is not valid: key 2 ${form}`],
    [
      `${valid},x:admin:${'b'.repeat(64)},support:admin:${digest}`,
      'API_KEYS is not valid: keys 1 and 3 have the same secret'
    ],
    [
      `${valid},analyst:reader:${digest.toUpperCase()}`,
      'API_KEYS is not valid: keys 1 and 2 have the same secret'
    ]
  ] as const) {
    await t.rejects(build({ API_KEYS }), new ConfigError(message), API_KEYS)
  }
  await t.rejects(
    build({ API_KEYS: valid, AUTH: 'off' }),
    new ConfigError('AUTH is not valid: with API_KEYS it must be unset')
  )
  await t.rejects(
    build({ RATE_LIMIT: 5 }),
    new ConfigError('RATE_LIMIT is not valid: it counts by key, and API_KEYS is not set')
  )
  await t.resolves(build({ API_KEYS: ` ${valid} ,\n x:admin:${'B'.repeat(64)} ` }), 'with space around')
})

t.test('a rate limit counts each name separately, over all routes and all keys of the name', async (t) => {
  const analyst = [makeKey('analyst', 'reader'), makeKey('analyst', 'admin')] as const
  const support = makeKey('support', 'editor')
  const service = await startService(t, { API_KEYS: configureKeys(...analyst, support), RATE_LIMIT: 3 })
  await service.sql`insert into users (id) values (1)`
  const address = await service.app.listen({ host: '127.0.0.1', port: 0 })
  const user = '/api/v1/segments/user/1'
  const send = async (path: string, headers: TestKey['headers'] | undefined) => {
    const answer = await fetch(address + path, headers && { headers })
    return {
      status: answer.status,
      retryAfter: answer.headers.get('retry-after'),
      body: await answer.json()
    }
  }

  // Far more than the limit allows in the seconds that this takes.
  const answers = await Promise.all(
    Array.from({ length: 300 }, (_, n) =>
      send(n % 3 ? user : '/api/v1/segment/UNKNOWN', analyst[n % 2]?.headers)
    )
  )
  const refused = answers.filter(({ status }) => status === 429)
  t.ok(refused.length > 200 && refused.length < 300, `${refused.length} of 300 were refused`)
  const body = { message: 'key (analyst) may send 3 requests a second', code: 'RATE_LIMITED' }
  t.same(refused[0], { status: 429, retryAfter: '1', body })
  t.match(await send(user, support.headers), { status: 200, retryAfter: null }, 'another name is accepted')
  t.match(await send('/health/live', undefined), { status: 200 }, 'open routes are served')
  t.match(await send(user, undefined), { status: 401 }, 'a request without a key is refused as such')
  await waitUntil(
    () => send(user, analyst[0].headers),
    ({ status }) => status === 200
  )
})

t.test('each answer to a key says how much is left of its limit', async (t) => {
  const [analyst, support] = [makeKey('analyst', 'reader'), makeKey('support', 'reader')]
  const service = await startService(t, { API_KEYS: configureKeys(analyst, support), RATE_LIMIT: 3 })
  const limits = async (url: string, headers: TestKey['headers']) => {
    const answer = await service.get(url, headers)
    return [answer.status, answer.headers['ratelimit-policy'], answer.headers['ratelimit']]
  }
  const send = (count: number) =>
    Promise.all(Array.from({ length: count }, () => limits('/api/v1/segments/user/1', analyst.headers)))
  const policy = '"key";q=3;w=1'
  // Until five requests fall into one second.
  const answers = await waitUntil(
    () => send(5),
    (answers) => answers[0]?.[2] === '"key";r=2;t=1' && answers[4]?.[0] === 429
  )
  t.same(answers, [
    [404, policy, '"key";r=2;t=1'],
    [404, policy, '"key";r=1;t=1'],
    [404, policy, '"key";r=0;t=1'],
    [429, policy, '"key";r=0;t=1'],
    [429, policy, '"key";r=0;t=1']
  ])
  t.same((await limits('/api/v1/segments/user/1', support.headers))[1], policy)
  t.same(await limits('/health/live', analyst.headers), [200, undefined, undefined])
  const unlimited = await startService(t, { API_KEYS: analyst.setting })
  const { headers } = await unlimited.get('/api/v1/segments/user/1', analyst.headers)
  t.same([headers['ratelimit-policy'], headers['ratelimit']], [undefined, undefined])
})

t.test('all routes count together', async (t) => {
  const key = makeKey('marketing', 'admin')
  const service = await startService(t, { API_KEYS: key.setting, RATE_LIMIT: 1 })
  const address = await service.app.listen({ host: '127.0.0.1', port: 0 })
  // One request each: a limit for each route would refuse none of them.
  const paths = [
    '/segment/A',
    '/segments/user/1',
    '/segments/users/query',
    '/segments/user/1/csv',
    '/segments/user/history/user-1_2023-08-01_2023-08-31.csv'
  ]
  const answers = await Promise.all(
    paths.map((path) => {
      const method = path.endsWith('/query') ? 'POST' : 'GET'
      return fetch(`${address}/api/v1${path}`, { method, headers: key.headers })
    })
  )
  t.ok(
    answers.some(({ status }) => status === 429),
    answers.map(({ status }) => status).join()
  )
})

t.test('a request that is refused for its rate changes nothing', async (t) => {
  const key = makeKey('marketing', 'admin')
  const service = await startService(t, { API_KEYS: key.setting, RATE_LIMIT: 1 })
  const address = await service.app.listen({ host: '127.0.0.1', port: 0 })
  const headers = { ...key.headers, 'content-type': 'application/json' }
  const create = (slug: string) =>
    fetch(`${address}/api/v1/segment`, { method: 'POST', headers, body: JSON.stringify({ slug }) })
  const slugs = Array.from({ length: 50 }, (_, n) => `S${n}`)
  const answers = await Promise.all(slugs.map(create))
  const created = slugs.filter((_, n) => answers[n]?.status === 200)
  t.ok(created.length > 0 && created.length < 50, `${created.length} of 50 were created`)
  const rows = await service.sql<{ slug: string }[]>`select slug from segments`
  t.same(rows.map(({ slug }) => slug).toSorted(), created.toSorted())
})

t.test('without a limit, any number of requests is served', async (t) => {
  const key = makeKey('analyst', 'reader')
  const service = await startService(t, { API_KEYS: key.setting })
  await service.sql`insert into users (id) values (1)`
  const request = { method: 'GET', url: '/api/v1/segments/user/1', headers: key.headers } as const
  const answers = await Promise.all(Array.from({ length: 200 }, () => service.app.inject(request)))
  t.same([...new Set(answers.map(({ statusCode }) => statusCode))], [200])
})
