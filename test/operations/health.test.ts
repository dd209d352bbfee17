import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import postgres from 'postgres'
import t from 'tap'
import { listMigrations, migrate } from '../../src/database/migrate.ts'
import { createCertificate } from '../support/certificate.ts'
import { startFaultProxy } from '../support/fault-proxy.ts'
import { holdTable } from '../support/locks.ts'
import { LogLines, matchLines } from '../support/log-lines.ts'
import { collectRoutes, describeRoute, exampleRequest } from '../support/routes.ts'
import { createDatabase, createFolder, startService, startServiceOn, waitUntil } from '../support/service.ts'

const live = { method: 'GET', url: '/health/live' } as const
const ready = { method: 'GET', url: '/health/ready' } as const

t.test('a service on a current schema is live and ready', async (t) => {
  const service = await startService(t)
  t.same(await service.request(live), { status: 200, body: { status: 'live' } })
  t.same(await service.request(ready), { status: 200, body: { status: 'ready' } })
})

t.test(
  'with a pending migration the service is live but not ready; after the migration it is ready',
  async (t) => {
    const database = await createDatabase(t, { isMigrated: false })
    const service = await startServiceOn(t, database)
    const outdated = (missing: string[]) => ({
      status: 503,
      body: { message: `the schema lacks migrations (${missing.join(', ')})`, code: 'SCHEMA_OUTDATED' }
    })
    const names = await listMigrations()
    t.same(await service.request(ready), outdated(names), 'if no migration was ever run')
    t.equal((await service.request(live)).status, 200)
    await migrate(database.url)
    t.equal((await service.request(ready)).status, 200)
    await database.sql`delete from pgmigrations where name = ${String(names.at(-1))}`
    t.same(await service.request(ready), outdated(names.slice(-1)))
  }
)

t.test(
  'without the schema every route that needs it answers SCHEMA_OUTDATED, and one line names the command',
  async (t) => {
    const collected = collectRoutes(t)
    const database = await createDatabase(t, { isMigrated: false })
    const log = new LogLines()
    const service = await startServiceOn(t, database, { LOG_LEVEL: 'info' }, { log })
    const routes = collected
      .filter(({ url }) => url.startsWith('/api/') && url !== '/api/v1/key')
      .flatMap((route) => [route.method].flat().map((method) => ({ ...route, method })))
    t.ok(routes.length > 10)
    for (const route of routes) {
      const { statusCode, headers, body } = await service.app.inject(exampleRequest(route))
      t.same([statusCode, headers['retry-after']], [503, '1'], describeRoute(route))
      if (route.method !== 'HEAD')
        t.match(JSON.parse(body), { code: 'SCHEMA_OUTDATED' }, describeRoute(route))
    }
    const others = log.lines.filter(({ msg }) => msg !== 'request')
    matchLines(t, others, [{ msg: 'requests are refused: run `npm run migrate`', reason: /does not exist/ }])
    t.notMatch(JSON.stringify(log.lines), 'stack')
  }
)

t.test('a service that is shutting down is not ready', async (t) => {
  const service = await startService(t)
  await service.app.shutdown.begin(0, 0)
  t.same(await service.request(ready), {
    status: 503,
    body: { message: 'the service is shutting down', code: 'SHUTTING_DOWN' }
  })
})

t.test('without its database the service is live, answers 503 with Retry-After, and recovers', async (t) => {
  const service = await startService(t)
  await service.changeSegments(1)
  const refused = await startServiceOn(t, {
    ...service.database,
    url: 'postgres://postgres@127.0.0.1:1/none'
  })
  for (const url of [
    '/health/ready',
    '/api/v1/segments/user/1',
    '/api/v1/segments/user/1/csv?from=2023-01-01&to=2023-01-02'
  ]) {
    const answer = await refused.app.inject(url)
    t.same(
      [answer.statusCode, answer.headers['retry-after'], answer.json()],
      [
        503,
        '1',
        { message: 'the database cannot answer now, try again later', code: 'DATABASE_UNAVAILABLE' }
      ],
      url
    )
  }
  t.equal((await refused.request(live)).status, 200)

  await service.sql`
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()`
  t.same(
    await waitUntil(
      () => service.getSegments(1),
      ({ status }) => status !== 503
    ),
    { status: 200, body: [] },
    'a lost connection is replaced'
  )
})

