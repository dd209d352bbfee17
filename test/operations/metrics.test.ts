import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { countBlocked, holdTable } from '../support/locks.ts'
import { scrape } from '../support/metrics.ts'
import {
  createDatabase,
  shareDatabase,
  startService,
  startServiceOn,
  type TestDatabase,
  waitUntil
} from '../support/service.ts'

const read = 'method="GET",route="/api/v1/segments/user/:user_id"'
const requests = (labels: string) => `http_request_duration_seconds_count{${labels}}`

/** A proxy to a database that stops answering once the queues are queried. */
async function startFailingWay(t: Test, database: TestDatabase) {
  const { hostname, port } = new URL(database.url)
  const open = new Set<Socket>()
  let connections = 0
  const server = createServer((client) => {
    connections += 1
    const upstream = connect(Number(port), hostname)
    for (const socket of [client, upstream]) {
      open.add(socket.on('error', () => {}).on('close', () => open.delete(socket)))
    }
    client.on('data', (chunk) => chunk.includes('assignments') || upstream.write(chunk))
    client.on('close', () => upstream.destroy())
    upstream.pipe(client)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const url = new URL(database.url)
  url.port = String((server.address() as AddressInfo).port)
  return { url: url.href, open, connections: () => connections }
}

const startEmptyService = await shareDatabase(t)

t.test('a scrape is in the Prometheus text format and includes the default process metrics', async (t) => {
  const service = await startEmptyService(t)
  const { headers, body } = await service.app.inject('/metrics')
  t.equal(headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8')
  for (const name of [
    'process_cpu_seconds_total',
    'process_resident_memory_bytes',
    'nodejs_heap_size_used_bytes'
  ])
    t.match(body, `\n${name} `)
  t.match(body, '# HELP nodejs_eventloop_lag_p99_seconds ')
  t.match(body, '# TYPE http_request_duration_seconds histogram\n')
  t.same(await service.request({ method: 'GET', url: '/metrics?x=1' }), {
    status: 400,
    body: { message: 'unknown query parameter (x)', code: 'INVALID_REQUEST' }
  })
})

t.test('requests are counted by method, route and status', async (t) => {
  const service = await startEmptyService(t)
  await service.changeSegments(1)
  for (const user of [1, 1, 1, 2, 'x']) await service.getSegments(user)
  await service.app.inject({ method: 'HEAD', url: '/api/v1/segments/user/1' })
  const samples = await scrape(service)
  t.equal(samples.value(requests(`${read},status="200"`)), 3)
  t.equal(samples.value(requests(`${read},status="404"`)), 1)
  t.equal(samples.value(requests(`${read},status="400"`)), 1)
  t.equal(samples.value(requests(`${read.replace('GET', 'HEAD')},status="200"`)), 1)
  t.equal(samples.value(`http_request_duration_seconds_bucket{le="+Inf",${read},status="200"}`), 3)
  t.ok((samples.value(`http_request_duration_seconds_sum{${read},status="200"}`) ?? 0) > 0, 'with their time')

  const other = await startServiceOn(t, service.database)
  t.same((await scrape(other)).startingWith('http_'), [], 'each app counts its own requests')
})

t.test('unknown paths are counted as one route', async (t) => {
  const service = await startEmptyService(t)
  for (const url of ['/a', '/b', '/api/v1/nowhere', '/%zz']) await service.app.inject(url)
  await service.app.inject({ method: 'DELETE', url: '/api/v1/segment' })
  const samples = await scrape(service)
  const unknown = (method: string, status: number) =>
    samples.value(requests(`method="${method}",route="unknown",status="${status}"`))
  t.equal(unknown('GET', 404), 3)
  t.equal(unknown('GET', 400), 1, 'even an invalid path')
  t.equal(unknown('DELETE', 405), 1)
  t.equal(samples.startingWith('http_request_duration_seconds_count').length, 3)
})

t.test('a request whose client disconnects is counted as 499', async (t) => {
  const service = await startEmptyService(t)
  const { port } = new URL(await service.app.listen({ host: '127.0.0.1', port: 0 }))
  const release = await holdTable(t, service.database, 'memberships')
  const socket = connect(Number(port), '127.0.0.1')
  socket.write('GET /api/v1/segments/user/1 HTTP/1.1\r\nhost: localhost\r\n\r\n')
  await waitUntil(
    () => countBlocked(service.database),
    (blocked) => blocked === 1
  )
  socket.resetAndDestroy()
  await waitUntil(
    async () => (await scrape(service)).value(requests(`${read},status="499"`)),
    (count) => count === 1
  )
  await release()
  t.equal((await service.getSegments(1)).status, 404)
  t.equal((await scrape(service)).value(requests(`${read},status="404"`)), 1, 'once')
})

t.test('a pool shows its statements in progress and those waiting for a connection', async (t) => {
  const service = await startEmptyService(t)
  await service.createSegment('A')
  const release = await holdTable(t, service.database, 'memberships')
  const changes = Array.from({ length: 20 }, (_, user) => service.changeSegments(1 + user, ['A']))
  await waitUntil(
    () => countBlocked(service.database, 'user-segments writes'),
    (blocked) => blocked === 16
  )
  const busy = await scrape(service)
  t.equal(busy.value('user_segments_database_connections_max{pool="writes"}'), 16)
  t.equal(busy.value('user_segments_database_statements{pool="writes"}'), 20)
  t.equal(busy.value('user_segments_database_statements_waiting{pool="writes"}'), 4)
  t.equal(busy.value('user_segments_database_statements{pool="reads"}'), 0)

  await release()
  t.ok((await Promise.all(changes)).every(({ status }) => status === 200))
  const idle = await scrape(service)
  t.equal(idle.value('user_segments_database_statements{pool="writes"}'), 0)
  t.equal(idle.value('user_segments_database_statements_waiting{pool="writes"}'), 0)
  t.equal(idle.value('user_segments_database_statement_duration_seconds_count{pool="writes"}'), 20)
})

t.test('a statement counts once, however it is composed and however it ends', async (t) => {
  const service = await startService(t)
  const count = async () =>
    (await scrape(service)).value('user_segments_database_statement_duration_seconds_count{pool="lists"}')
  t.match(await service.getSegment('A'), { status: 404 })
  t.equal(await count(), 1, 'that of a segment has two fragments')
  await service.sql`alter table segments rename to gone`
  t.match(await service.getSegment('A'), { status: 503, code: 'SCHEMA_OUTDATED' })
  t.equal(await count(), 2)
  t.equal((await scrape(service)).value('user_segments_database_statements{pool="lists"}'), 0)
})

t.test('batches of membership lookups show their sizes', async (t) => {
  const service = await startEmptyService(t)
  await Promise.all([1, 2, 3].map((user) => service.getSegments(user)))
  await service.getSegments(4)
  const samples = await scrape(service)
  t.equal(samples.value('user_segments_read_batch_users_count'), 2)
  t.equal(samples.value('user_segments_read_batch_users_sum'), 4)
  t.equal(samples.value('user_segments_read_batch_users_bucket{le="1"}'), 1)
})

t.test('the queues show their jobs, and how long the oldest has waited', async (t) => {
  const service = await startEmptyService(t)
  const jobs = (status: string) => `user_segments_queue_jobs{queue="assignments",status="${status}"}`
  const age = (status: string) =>
    `user_segments_queue_oldest_job_age_seconds{queue="assignments",status="${status}"}`
  const empty = await scrape(service)
  t.equal(empty.value('user_segments_database_up'), 1)
  t.same(
    [jobs('queued'), jobs('running'), age('queued'), age('running')].map((sample) => empty.value(sample)),
    [0, 0, 0, 0]
  )

  await service.sql`
    insert into assignments (segment_id, status, target, assigned, requested_at)
    values
      (1, 'queued', null, 0, now() - interval '1 hour'),
      (2, 'queued', null, 0, now()),
      (3, 'running', 10, 5, now() - interval '2 hours'),
      (4, 'done', 10, 10, now() - interval '1 day'),
      (5, 'cancelled', null, 0, now() - interval '1 day')`
  const busy = await scrape(service)
  t.same([busy.value(jobs('queued')), busy.value(jobs('running'))], [2, 1])
  t.ok(isAbout(busy.value(age('queued')), 3_600), 'in seconds')
  t.ok(isAbout(busy.value(age('running')), 7_200))
})

/** Whether that many seconds have passed, and not many more. */
function isAbout(value: number | undefined, seconds: number): boolean {
  return value !== undefined && value >= seconds && value < seconds + 300
}

t.test('without its database a scrape says so, and has all other metrics', async (t) => {
  const database = await createDatabase(t)
  const refused = await startServiceOn(t, { ...database, url: 'postgres://postgres@127.0.0.1:1/none' })
  await refused.getSegments(1)
  const samples = await scrape(refused)
  t.equal(samples.value('user_segments_database_up'), 0)
  t.same(samples.startingWith('user_segments_queue'), [], 'no value is invented')
  t.equal(samples.value(requests(`${read},status="503"`)), 1)
})

t.test('a database that does not answer delays no scrape, and scrapes query it one at a time', async (t) => {
  const database = await createDatabase(t)
  const way = await startFailingWay(t, database)
  const service = await startServiceOn(t, { ...database, url: way.url })
  const scrapes = await Promise.all(Array.from({ length: 5 }, () => scrape(service)))
  t.ok(scrapes.every((samples) => samples.value('user_segments_database_up') === 0))
  t.equal(way.connections(), 1)
  await waitUntil(
    async () => way.open.size,
    (open) => open === 0
  )
})

t.test('metrics of the database are absent while the database cannot be read', async (t) => {
  const service = await startService(t)
  t.equal((await scrape(service)).startingWith('user_segments_queue').length, 8)
  await service.sql`alter table reports rename to gone`
  const outdated = await scrape(service)
  t.equal(outdated.value('user_segments_database_up'), 1, 'it is there')
  t.same(outdated.startingWith('user_segments_queue'), [], 'without its queues')
})

t.test('reports show how long they took, whether made or failed', async (t) => {
  const service = await startService(t)
  await service.changeSegments(1)
  const count = async (outcome: string) =>
    (await scrape(service)).value(`user_segments_report_duration_seconds_count{outcome="${outcome}"}`)
  t.same([await count('made'), await count('failed')], [0, 0], 'from the beginning, for `increase`')
  await service.makeReport(1, '2023-08-01', '2023-08-31')
  t.same([await count('made'), await count('failed')], [1, 0])
  await service.sql`alter view history rename to gone`
  await service.makeReport(1, '2023-08-02', '2023-08-31')
  t.same([await count('made'), await count('failed')], [1, 1])
})
