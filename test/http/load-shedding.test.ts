import { setImmediate } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { connectClient, type TestClient } from '../support/client.ts'
import { holdTable } from '../support/locks.ts'
import { LogLines, matchLines } from '../support/log-lines.ts'
import { scrape } from '../support/metrics.ts'
import { openConnection } from '../support/raw-connection.ts'
import { startService, type TestService, waitUntil } from '../support/service.ts'

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

/** A client of a service that listens: only then requests are refused before Fastify sees them. */
async function connect(t: Test, service: TestService): Promise<{ http: TestClient; address: string }> {
  const address = await service.app.listen({ host: '127.0.0.1', port: 0 })
  const http = connectClient(address)
  t.teardown(() => http.close())
  return { http, address }
}

t.test('a refusal costs no log line and no hook, but is counted', async (t) => {
  const log = new LogLines()
  const service = await startService(t, { LOG_LEVEL: 'info' }, { log })
  const { http } = await connect(t, service)
  await http.changeSegments(1)
  const release = await holdTable(t, service.database, 'memberships')
  const reads = Array.from({ length: 256 }, () => http.getSegments(1))
  await waitUntil(
    async () => service.app.load.inFlight,
    (inFlight) => inFlight === 256
  )
  log.clear()
  const url = '/api/v1/segments/user/1'
  for (let count = 0; count < 3; count++) {
    const answer = await http.send({ method: 'GET', url, headers: { 'x-request-id': 'mine' } })
    t.same({ status: answer.status, body: answer.body }, refused)
    t.match(answer.headers, { 'x-request-id': 'mine', 'retry-after': '1', 'cache-control': 'no-store' })
  }
  const change = await http.send({ method: 'POST', url, headers: {}, body: '{' })
  t.equal(change.status, 415, 'another route of the same path is open')
  await waitUntil(
    async () => log.of('excess requests refused'),
    ({ length }) => length > 0
  )
  matchLines(
    t,
    log.lines.filter(({ status }) => status === 503),
    [{ code: 'OVERLOADED', count: 3, msg: 'excess requests refused' }]
  )
  const labels = 'method="GET",route="/api/v1/segments/user/:user_id",status="503"'
  t.equal((await scrape(service)).value(`http_request_duration_seconds_count{${labels}}`), 3)

  await release()
  for (const { status } of await Promise.all(reads)) t.equal(status, 200)
  t.equal((await http.getSegments(1)).status, 200)
})

t.test(
  'the refusal of a list waits, so that a client without pauses cannot keep the process busy',
  async (t) => {
    const service = await startService(t)
    const { http, address } = await connect(t, service)
    await http.changeSegments(1)
    const release = await holdTable(t, service.database, 'segments')
    const url = '/api/v1/segments'
    const lists = Array.from({ length: 8 }, () => http.get(url))
    await waitUntil(
      async () => service.app.load.inFlight,
      (inFlight) => inFlight === 8
    )
    const ended: string[] = []
    const excess = http.get(url).finally(() => ended.push('list'))
    await http.get('/health/live').finally(() => ended.push('probe'))
    t.same(await excess, refused)
    t.same(ended, ['probe', 'list'])

    const pipelined = await openConnection(t, address)
    pipelined.socket.write(`GET ${url} HTTP/1.1\r\nhost: localhost\r\n\r\n`.repeat(3))
    await pipelined.ended()
    t.same(pipelined.statuses, [], 'one that does not even wait for its answers is disconnected')
    await release()
    for (const { status } of await Promise.all(lists)) t.equal(status, 200)
  }
)

t.test('while the event loop is late, everything but the liveness probe is refused', async (t) => {
  const service = await startService(t)
  const { http } = await connect(t, service)
  await http.changeSegments(1)
  await holdEventLoop(5_000)
  t.same(
    await waitUntil(
      () => http.getSegments(1),
      ({ status }) => status === 503
    ),
    refused
  )
  t.equal((await http.get('/health/live')).status, 200)
  await waitUntil(
    () => http.getSegments(1),
    ({ status }) => status === 200
  )
})

t.test('a start that blocks the event loop refuses no request', async (t) => {
  const service = await startService(t)
  await holdEventLoop(3_000)
  await service.app.listen({ port: 0 })
  t.equal((await service.changeSegments(1)).status, 200)
})
