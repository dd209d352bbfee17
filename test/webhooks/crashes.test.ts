/** Instances that are suspended, killed or shut down while they deliver. */
import type { ServerResponse } from 'node:http'
import t from 'tap'
import { connectClient } from '../support/client.ts'
import { FeedConsumer } from '../support/feed.ts'
import { startServerProcess } from '../support/server-process.ts'
import { createDatabase, createFolder, waitUntil } from '../support/service.ts'
import { createWebhook, startReceiver, untilWebhook } from '../support/webhook-receiver.ts'

t.test('another instance takes over, and the receiver has exactly the members', async (t) => {
  const { url, sql } = await createDatabase(t)
  const receiver = await startReceiver(t)
  const startInstance = async () => {
    const server = startServerProcess(t, {
      DATABASE_URL: url,
      PORT: '0',
      REPORTS_DIR: await createFolder(t),
      WEBHOOK_PRIVATE: 'on'
    })
    const http = connectClient(await server.address())
    t.teardown(() => http.close())
    return { server, http }
  }
  let user = 0
  const change = async ({ http }: typeof first) => {
    user += 1
    await http.changeSegments(user, ['A'], [])
  }
  const untilLast = () =>
    waitUntil(
      async () => receiver.changes.at(-1),
      (last) => last === `membership_added ${user} A`
    )
  /** Makes a change whose delivery arrives and is not answered. */
  const hold = async (instance: typeof first): Promise<ServerResponse> => {
    const arrived = Promise.withResolvers<ServerResponse>()
    receiver.answer = () => arrived.resolve
    await change(instance)
    const response = await arrived.promise
    receiver.answer = () => 200
    return response
  }
  const expireLease = () => sql`update webhooks set lease_until = now()`

  const first = await startInstance()
  await first.http.createSegment('A')
  const { id } = await createWebhook(first.http, receiver.url())
  await change(first)
  await untilLast()
  const second = await startInstance()

  // Suspended for longer than its lease.
  const unanswered = await hold(first)
  first.server.process.kill('SIGSTOP')
  const [suspended] = receiver.deliveries.slice(-1)
  await change(second)
  t.equal(receiver.deliveries.at(-1), suspended, 'while the lease lasts, nobody else delivers')
  await expireLease()
  await untilLast()
  const [again] = receiver.deliveries.slice(-2)
  t.equal(again?.id, suspended?.id, 'the batch comes again with its id')
  t.equal(again?.text, suspended?.text)
  unanswered.writeHead(200).end()
  first.server.process.kill('SIGCONT')
  await waitUntil(
    () => first.http.get('/health/live'),
    ({ status }) => status === 200
  )
  for (let count = 0; count < 10; count += 1) await change(second)
  await untilLast()

  // Killed.
  await hold(second)
  second.server.process.kill('SIGKILL')
  await second.server.exitCode()
  const [killed] = receiver.deliveries.slice(-1)
  await expireLease()
  await change(first)
  await untilLast()
  t.equal(receiver.deliveries.filter((delivery) => delivery.id === killed?.id).length, 2)

  // Shut down.
  await untilWebhook(first.http, id, ({ lag_seconds }) => lag_seconds === 0)
  const answered = await hold(first)
  first.server.process.kill('SIGTERM')
  await waitUntil(
    () => first.http.get('/health/ready').catch(() => ({ status: 503 })),
    ({ status }) => status === 503
  )
  answered.writeHead(200).end()
  t.equal(await first.server.exitCode(), 0)
  t.match(
    await sql`
      select lease_token, lease_until <= now() as is_free, failures, batch_end, cursor from webhooks`,
    [
      {
        lease_token: null,
        is_free: true,
        failures: 0,
        batch_end: null,
        cursor: receiver.deliveries.at(-1)?.page.cursor
      }
    ],
    'the delivery in flight is finished and recorded, and the lease is given back'
  )

  const seen = new Set<string>()
  const consumer = new FeedConsumer('')
  for (const { id: batch, page } of receiver.deliveries) {
    if (seen.has(batch)) continue
    seen.add(batch)
    for (const each of page.changes) consumer.apply(each)
  }
  const members = await sql<{ user_id: string }[]>`select user_id from memberships order by user_id`
  t.same(
    consumer.membersAt('A', new Date().toISOString()),
    members.map(({ user_id }) => user_id)
  )
  t.equal(members.length, user)
})
