import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { holdTable } from '../support/locks.ts'
import { startService, waitUntil } from '../support/service.ts'

const refused = {
  status: 503,
  body: { message: 'too many requests are in flight, try again later', code: 'OVERLOADED' }
}

t.test('requests beyond the limit of a route are refused at once, and the others are answered', async (t) => {
  const service = await startService(t)
  await service.createSegment('A')
  await service.changeSegments(1, ['A'])
  const release = await holdTable(t, service.database, 'memberships')
  const reads = Array.from({ length: 300 }, () => service.getSegments(1))
  const [first] = await Promise.all(reads.slice(256))
  t.same(first, refused)
  t.same(new Set((await Promise.all(reads.slice(256))).map(({ status }) => status)), new Set([503]))
  const { headers } = await service.app.inject('/api/v1/segments/user/1')
  t.equal(headers['retry-after'], '1')
  t.equal((await service.createSegment('B')).status, 200, 'other routes are open')

  await release()
  const answers = await Promise.all(reads.slice(0, 256))
  t.same(new Set(answers.map((answer) => JSON.stringify(answer))), new Set(['{"status":200,"body":["A"]}']))
  t.same(await service.getSegments(1), { status: 200, body: ['A'] }, 'then requests are accepted again')
})

t.test('changes have a lower limit than reads, and refused ones change nothing', async (t) => {
  const service = await startService(t)
  await service.createSegment('A')
  const release = await holdTable(t, service.database, 'memberships')
  const changes = Array.from({ length: 80 }, (_, n) => service.changeSegments(1 + n, ['A']))
  for (const answer of await Promise.all(changes.slice(64))) t.same(answer, refused)
  await release()
  for (const { status } of await Promise.all(changes.slice(0, 64))) t.equal(status, 200)
  const users = await service.sql<{ id: number }[]>`select id::integer from users order by id`
  t.same(
    users.map(({ id }) => id),
    Array.from({ length: 64 }, (_, n) => 1 + n)
  )
})

/** Delays the event loop for `milliseconds`, in steps that each count as overload. */
async function holdEventLoop(milliseconds: number): Promise<void> {
  for (const end = performance.now() + milliseconds; performance.now() < end; ) {
    const late = performance.now() + 1_600
    while (performance.now() < late);
    await setImmediate()
  }
}

t.test('while the event loop is late, everything but the liveness probe is refused', async (t) => {
  const service = await startService(t)
  await service.app.listen({ port: 0 })
  await service.changeSegments(1)
  await holdEventLoop(5_000)
  t.same(
    await waitUntil(
      () => service.getSegments(1),
      ({ status }) => status === 503
    ),
    refused
  )
  t.equal((await service.request({ method: 'GET', url: '/health/live' })).status, 200)
  await waitUntil(
    () => service.getSegments(1),
    ({ status }) => status === 200
  )
})

t.test('a start that blocks the event loop refuses no request', async (t) => {
  const service = await startService(t)
  await holdEventLoop(3_000)
  await service.app.listen({ port: 0 })
  t.equal((await service.changeSegments(1)).status, 200)
})
