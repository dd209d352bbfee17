/** What is delivered to webhooks. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import t from 'tap'
import { FeedConsumer, readAllChanges, readChanges } from '../support/feed.ts'
import { shareService, untilTaken, waitUntil } from '../support/service.ts'
import {
  createWebhook,
  type Receiver,
  readWebhook,
  startReceiver,
  untilWebhook,
  verify
} from '../support/webhook-receiver.ts'

const emptyService = await shareService(t, { WEBHOOK_PRIVATE: 'on' })

t.test('changes are delivered as the feed has them, signed', async (t) => {
  const service = await emptyService()
  const receiver = await startReceiver(t)
  await service.createSegment('BEFORE')
  const { id, secret } = await createWebhook(service, receiver.url())
  t.match(secret, /^whsec_[A-Za-z0-9+/]{43}=$/)
  const { cursor } = await readChanges(service, 'now')
  await service.createSegment('A')
  await service.changeSegments(1, ['A'], [])
  await waitUntil(
    async () => receiver.changes,
    ({ length }) => length === 2
  )
  t.same(receiver.changes, ['segment_created A', 'membership_added 1 A'])
  const expected = await readChanges(service, cursor, '&limit=1000')
  t.same(
    receiver.deliveries.flatMap(({ page }) => page.changes.map(({ cursor: _, ...change }) => change)),
    expected.changes.map(({ cursor: _, ...change }) => change)
  )
  for (const delivery of receiver.deliveries) {
    verify(String(secret), delivery)
    t.throws(() => verify(String(secret), { ...delivery, text: `${delivery.text} ` }))
    t.match(delivery.headers, { 'content-type': 'application/json', 'user-agent': /^user-segments\/\d/ })
    t.equal(Object.keys(delivery.page).join(), 'changes,cursor')
    const { changes } = await readAllChanges(service, delivery.page.changes[0]?.cursor ?? '')
    const rest = receiver.changes.length - receiver.changes.indexOf('segment_created A') - 1
    t.ok(changes.length <= rest, 'the cursors are those of the feed')
  }
  const webhook = await untilWebhook(
    service,
    id,
    ({ cursor }) => cursor === receiver.deliveries.at(-1)?.page.cursor
  )
  t.match(webhook, { state: 'active', lag_seconds: 0, last_error: null, failures: 0, next_attempt_at: null })
  t.ok(webhook.last_success_at)
})

t.test('a webhook of segments', async (t) => {
  const service = await emptyService()
  const [some, all] = [await startReceiver(t), await startReceiver(t)]
  for (const slug of ['A', 'B', 'C']) await service.createSegment(slug)
  const webhook = await createWebhook(service, some.url(), { segments: ['a', 'B'] })
  t.same(webhook.segments, ['A', 'B'])
  await createWebhook(service, all.url())
  for (const user of [1, 2]) await service.changeSegments(user, ['A', 'B', 'C'], [])
  await service.changeSegments(1, [], ['C', 'A'])
  await service.deleteSegment('B')
  await service.request({ method: 'DELETE', url: '/api/v1/users/2' })
  await service.changeSegments(3, ['C'], [])
  await service.deleteSegment('A')
  await waitUntil(
    async () => [some, all].map(({ changes }) => changes.at(-1)),
    (last) => last.every((change) => change === 'segment_deleted A')
  )
  t.same(
    some.changes.filter((change) => / C$/.test(change)),
    []
  )
  t.ok(some.changes.includes('segment_deleted B') && some.changes.includes('user_erased 2'))
  t.ok(all.changes.includes('membership_added 3 C'))
  t.match(await readWebhook(service, webhook.id), { state: 'active', segments: ['A', 'B'] })

  t.match(await service.post('/api/v1/webhooks', { url: some.url(), segments: ['C', 'A', 'NONE'] }), {
    status: 404,
    body: { code: 'SEGMENTS_NOT_FOUND', segments: ['A', 'NONE'] }
  })
  t.match(await service.post('/api/v1/webhooks', { url: some.url(), segments: ['C', 'c'] }), {
    status: 400,
    body: { code: 'DUPLICATE_SLUG' }
  })
})

/** A receiver that keeps its own copy. A batch that comes again is known by its id. */
class Copy {
  readonly consumer = new FeedConsumer('')
  readonly seen = new Map<string, string>()
  repeated = 0
  failure: unknown

