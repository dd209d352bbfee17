/** The routes of webhooks. */
import t from 'tap'
import { shareService, untilTaken, waitUntil } from '../support/service.ts'
import {
  createWebhook,
  readWebhook,
  startReceiver,
  untilWebhook,
  verify
} from '../support/webhook-receiver.ts'

const emptyService = await shareService(t, { WEBHOOK_PRIVATE: 'on' })
const json = { 'content-type': 'application/json' }

t.test('secrets are shown once', async (t) => {
  const service = await emptyService()
  const receiver = await startReceiver(t)
  const own = `whsec_${Buffer.alloc(24, 7).toString('base64')}`
  const given = await createWebhook(service, receiver.url(), { secret: own })
  t.equal(given.secret, null, 'a given one is not shown at all')
  const create = (body: object) =>
    service.request({
      method: 'POST',
      url: '/api/v1/webhooks',
      headers: { ...json, 'idempotency-key': 'k' },
      body: JSON.stringify(body)
    })
  const first = await create({ url: receiver.url() })
  const { id, secret } = first.json<{ id: string; secret: string }>()
  t.equal(first.headers['location'], `/api/v1/webhooks/${id}`)
  const replay = await create({ url: receiver.url() })
  t.match(replay, { status: 201, body: { id, secret } }, 'a retry is answered as the first request')
  t.equal(replay.headers['idempotency-replayed'], 'true')
  const reads = [
    await service.get('/api/v1/webhooks'),
    await service.get(`/api/v1/webhooks/${id}`),
    await service.patch(`/api/v1/webhooks/${id}`, { state: 'active' })
  ]
  for (const { text } of reads) t.notMatch(text, /whsec|secret/)
  const stored = await service.sql`select status, headers::text, body::text from idempotency_keys`
  t.notMatch(JSON.stringify(stored), /whsec/, 'it is not in the stored answer')
  t.equal((await service.request({ method: 'DELETE', url: `/api/v1/webhooks/${id}` })).status, 204)
  t.match(await create({ url: receiver.url() }), { status: 201, body: { id, secret: null } })

  await service.createSegment('A')
  const [delivery] = await receiver.received(1)
  if (delivery) verify(own, delivery)
})

t.test('requests that are refused', async (t) => {
  const service = await emptyService()
  const bytes = (count: number) => `whsec_${Buffer.alloc(count, 1).toString('base64')}`
  const url = 'http://127.0.0.1:1/hook'
  const refused = [
    {},
    { url: 'ftp://example.com/' },
    { url: 'https://' },
    { url: 'https://user@example.com/' },
    { url: 'https://:password@example.com/' },
    { url: 'https://example.com:99999/' },
    { url: 'https://exa mple.com/' },
    { url: `https://example.com/${'x'.repeat(2_048)}` },
    { url, segments: [] },
    { url, secret: bytes(23) },
    { url, secret: bytes(65) },
    { url, secret: 'whsec_not-base64-not-base64-not-base64-' },
    { url, secret: bytes(32).slice(6) },
    { url, token: 'x' }
  ]
  for (const body of refused)
    t.match(
      await service.post('/api/v1/webhooks', body),
      { status: 400, code: 'INVALID_REQUEST' },
      JSON.stringify(body)
    )
  for (const length of [24, 32, 64])
    await createWebhook(service, url, { secret: bytes(length).replace(/=+$/, '') })
  for (const method of ['GET', 'DELETE'])
    t.match(await service.request({ method, url: '/api/v1/webhooks/999' }), {
      status: 404,
      body: { message: 'webhook with id (999) not found', code: 'WEBHOOK_NOT_FOUND' }
    })
  const change = (body: object, id = '1') => service.patch(`/api/v1/webhooks/${id}`, body)
  t.match(await change({ state: 'paused' }, '999'), { status: 404, code: 'WEBHOOK_NOT_FOUND' })
  t.match(await change({}), { status: 400, code: 'INVALID_REQUEST' })
  t.match(await change({ state: 'stopped' }), { status: 400, code: 'INVALID_REQUEST' })
  t.match(await change({ state: 'paused', after: 'now' }), { status: 400, code: 'INVALID_REQUEST' })
  t.match(await change({ state: 'active', after: 'x' }), { status: 400, code: 'INVALID_CURSOR' })

  const many = Array.from({ length: 60 }, () => untilTaken(() => service.post('/api/v1/webhooks', { url })))
  const statuses = (await Promise.all(many)).map(({ status }) => status)
  t.equal(statuses.filter((status) => status === 201).length, 47, 'there may be 50')
  t.equal(statuses.filter((status) => status === 409).length, 13)
})