t.test('a database that accepts no connections is reported as unavailable', async (t) => {
  const service = await startService(t)
  const name = new URL(service.database.url).pathname.slice(1)
  // From another database: a session cannot close its own.
  const outside = postgres(new URL('/postgres', service.database.url).href, { max: 1 })
  t.teardown(() => outside.end())
  await outside`alter database ${outside(name)} allow_connections false`
  for (const answer of [await service.request(ready), await service.getSegments(1)])
    t.match(answer, { status: 503, body: { code: 'DATABASE_UNAVAILABLE' } })
  await outside`alter database ${outside(name)} allow_connections true`
  t.equal((await service.request(ready)).status, 200)
})

t.test('with a wrong database or password the service is not ready; this is no internal error', async (t) => {
  const { database } = await startService(t)
  const elsewhere = new URL(database.url)
  elsewhere.pathname = '/nowhere'
  const stranger = new URL(database.url)
  stranger.password = 'wrong'
  for (const { href } of [elsewhere, stranger]) {
    const service = await startServiceOn(t, { ...database, url: href })
    t.match(await service.request(ready), { status: 503, body: { code: 'DATABASE_UNAVAILABLE' } })
    t.match(await service.changeSegments(1), { status: 503, body: { code: 'DATABASE_UNAVAILABLE' } })
  }
})

t.test('a wrong certificate is answered 503 until it is mended', async (t) => {
  const database = await createDatabase(t)
  const folder = await createFolder(t)
  const [right, wrong] = [createCertificate(), createCertificate()]
  await writeFile(join(folder, 'root.pem'), right.cert)
  const certificate = { ...wrong }
  const proxy = await startFaultProxy(t, database.url, certificate)
  const url = new URL(proxy.url)
  url.search = `sslmode=verify-full&sslrootcert=${folder}/root.pem`
  const service = await startServiceOn(t, { ...database, url: url.href })
  const unavailable = { status: 503, body: { code: 'DATABASE_UNAVAILABLE' } }
  t.match(await service.request(ready), unavailable)
  t.match(await service.changeSegments(1), unavailable)
  Object.assign(certificate, right)
  t.equal((await service.request(ready)).status, 200)
  t.equal((await service.changeSegments(1)).status, 200)
})

t.test('every request is answered within its deadline while the database hangs', async (t) => {
  const service = await startService(t)
  await service.createSegment('A')
  await Promise.all(Array.from({ length: 50 }, (_, user) => service.changeSegments(1 + user)))
  await Promise.all(Array.from({ length: 50 }, () => service.get('/api/v1/segments/user/1/history')))
  t.match(await service.request(ready), { status: 200 })
  await service.getSegments(1)
  const backends = await service.sql<{ pid: number; name: string }[]>`
    select pid, split_part(application_name, ' ', 2) as name from pg_stat_activity
    where datname = current_database()
      and application_name ~ '^user-segments (reads|writes|probes) '`
  t.same(
    ['reads', 'writes'].map((name) => backends.filter((b) => b.name === name).length),
    [12, 16],
    'every connection is open'
  )
  const signal = (name: NodeJS.Signals) => {
    for (const { pid } of backends) {
      try {
        process.kill(pid, name)
      } catch {
        // The statement has ended, because its connection was closed.
      }
    }
  }
  signal('SIGSTOP')
  t.teardown(() => signal('SIGCONT'))
  const late = { status: 503, body: { code: 'DATABASE_UNAVAILABLE' } }
  const [read, written, deleted] = await Promise.all([
    service.getSegments(1),
    service.changeSegments(1, ['A']),
    service.deleteSegment('A')
  ])
  for (const answer of [read, written, deleted]) t.match(answer, late)
  signal('SIGCONT')
  const { status } = await waitUntil(
    () => service.getSegments(1),
    (answer) => answer.status !== 503
  )
  t.equal(status, 200)
})

t.test('a request that the database cannot answer in time is answered with 503', async (t) => {
  const service = await startService(t)
  await service.createSegment('A')

  const release = await holdTable(t, service.database, 'memberships')
  const answer = await service.changeSegments(1, ['A'])
  t.match(answer, { status: 503, body: { code: 'LOCK_TIMEOUT' } })
  await release()
  t.equal((await service.getSegments(1)).status, 404, 'it has changed nothing')
})
