/** Receivers that fail, and receivers that must not be reached. */
import { promises as dns } from 'node:dns'
import { createServer as createTlsServer } from 'node:https'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import t from 'tap'
import { isPublicAddress } from '../../src/webhooks/addresses.ts'
import { createCertificate } from '../support/certificate.ts'
import { scrape } from '../support/metrics.ts'
import { startService, waitUntil } from '../support/service.ts'
import {
  createWebhook,
  readWebhook,
  startReceiver,
  untilWebhook,
  type Webhook
} from '../support/webhook-receiver.ts'

const lines: string[] = []
const log = { write: (line: string) => void lines.push(line), lost: 0 }
const service = await startService(
  t,
  { WEBHOOK_PRIVATE: 'on', LOG_LEVEL: 'trace', OPEN_ROUTES: 'docs,metrics' },
  { log }
)
const guarded = await startService(t)
await service.createSegment('A')
await guarded.createSegment('A')
let user = 0

/** Makes a change for all webhooks. */
async function change(): Promise<void> {
  user += 1
  await service.changeSegments(user, ['A'], [])
}

/** Makes the next attempt due. */
async function retryNow(id: string, change: { failures?: number; failingForHours?: number } = {}) {
  const { failures = null, failingForHours = null } = change
  await service.sql`
    update webhooks
    set next_attempt_at = now(),
      failures = coalesce(${failures}, failures),
      failing_since = coalesce(now() - make_interval(hours => ${failingForHours}), failing_since)
    where id = ${id}`
  service.app.webhookPusher.wake()
}

const hasFailed = ({ failures }: Webhook) => failures > 0
/** Seconds until the next attempt. */
const pauseOf = ({ next_attempt_at, last_error }: Webhook) =>
  (Date.parse(next_attempt_at ?? '') - Date.parse(last_error?.time ?? '')) / 1000

t.test('a receiver that never answers holds no other up, and is given up', async (t) => {
  const [hanging, good] = [await startReceiver(t), await startReceiver(t)]
  hanging.answer = () => () => {}
  const { id } = await createWebhook(service, hanging.url())
  await createWebhook(service, good.url())
  await service.createSegment('QUIET')
  const quiet = await createWebhook(service, good.url(), { segments: ['QUIET'] })
  await change()
  await hanging.received(1)
  for (let count = 1; count <= 3; count += 1) {
    await change()
    await waitUntil(
      async () => good.changes.at(-1),
      (last) => last === `membership_added ${user} A`
    )
  }
  t.equal(hanging.deliveries.length, 1)
  t.match((await untilWebhook(service, id, hasFailed)).last_error, {
    status: null,
    message: 'no answer within 15 seconds'
  })
  const [held] = await waitUntil(
    () => service.sql<{ cursor: string; held: boolean }[]>`
      select cursor, lease_until > created_at + interval '39 seconds' as held from webhooks where id = ${quiet.id}`,
    ([row]) => row?.held === true
  )
  t.not(held?.cursor, quiet.cursor, 'without changes, the lease is renewed and the cursor moves')
  t.equal((await readWebhook(service, quiet.id)).lag_seconds, 0)
  await service.request({ method: 'DELETE', url: `/api/v1/webhooks/${id}` })
})

t.test('the body of an answer is read up to a bound', async (t) => {
  const receiver = await startReceiver(t)
  let sent = 0
  const closed = Promise.withResolvers<void>()
  receiver.answer = () => (response) => {
    response.writeHead(200)
    response.on('close', closed.resolve)
    const send = () => {
      while (!response.destroyed && response.write(Buffer.alloc(65_536))) sent += 65_536
    }
    response.on('drain', send)
    send()
  }
  const { id } = await createWebhook(service, receiver.url())
  await change()
  await closed.promise
  t.ok(sent < 16 * 2 ** 20, `${sent} bytes`)
  t.match(await untilWebhook(service, id, ({ last_success_at }) => last_success_at !== null), { failures: 0 })
  await service.request({ method: 'DELETE', url: `/api/v1/webhooks/${id}` })
})