  constructor(receiver: Receiver, fails: () => boolean) {
    receiver.answer = ({ id, page, text }) => {
      const known = this.seen.get(id)
      if (known !== undefined) {
        this.repeated += 1
        if (known !== text) this.failure = new Error(`the batch ${id} has changed`)
      } else {
        this.seen.set(id, text)
        try {
          for (const change of page.changes) this.consumer.apply(change)
        } catch (error) {
          this.failure ??= error
        }
      }
      // After it has been applied: the service does not know that, and delivers it again.
      if (fails()) return (response) => response.destroy()
      return fails() ? 503 : 200
    }
  }
}

t.test('a receiver that fails again and again has exactly the members', async (t) => {
  const service = await emptyService()
  const [receiver, other] = [await startReceiver(t), await startReceiver(t)]
  const slugs = ['A', 'B', 'BULK', 'C']
  for (const slug of slugs) await service.createSegment(slug)
  let random = 7
  const next = (bound: number) => {
    random = (random * 48_271) % 2_147_483_647
    return random % bound
  }
  let isHealthy = false
  const copy = new Copy(receiver, () => !isHealthy && next(3) === 0)
  const part = new Copy(other, () => !isHealthy && next(4) === 0)
  const { id, secret } = await createWebhook(service, receiver.url())
  await createWebhook(service, other.url(), { segments: ['BULK', 'B'] })
  const nudge = setInterval(async () => {
    await service.sql`update webhooks set next_attempt_at = now()`
    service.app.webhookPusher.wake()
  }, 50)
  t.teardown(() => clearInterval(nudge))

  const upload = (method: string, count: number) =>
    untilTaken(() =>
      service.request({
        method,
        url: '/api/v1/segment/bulk/users',
        headers: { 'content-type': 'text/csv' },
        body: Array.from({ length: count }, (_, n) => `${n + 1}\n`).join('')
      })
    )
  for (let turn = 0; turn < 150; turn += 1) {
    const slug = slugs[next(3)] ?? 'A'
    const user = 1 + next(8)
    // The service loses all its connections.
    if (turn % 60 === 30)
      await service.sql`
        select pg_terminate_backend(pid)
        from pg_stat_activity
        where datname = current_database()
          and application_name like 'user-segments%'`
    if (turn % 50 === 20) await upload('POST', 1_300)
    else if (turn % 50 === 40) await upload('DELETE', 1_000)
    else if (next(2) === 0) await service.changeSegments(user, [slug], [])
    else await service.changeSegments(user, [], [slug])
  }
  await service.deleteSegment('A')
  isHealthy = true
  const { changes } = await readAllChanges(service, 'start')
  const last = changes.at(-1)
  t.equal(last?.type, 'segment_deleted')
  await waitUntil(
    async () => receiver.changes.at(-1),
    (change) => change === 'segment_deleted A'
  )
  await untilWebhook(
    service,
    id,
    ({ cursor, lag_seconds }) => lag_seconds === 0 && cursor === receiver.deliveries.at(-1)?.page.cursor
  )
  await waitUntil(
    async () => part.consumer.membersAt('BULK', new Date().toISOString()).length,
    (count) => count === copy.consumer.membersAt('BULK', new Date().toISOString()).length
  )
  t.equal(copy.failure, undefined)
  t.equal(part.failure, undefined)
  t.ok(copy.repeated > 0 && part.repeated > 0, `${copy.repeated} and ${part.repeated} batches came again`)
  const now = new Date().toISOString()
  for (const slug of ['B', 'BULK', 'C']) {
    const members = (await service.get(`/api/v1/segment/${slug}/users.csv`)).text.trim().split('\n').slice(1)
    t.same(copy.consumer.membersAt(slug, now), members, slug)
    t.same(part.consumer.membersAt(slug, now), slug === 'C' ? [] : members, slug)
  }
  const sizes = receiver.deliveries.map(({ page }) => page.changes.length)
  t.equal(Math.max(...sizes), 500, 'batches are bounded')
  for (const { text } of receiver.deliveries) t.ok(Buffer.byteLength(text) < 270_000)
  const total = [...copy.seen.values()].reduce((sum, text) => sum + JSON.parse(text).changes.length, 0)
  t.equal(total, changes.length - slugs.length, 'each change came once')
  for (const delivery of receiver.deliveries) verify(String(secret), delivery)
})

