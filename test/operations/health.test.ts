import postgres from 'postgres'
import t from 'tap'
import { listMigrations, migrate } from '../../src/database/migrate.ts'
import { holdTable } from '../support/locks.ts'
import { startService, startServiceOn, waitUntil } from '../support/service.ts'

const live = { method: 'GET', url: '/health/live' } as const
const ready = { method: 'GET', url: '/health/ready' } as const

t.test('a service on a current schema is live and ready', async (t) => {
  const service = await startService(t)
  t.same(await service.request(live), { status: 200, body: { status: 'live' } })
  t.same(await service.request(ready), { status: 200, body: { status: 'ready' } })
})

t.test(
  'a service whose schema lacks a migration is live, not ready, and ready once it is migrated',
  async (t) => {
    const service = await startService(t)
    const outdated = (missing: string[]) => ({
      status: 503,
      body: { message: `the schema lacks migrations (${missing.join(', ')})`, code: 'SCHEMA_OUTDATED' }
    })
    const names = await listMigrations()
    await migrate(service.database.url, { direction: 'down' })
    t.same(await service.request(ready), outdated(names.slice(-1)))
    await migrate(service.database.url, { direction: 'down', count: names.length })
    await service.sql`drop table pgmigrations`
    t.same(await service.request(ready), outdated(names), 'nor where nothing was ever migrated')
    t.equal((await service.request(live)).status, 200)
    await migrate(service.database.url)
    t.equal((await service.request(ready)).status, 200)
  }
)

t.test('a service that has been told to end is not ready', async (t) => {
  const service = await startService(t)
  await service.app.shutdown.begin(0, 0)
  t.same(await service.request(ready), {
    status: 503,
    body: { message: 'the service is shutting down', code: 'SHUTTING_DOWN' }
  })
})

t.test(
  'without its database the service lives, answers 503 with Retry-After, and comes back by itself',
  async (t) => {
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
      'a lost connection is made anew'
    )
  }
)

t.test('a database that is closed to connections is one that cannot answer now', async (t) => {
  const service = await startService(t)
  const name = new URL(service.database.url).pathname.slice(1)
  // From outside: a database is not closed from within.
  const outside = postgres(new URL('/postgres', service.database.url).href, { max: 1 })
  t.teardown(() => outside.end())
  await outside`alter database ${outside(name)} allow_connections false`
  for (const answer of [await service.request(ready), await service.getSegments(1)])
    t.match(answer, { status: 503, body: { code: 'DATABASE_UNAVAILABLE' } })
  await outside`alter database ${outside(name)} allow_connections true`
  t.equal((await service.request(ready)).status, 200)
})

t.test('a wrong database or password is a service that is not ready, not a failure of ours', async (t) => {
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

t.test('every request is answered within its deadline while the database hangs', async (t) => {
  const service = await startService(t)
  await service.createSegment('A')
  await Promise.all(Array.from({ length: 50 }, (_, user) => service.changeSegments(1 + user)))
  await Promise.all(Array.from({ length: 50 }, () => service.request(ready)))
  await service.getSegments(1)
  const backends = await service.sql<{ pid: number; name: string }[]>`
    select pid, application_name as name from pg_stat_activity
    where datname = current_database()
      and application_name in ('user-segments', 'user-segments hot read', 'user-segments write')`
  t.same(
    ['user-segments', 'user-segments hot read', 'user-segments write'].map(
      (name) => backends.filter((b) => b.name === name).length
    ),
    [6, 1, 16],
    'every connection is open, and that of the hot read which is used first'
  )
  const signal = (name: NodeJS.Signals) => {
    for (const { pid } of backends) {
      try {
        process.kill(pid, name)
      } catch {
        // It has ended, as its connection was given up.
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

t.test('a request that the database cannot answer in time is given up with 503', async (t) => {
  const service = await startService(t)
  await service.createSegment('A')

  const release = await holdTable(t, service.database, 'memberships')
  const answer = await service.changeSegments(1, ['A'])
  t.match(answer, { status: 503, body: { code: 'LOCK_TIMEOUT' } })
  await release()
  t.equal((await service.getSegments(1)).status, 404, 'it has changed nothing')
})