t.test('failures are shown, retried after growing pauses, and end in a pause after three days', async (t) => {
  const receiver = await startReceiver(t)
  receiver.answer = () => 500
  const { id } = await createWebhook(service, receiver.url('127.0.0.1', 'http'))
  await change()
  const first = await untilWebhook(service, id, hasFailed)
  t.match(first, {
    state: 'active',
    failures: 1,
    last_success_at: null,
    last_error: { status: 500, message: 'the receiver answered 500' }
  })
  t.ok(pauseOf(first) >= 2.4 && pauseOf(first) <= 5.1, `${pauseOf(first)} s`)
  await retryNow(id)
  const second = await untilWebhook(service, id, ({ failures }) => failures === 2)
  t.ok(pauseOf(second) >= 4.9 && pauseOf(second) <= 10.1, `${pauseOf(second)} s`)
  t.ok(second.lag_seconds > 0)
  await retryNow(id, { failures: 30 })
  const late = await untilWebhook(service, id, ({ failures }) => failures === 31)
  t.ok(pauseOf(late) >= 1_799 && pauseOf(late) <= 3_601, `${pauseOf(late)} s`)

  const retryAfter = async (value: string) => {
    receiver.answer = () => (response) => response.writeHead(503, { 'retry-after': value }).end()
    await retryNow(id, { failures: 0 })
    return pauseOf(await untilWebhook(service, id, ({ failures }) => failures === 1))
  }
  t.equal(Math.round(await retryAfter('120')), 120)
  t.equal(Math.round((await retryAfter(new Date(Date.now() + 600_000).toUTCString())) / 10), 60)
  t.equal(Math.round(await retryAfter('999999999')), 86_400, 'at most a day')
  t.ok((await retryAfter('0')) > 2, 'never less than without it')
  t.ok((await retryAfter('soon')) < 6)

  await retryNow(id, { failingForHours: 71 })
  t.match(await untilWebhook(service, id, ({ failures }) => failures === 2), { state: 'active' })
  await retryNow(id, { failingForHours: 73 })
  const paused = await untilWebhook(service, id, ({ state }) => state === 'paused')
  t.match(paused, { pause_reason: 'failing', next_attempt_at: null, last_error: { status: 503 } })
  const samples = await scrape(service)
  t.equal(samples.value('user_segments_webhooks{state="paused",reason="failing"}'), 1)
  t.ok(samples.startingWith('user_segments_webhook_delivery_duration_seconds_count{outcome="failed"}').length)
  t.ok(samples.startingWith('user_segments_webhook_lag_seconds{webhook=').length)

  const ids = new Set(receiver.deliveries.map((delivery) => delivery.id))
  t.equal(ids.size, 1, 'all attempts had the same id')
  t.equal(new Set(receiver.deliveries.map(({ text }) => text)).size, 1, 'and the same body')
  receiver.answer = () => 200
  await service.patch(`/api/v1/webhooks/${id}`, { state: 'active' })
  t.match(await untilWebhook(service, id, ({ last_success_at }) => last_success_at !== null), {
    state: 'active',
    failures: 0,
    last_error: { status: 503 }
  })
  t.equal(receiver.deliveries.at(-1)?.id, [...ids][0])
})

t.test('410 pauses at once', async (t) => {
  const receiver = await startReceiver(t)
  receiver.answer = () => 410
  const { id } = await createWebhook(service, receiver.url())
  await change()
  t.match(await untilWebhook(service, id, ({ state }) => state === 'paused'), {
    pause_reason: 'gone',
    failures: 1,
    last_error: { status: 410 }
  })
  t.equal(receiver.deliveries.length, 1)
})

t.test('redirects are not followed', async (t) => {
  const [receiver, target] = [await startReceiver(t), await startReceiver(t)]
  const { id } = await createWebhook(service, receiver.url())
  for (const status of [301, 302, 303, 307, 308]) {
    receiver.answer = () => (response) => response.writeHead(status, { location: target.url() }).end()
    if (status === 301) await change()
    else await retryNow(id)
    const failed = await untilWebhook(service, id, ({ last_error }) => last_error?.status === status)
    t.equal(failed.last_error?.message, `the receiver answered ${status}: redirects are not followed`)
  }
  t.same(target.deliveries, [])
  receiver.answer = () => 200
  await retryNow(id)
  t.match(await untilWebhook(service, id, ({ last_success_at }) => last_success_at !== null), { failures: 0 })
  await service.request({ method: 'DELETE', url: `/api/v1/webhooks/${id}` })
})

t.test('connections that fail', async (t) => {
  const receiver = await startReceiver(t)
  receiver.answer = () => (response) => response.socket?.resetAndDestroy()
  const { id } = await createWebhook(service, receiver.url())
  const nobody = await createWebhook(service, 'http://127.0.0.1:1/')
  const unknown = await createWebhook(service, 'https://receiver.invalid/')
  await change()
  const messageOf = async (id: string) => (await untilWebhook(service, id, hasFailed)).last_error?.message
  t.equal(await messageOf(id), 'the connection failed (ECONNRESET)')
  t.equal(await messageOf(nobody.id), 'the connection failed (ECONNREFUSED)')
  t.match(await messageOf(unknown.id), /^the name of the host cannot be resolved \(E\w+\)$/)
  for (const { id: each } of [{ id }, nobody, unknown])
    await service.request({ method: 'DELETE', url: `/api/v1/webhooks/${each}` })
})

