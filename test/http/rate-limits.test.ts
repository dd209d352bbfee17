import t from 'tap'
import { senderOf } from '../../src/http/rate-limits.ts'
import { makeKey } from '../support/keys.ts'
import { openConnection } from '../support/raw-connection.ts'
import { startService, type TestService, waitUntil } from '../support/service.ts'

const LIMIT = 50
const user = '/api/v1/segments/user/1'
const stranger = '192.0.2.1'
const refused = { message: `address (${stranger}) may send ${LIMIT} requests a second`, code: 'RATE_LIMITED' }

/** Sends requests at once from one address. Returns the answers by status. */
async function flood(
  service: TestService,
  url: string,
  { count = 120, remoteAddress = stranger, headers = {} } = {}
) {
  const answers = await Promise.all(
    Array.from({ length: count }, () => service.app.inject({ url, headers, remoteAddress }))
  )
  return Map.groupBy(answers, ({ statusCode }) => statusCode)
}

t.test('an address may send a limited number of requests a second without a valid key', async (t) => {
  const key = makeKey('analyst', 'reader')
  const service = await startService(t, { API_KEYS: key.setting })
  await service.sql`insert into users (id) values (1)`
  for (const [url, status] of [
    [user, 401],
    ['/nowhere', 404],
    ['/%zz', 400],
    ['/openapi.json', 200],
    ['/swagger/json', 200],
    ['/swagger/static/swagger-ui.css', 200]
  ] as const) {
    const from = performance.now()
    const answers = await flood(service, url)
    t.ok(performance.now() - from > 500, 'a refusal waits')
    const accepted = answers.get(status)?.length ?? 0
    // The requests may fall into two seconds.
    t.ok(accepted >= LIMIT && accepted <= 2 * LIMIT, `${url}: ${accepted} were answered ${status}`)
    const [answer] = answers.get(429) ?? []
    t.same(answer?.json(), refused, url)
    t.equal(answer?.headers['retry-after'], '1')
  }

  t.same([...(await flood(service, user, { headers: key.headers })).keys()], [200], 'a key is not limited')
  t.same([...(await flood(service, '/nowhere', { headers: key.headers })).keys()], [404])
  t.same([...(await flood(service, '/health/live')).keys()], [200], 'nor are probes')
  const other = { remoteAddress: '192.0.2.2', count: LIMIT }
  const [, answers] = await Promise.all([flood(service, user), flood(service, user, other)])
  t.same([...answers.keys()], [401], 'nor are other addresses')
})

t.test(
  'strangers who wait for their refusals do not use up the requests that a route may have in flight',
  async (t) => {
    const key = makeKey('analyst', 'reader')
    const service = await startService(t, { API_KEYS: key.setting })
    await service.sql`insert into users (id) values (1)`
    const answers = flood(service, user, { count: 400 })
    t.same((await service.get(user, key.headers)).status, 200)
    t.ok(service.app.load.inFlight > 256, 'they still wait')
    t.same(new Set((await answers).keys()), new Set([401, 429]))
  }
)

t.test('without keys only the documentation is limited', async (t) => {
  const service = await startService(t)
  await service.changeSegments(1)
  t.same([...(await flood(service, user)).keys()], [200])
  t.same([...(await flood(service, '/nowhere')).keys()], [404])
  t.ok((await flood(service, '/openapi.json')).has(429))
})

t.test('the addresses that a proxy forwards count if the proxy is trusted', async (t) => {
  const API_KEYS = makeKey('analyst', 'reader').setting
  const send = (service: TestService) =>
    Promise.all(
      Array.from({ length: 2 * LIMIT + 1 }, (_, index) =>
        service.app.inject({
          url: user,
          remoteAddress: '10.1.2.3',
          headers: { 'x-forwarded-for': `192.0.2.${index}` }
        })
      )
    )
  const trusting = await startService(t, { API_KEYS, TRUST_PROXY: '10.0.0.0/8' })
  t.same(new Set((await send(trusting)).map(({ statusCode }) => statusCode)), new Set([401]))
  const wary = await startService(t, { API_KEYS, TRUST_PROXY: '10.9.0.0/16' })
  t.ok((await send(wary)).some(({ statusCode }) => statusCode === 429))
})

t.test('a client that does not wait for its refusals is disconnected', async (t) => {
  const service = await startService(t, { API_KEYS: makeKey('analyst', 'reader').setting })
  const connection = await openConnection(t, await service.app.listen({ host: '127.0.0.1', port: 0 }))
  connection.socket.write(`GET ${user} HTTP/1.1\r\nhost: localhost\r\n\r\n`.repeat(1_000))
  await connection.ended()
  t.ok(connection.statuses.length <= LIMIT + 1)
  await waitUntil(
    async () => service.app.load.inFlight,
    (count) => count === 0
  )
})

t.test('the addresses of one machine count together', async (t) => {
  for (const [address, sender] of [
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
    ['2001:db8:1:2::6', '2001:db8:1:2'],
    ['2001:DB8::6', '2001:db8:0:0'],
    ['::1', '0:0:0:0']
  ] as const)
    t.equal(senderOf(address), sender, address)
})