t.test('a batch is also bounded in bytes', async (t) => {
  const service = await emptyService()
  const receiver = await startReceiver(t)
  await service.createSegment('A')
  const { id } = await createWebhook(service, receiver.url())
  await service.patch(`/api/v1/webhooks/${id}`, { state: 'paused' })
  const description = () => 'ä'.repeat(1_000)
  for (let turn = 0; turn < 80; turn += 1)
    await service.patchSegment('A', { description: `${turn}${description().slice(10)}` })
  await service.patch(`/api/v1/webhooks/${id}`, { state: 'active' })
  await waitUntil(
    async () => receiver.changes.length,
    (count) => count === 80
  )
  t.ok(receiver.deliveries.length >= 2)
  for (const { text } of receiver.deliveries) t.ok(Buffer.byteLength(text) < 264_000)
})

t.test('users who are erased are not in a batch that is repeated', async (t) => {
  const service = await emptyService()
  const receiver = await startReceiver(t)
  await service.createSegment('A')
  const { id } = await createWebhook(service, receiver.url())
  receiver.answer = () => 500
  await service.changeSegments(1, ['A'], [])
  await receiver.received(1)
  await untilWebhook(service, id, ({ failures }) => failures === 1)
  await service.changeSegments(2, ['A'], [])
  await service.request({ method: 'DELETE', url: '/api/v1/users/1' })
  receiver.answer = () => 200
  await service.patch(`/api/v1/webhooks/${id}`, { state: 'active' })
  await waitUntil(
    async () => receiver.changes.at(-1),
    (change) => change === 'user_erased 1'
  )
  t.same(receiver.changes, ['membership_added 1 A', 'membership_added 2 A', 'user_erased 1'])
  const [{ rows } = { rows: '' }] = await service.sql<
    { rows: string }[]
  >`select json_agg(w)::text as rows from webhooks w`
  t.notMatch(rows, /"user_id"/)
})

t.test('the receiver on the documentation page', async (t) => {
  const service = await emptyService()
  const page = await readFile(new URL('../../docs/webhooks.md', import.meta.url), 'utf8')
  const [, code = ''] = /```js\n([\s\S]*?)```/.exec(page) ?? []
  const port = await findFreePort()
  const { id, secret } = await createWebhook(service, `http://127.0.0.1:${port}/`)
  const receiver = spawn(process.execPath, ['--input-type=module', '--eval', code], {
    env: { PATH: process.env.PATH, PORT: String(port), WEBHOOK_SECRET: String(secret) },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  t.teardown(() => receiver.kill('SIGKILL'))
  let output = ''
  receiver.stdout.on('data', (chunk) => {
    output += chunk
  })
  const send = () => fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: '{"changes":[]}' })
  const forged = await waitUntil(
    () => send().catch(() => undefined),
    (answer) => answer !== undefined
  )
  t.equal(forged?.status, 401)
  await service.createSegment('A')
  await service.changeSegments(1, ['A'], [])
  await waitUntil(
    async () => output,
    (text) => text.includes('membership_added')
  )
  t.equal(output, 'segment_created null A\nmembership_added 1 A\n')
  t.match(await untilWebhook(service, id, ({ last_success_at }) => last_success_at !== null), { failures: 0 })
})

async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}