t.test('TLS verifies the name of the host', async (t) => {
  const certificate = createCertificate('name')
  const trusted = getCACertificates('default')
  setDefaultCACertificates([...trusted, certificate.cert])
  t.teardown(() => setDefaultCACertificates(trusted))
  const receiver = await startReceiver(t, (listener) => createTlsServer(certificate, listener))
  const named = await createWebhook(service, receiver.url('localhost', 'https'))
  const address = await createWebhook(service, receiver.url('127.0.0.1', 'https'))
  await change()
  await untilWebhook(service, named.id, ({ last_success_at }) => last_success_at !== null)
  t.equal(
    (await untilWebhook(service, address.id, hasFailed)).last_error?.message,
    'the connection failed (ERR_TLS_CERT_ALTNAME_INVALID)'
  )
  t.equal(receiver.deliveries.length, 1)
  for (const { id } of [named, address])
    await service.request({ method: 'DELETE', url: `/api/v1/webhooks/${id}` })
})

t.test('addresses of private networks are refused', async (t) => {
  const receiver = await startReceiver(t)
  const { port } = new URL(receiver.url())
  for (const host of [
    '127.0.0.1',
    '2130706433',
    '0x7f.1',
    '[::1]',
    '[::ffff:127.0.0.1]',
    '10.1.2.3',
    '0.0.0.0'
  ])
    t.match(
      await guarded.post('/api/v1/webhooks', { url: `http://${host}:${port}/` }),
      {
        status: 400,
        body: { message: 'body field (url) must not have an address of a private network' }
      },
      host
    )
  t.match(await dns.lookup('localhost'), { address: /^(127\.0\.0\.1|::1)$/ })
  const { id } = await createWebhook(guarded, receiver.url('localhost'))
  // As created before the setting was changed.
  const other = await createWebhook(guarded, 'http://receiver.example/')
  await guarded.sql`
    update webhooks set url = ${receiver.url()}, lease_token = null, lease_until = now() where id = ${other.id}`
  await guarded.changeSegments(1, ['A'], [])
  for (const each of [id, other.id])
    t.match((await untilWebhook(guarded, each, hasFailed)).last_error, {
      status: null,
      message: 'the host has an address of a private network'
    })
  t.same(receiver.deliveries, [])
})

t.test('the name of a host is looked up once', async (t) => {
  const receiver = await startReceiver(t)
  // No other lookup knows this name.
  t.intercept(dns, 'lookup', { value: async () => [{ address: '127.0.0.1', family: 4 }] })
  const { id } = await createWebhook(service, receiver.url('receiver.invalid'))
  await change()
  await untilWebhook(service, id, ({ last_success_at }) => last_success_at !== null)
  const [delivery] = receiver.deliveries
  t.match(delivery?.headers.host, /^receiver\.invalid:\d+$/)
  await service.request({ method: 'DELETE', url: `/api/v1/webhooks/${id}` })
})

t.test('public and other addresses', async (t) => {
  const refused = [
    ...['0.0.0.0', '0.1.2.3', '10.0.0.1', '100.64.0.1', '100.127.255.255', '127.0.0.1', '127.255.0.1'],
    ...['169.254.169.254', '172.16.0.1', '172.31.255.255', '192.0.0.1', '192.0.2.1', '192.168.0.1'],
    ...[
      '198.18.0.1',
      '198.51.100.1',
      '203.0.113.1',
      '224.0.0.1',
      '239.1.1.1',
      '240.0.0.1',
      '255.255.255.255'
    ],
    ...['::', '::1', '::ffff:127.0.0.1', '::ffff:8.8.8.8', '::127.0.0.1', '64:ff9b::7f00:1', '64:ff9b:1::1'],
    ...['100::1', '2001::1', '2001:db8::1', '2002:7f00:1::', 'fc00::1', 'fd12::1', 'fe80::1', 'fe80::1%eth0'],
    ...['fec0::1', 'ff02::1', '3fff::1', '5f00::1', '4000::1', 'localhost', '']
  ]
  for (const address of refused) t.equal(isPublicAddress(address), false, address)
  const accepted = ['1.1.1.1', '8.8.8.8', '100.63.255.255', '172.32.0.1', '2606:4700::1111', '2a00:1450::1']
  for (const address of accepted) t.equal(isPublicAddress(address), true, address)
})

t.test('the log has failures and pauses, and no secret', async (t) => {
  const text = lines.join('')
  const secrets = await service.sql<{ secret: string }[]>`select secret from webhooks`
  t.ok(secrets.length > 0)
  t.notMatch(text, /whsec_|127\.0\.0\.1:\d+\/hook/, 'no secret, and no URL of a receiver')
  for (const { secret } of secrets) t.notOk(text.includes(secret.slice(6)))
  const entries = lines.map((line) => JSON.parse(line))
  const levels = (message: string) => entries.filter(({ msg }) => msg === message).map(({ level }) => level)
  t.ok(levels('webhook delivery failed').includes(40), 'the first failure is a warning')
  t.ok(levels('webhook delivery failed').includes(30), 'further ones are not')
  t.ok(levels('webhook paused').every((level) => level === 40))
  t.ok(levels('webhook delivers again').length > 0)
  t.same(levels('webhook could not be pushed'), [])
})
