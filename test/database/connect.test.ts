import postgres from 'postgres'
import t, { type Test } from 'tap'
import { connectDatabase } from '../../src/database/connect.ts'
import { isDatabaseUnavailable } from '../../src/database/faults.ts'
import { retryIdempotent, retryWrite } from '../../src/database/retry.ts'
import { startFaultProxy } from '../support/fault-proxy.ts'
import { createDatabase, type TestDatabase, waitUntil } from '../support/service.ts'
import { collectSockets } from '../support/sockets.ts'

function connectTo(t: Test, url: string, options: { connections: number; statementTimeout: number }) {
  const sql = connectDatabase(url, { name: 'test', lockTimeout: 60_000, ...options })
  t.teardown(() => sql.end({ timeout: 1 }))
  return sql
}

function connectOnce(t: Test, { url }: TestDatabase) {
  return connectTo(t, url, { connections: 1, statementTimeout: 60_000 })
}

t.test('a statement that fails after its first rows does not affect the next one', async (t) => {
  const sql = connectOnce(t, await createDatabase(t))
  const fail = () => t.rejects(sql`select 1 / (3 - n) from generate_series(1, 5) n`, { code: '22012' })
  await fail()
  t.same([...(await sql`select n from generate_series(1, 3) n`)], [{ n: 1 }, { n: 2 }, { n: 3 }])
  await fail()
  t.same([...(await sql`select where false`)], [])
  t.same([...(await sql`select 1 as n`)], [{ n: 1 }])
})

t.test('a connection that is lost after the first rows does not affect the next one', async (t) => {
  const database = await createDatabase(t)
  const sql = connectOnce(t, database)
  // More rows than PostgreSQL buffers before it sends them.
  const lost = t.rejects(
    sql`select repeat('x', 10_000), case n when 100 then pg_sleep(60) end from generate_series(1, 100) n`
  )
  await waitUntil(
    () => database.sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database()
        and application_name = 'test'
        and wait_event = 'PgSleep'`,
    ({ count }) => count === 1
  )
  await lost
  const next = await retryWrite(() => sql`insert into users (id) values (1) returning id`)
  t.same([...next], [{ id: '1' }])
})

t.test('a connection that has just been reset gets no statement', async (t) => {
  const sockets = collectSockets(t)
  const sql = connectOnce(t, await createDatabase(t))
  await sql`select 1`
  sockets.at(-1)?.destroy(Object.assign(new Error('reset'), { code: 'ECONNRESET' }))
  // The socket has an error, and has not emitted `close` yet.
  await new Promise(process.nextTick)
  t.same([...(await sql`select 2 as n`)], [{ n: 2 }])
})

t.test('an idle connection is closed with a dead one, even if it answered last', async (t) => {
  const proxy = await startFaultProxy(t, (await createDatabase(t)).url)
  const sql = connectTo(t, proxy.url, { connections: 2, statementTimeout: 5_000 })
  await Promise.all([sql`select pg_sleep(0.1)`, sql`select pg_sleep(0.1)`])
  const lost = t.rejects(sql`select pg_sleep(60)`)
  // Longer than it takes to notice that the other one is waiting.
  await sql`select pg_sleep(1)`
  await proxy.set('half-open')
  await lost
  await proxy.set('none')
  t.same([...(await sql`select 1 as n`)], [{ n: 1 }])
})

t.test(
  'a statement fails at once if the server accepts no connections, even after a lost connection',
  async (t) => {
    const database = await createDatabase(t)
    const name = new URL(database.url).pathname.slice(1)
    const outside = postgres(new URL('/postgres', database.url).href, { max: 1 })
    t.teardown(() => outside.end({ timeout: 1 }))
    const sql = connectOnce(t, database)
    const lost = t.rejects(sql`select pg_sleep(60)`)
    await waitUntil(
      () => outside`
      select from pg_stat_activity
      where datname = ${name} and application_name = 'test' and wait_event = 'PgSleep'`,
      ({ count }) => count === 1
    )
    await outside`alter database ${outside(name)} allow_connections false`
    await outside`
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = ${name} and application_name = 'test'`
    await lost
    const isRefused = () =>
      sql`select 1`.then(
        () => false,
        (error) => {
          if (!isDatabaseUnavailable(error)) throw error
          return true
        }
      )
    t.same(await Promise.all([isRefused(), isRefused(), isRefused()]), [true, true, true])
    await outside`alter database ${outside(name)} allow_connections true`
    await waitUntil(isRefused, (refused) => !refused)
  }
)

t.test('a statement that loses its connection is retried only if that is safe', async (t) => {
  const database = await createDatabase(t)
  const attempt = async (retry: typeof retryWrite) => {
    const sql = connectOnce(t, database)
    let attempts = 0
    const result = retry(async () => {
      attempts += 1
      const seconds = attempts === 1 ? 60 : 0
      return sql`select pg_sleep(${seconds})`
    })
    const outcome = result.then(
      () => 'done',
      () => 'failed'
    )
    await waitUntil(
      () => database.sql`
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database()
          and application_name = 'test'
          and wait_event = 'PgSleep'`,
      ({ count }) => count === 1
    )
    return [await outcome, attempts]
  }
  t.same(await attempt(retryWrite), ['failed', 1], 'the write may have taken effect')
  t.match(await attempt(retryIdempotent), ['done'])
})