t.test('pause and resume', async (t) => {
  const service = await emptyService()
  const receiver = await startReceiver(t)
  await service.createSegment('A')
  const { id } = await createWebhook(service, receiver.url())
  const release = Promise.withResolvers<void>()
  receiver.answer = () => (response) => void release.promise.then(() => response.writeHead(200).end())
  await service.changeSegments(1, ['A'], [])
  await receiver.received(1)
  t.match((await readWebhook(service, id)).lag_seconds, Number)
  await waitUntil(
    () => readWebhook(service, id),
    ({ lag_seconds }) => lag_seconds > 0
  )
  const paused = await service.patch(`/api/v1/webhooks/${id}`, { state: 'paused' })
  t.match(paused, { status: 200, body: { state: 'paused', pause_reason: 'requested' } })
  await service.changeSegments(2, ['A'], [])
  release.resolve()
  await untilWebhook(service, id, ({ last_success_at }) => last_success_at !== null)
  receiver.answer = () => 200
  // Another webhook shows that what was committed meanwhile would have been delivered.
  const other = await startReceiver(t)
  await createWebhook(service, other.url())
  await service.changeSegments(3, ['A'], [])
  await other.received(1)
  t.same(receiver.changes, ['membership_added 1 A'], 'the delivery in flight was the last one')

  await service.patch(`/api/v1/webhooks/${id}`, { state: 'active' })
  await waitUntil(
    async () => receiver.changes.length,
    (count) => count === 3
  )
  t.same(
    receiver.changes,
    ['membership_added 1 A', 'membership_added 2 A', 'membership_added 3 A'],
    'it goes on'
  )
  t.match(await readWebhook(service, id), { state: 'active', pause_reason: null, paused_at: null })

  const first = receiver.deliveries[0]?.page.changes[0]?.cursor
  const replayed = await service.patch(`/api/v1/webhooks/${id}`, { state: 'active', after: first })
  t.equal(replayed.status, 200)
  await waitUntil(
    async () => receiver.changes.length,
    (count) => count >= 5
  )
  t.same(receiver.changes.slice(3, 5), ['membership_added 2 A', 'membership_added 3 A'], 'after a cursor')
  await service.patch(`/api/v1/webhooks/${id}`, { state: 'active', after: 'start' })
  await waitUntil(
    async () => receiver.changes.length,
    (count) => count >= 9
  )
  t.same(receiver.changes.slice(5, 7), ['segment_created A', 'membership_added 1 A'], 'from the start')

  await service.patch(`/api/v1/webhooks/${id}`, { state: 'paused' })
  await service.changeSegments(4, ['A'], [])
  await service.patch(`/api/v1/webhooks/${id}`, { state: 'active', after: 'now' })
  await service.changeSegments(5, ['A'], [])
  await waitUntil(
    async () => receiver.changes.at(-1),
    (change) => change === 'membership_added 5 A'
  )
  t.notOk(receiver.changes.includes('membership_added 4 A'))
})

t.test('deletion while delivering', async (t) => {
  const service = await emptyService()
  const [receiver, other] = [await startReceiver(t), await startReceiver(t)]
  await service.createSegment('A')
  const { id } = await createWebhook(service, receiver.url())
  await createWebhook(service, other.url())
  const release = Promise.withResolvers<void>()
  receiver.answer = () => (response) => void release.promise.then(() => response.writeHead(200).end())
  await service.changeSegments(1, ['A'], [])
  await receiver.received(1)
  t.equal((await service.request({ method: 'DELETE', url: `/api/v1/webhooks/${id}` })).status, 204)
  release.resolve()
  await service.changeSegments(2, ['A'], [])
  await waitUntil(
    async () => other.changes.at(-1),
    (change) => change === 'membership_added 2 A'
  )
  t.same(receiver.changes, ['membership_added 1 A'])
  t.match(await service.get(`/api/v1/webhooks/${id}`), { status: 404 })
  t.equal((await service.get('/api/v1/webhooks')).json<{ webhooks: [] }>().webhooks.length, 1)
})

t.test('a cursor that has expired pauses the webhook', async (t) => {
  const service = await emptyService()
  const receiver = await startReceiver(t)
  await service.createSegment('A')
  const { id } = await createWebhook(service, receiver.url())
  await service.patch(`/api/v1/webhooks/${id}`, { state: 'paused' })
  await service.createSegment('B')
  // As after the retention: the row that the cursor names has gone.
  await service.sql`delete from changes where position = 1`
  const expired = await service.patch(`/api/v1/webhooks/${id}`, { state: 'active' })
  t.match(expired, { status: 410, code: 'CURSOR_EXPIRED' })
  await service.sql`update webhooks set state = 'active', pause_reason = null, paused_at = null, lease_token = null, lease_until = now()`
  t.match(await untilWebhook(service, id, ({ state }) => state === 'paused'), {
    pause_reason: 'cursor_expired'
  })
  t.match(await service.patch(`/api/v1/webhooks/${id}`, { state: 'paused' }), {
    body: { pause_reason: 'cursor_expired' }
  })
  t.equal((await service.patch(`/api/v1/webhooks/${id}`, { state: 'active', after: 'now' })).status, 200)
  await service.createSegment('C')
  await receiver.received(1)
  t.same(receiver.changes, ['segment_created C'])
})
