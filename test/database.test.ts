import t, { type Test } from 'tap'
import { connectDatabase, retryWrite } from '../src/database.ts'
import { createDatabase, type TestDatabase, waitUntil } from './support/service.ts'

function connectOnce(t: Test, { url }: TestDatabase) {
  const sql = connectDatabase(url, {
    name: 'test',
    connections: 1,
    statementTimeout: 60_000,
    lockTimeout: 60_000
  })
  t.teardown(() => sql.end({ timeout: 1 }))
  return sql
}

t.test('a statement that fails after its first rows leaves nothing to the next one', async (t) => {
  const sql = connectOnce(t, await createDatabase(t))
  const fail = () => t.rejects(sql`select 1 / (3 - n) from generate_series(1, 5) n`, { code: '22012' })
  await fail()
  t.same([...(await sql`select n from generate_series(1, 3) n`)], [{ n: 1 }, { n: 2 }, { n: 3 }])
  await fail()
  t.same([...(await sql`select where false`)], [])
  t.same([...(await sql`select 1 as n`)], [{ n: 1 }])
})

t.test('a connection that is lost after the first rows leaves nothing to the next one', async (t) => {
  const database = await createDatabase(t)
  const sql = connectOnce(t, database)
  // More rows than PostgreSQL keeps until there are more.
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
