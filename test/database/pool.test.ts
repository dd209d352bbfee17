/** Which connection a statement gets, and what happens to connections that fail. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import t, { type Test } from 'tap'
import { connectDatabase, type Pool } from '../../src/database/connect.ts'
import { transaction } from '../../src/database/transaction.ts'
import { createDatabase, waitUntil } from '../support/service.ts'
import { collectSockets } from '../support/sockets.ts'

const abandoned = { message: 'nobody waits for the result any more' }

function connectTo(t: Test, url: string, options: { connections: number; idleTimeout?: number }): Pool {
  const pool = connectDatabase(url, {
    name: 'test',
    lockTimeout: 60_000,
    statementTimeout: 60_000,
    ...options
  })
  t.teardown(() => pool.end({ timeout: 1 }))
  return pool
}

async function selectBackend(pool: Pool): Promise<number> {
  const [row] = await pool<[{ pid: number }]>`select pg_backend_pid() as pid`
  return row.pid
}

t.test('the most recently used connection is acquired first, and another one while it is busy', async (t) => {
  const { url } = await createDatabase(t)
  const pool = connectTo(t, url, { connections: 3 })
  const backend = () => selectBackend(pool)
  const first = await backend()
  t.equal(await backend(), first)
  t.equal(new Set(await Promise.all([backend(), backend(), backend(), backend(), backend()])).size, 3)
  const last = await backend()
  t.equal(await backend(), last)
})

t.test('a failed statement keeps its connection', async (t) => {
  const { url } = await createDatabase(t)
  const pool = connectTo(t, url, { connections: 2 })
  const pid = await selectBackend(pool)
  await t.rejects(pool`select 1 / 0`, { code: '22012' })
  await t.rejects(pool`select ${undefined as never}`, { code: 'UNDEFINED_VALUE' }, 'before it was sent')
  t.equal(await selectBackend(pool), pid)
})

t.test('a connection that is lost while it gets a statement delays no later statement', async (t) => {
  const sockets = collectSockets(t)
  const { url } = await createDatabase(t)
  const pool = connectTo(t, url, { connections: 1 })
  await selectBackend(pool)
  const lost = new Promise((resolve, reject) => {
    // The socket closes at the end of this turn of the event loop; postgres.js would write in the next one.
    setImmediate(() => {
      sockets.at(-1)?.destroy()
      selectBackend(pool).then(resolve, reject)
    })
  })
  await t.rejects(lost, { code: 'CONNECTION_CLOSED' })
  t.type(await selectBackend(pool), 'number')
})

t.test('waiting statements get the connection that replaces a lost one', async (t) => {
  const { url, sql } = await createDatabase(t)
  const pool = connectTo(t, url, { connections: 1 })
  const lost = t.rejects(pool`select pg_sleep(60)`, { code: 'CONNECTION_CLOSED' })
  const waiting = Promise.all([selectBackend(pool), selectBackend(pool)])
  await waitUntil(
    () => sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name = 'test' and wait_event = 'PgSleep'`,
    ({ count }) => count === 1
  )
  await lost
  t.equal(new Set(await waiting).size, 1)
})

t.test('if the server closes each connection before it is ready, each statement connects once', async (t) => {
  let connections = 0
  const server = createServer((socket) => {
    connections += 1
    socket.on('error', () => {})
    socket.once('data', () => socket.end())
  }).listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const pool = connectTo(t, `postgres://me@127.0.0.1:${address.port}/x`, { connections: 1 })
  for (const _statement of [1, 2])
    await t.rejects(pool`select 1`, { code: 'CONNECTION_CLOSED', mayHaveEffect: false })
  t.equal(connections, 2)
})

t.test('a statement whose plan has changed is sent again, with its arrays', async (t) => {
  const { url, sql } = await createDatabase(t)
  const pool = connectTo(t, url, { connections: 1 })
  const select = (ids: string[]) => pool`select * from changing where id = any(${ids}::bigint[])`
  await sql`create table changing (id bigint)`
  await sql`insert into changing values (1), (2)`
  t.equal((await select(['1', '2'])).length, 2)
  await sql`alter table changing add column name text`
  t.same([...(await select(['1']))], [{ id: '1', name: null }])
})

t.test(
  'a connection that has been idle for long is closed, and a later statement gets another one',
  async (t) => {
    const { url, sql } = await createDatabase(t)
    const pool = connectTo(t, url, { connections: 2, idleTimeout: 100 })
    await Promise.all([selectBackend(pool), selectBackend(pool)])
    await waitUntil(
      () => sql`
      select from pg_stat_activity
      where datname = current_database() and application_name = 'test'`,
      ({ count }) => count === 0
    )
    t.type(await selectBackend(pool), 'number')
  }
)

t.test(
  'for a caller that is gone, waiting statements never run and running ones are cancelled',
  async (t) => {
    const { url, sql } = await createDatabase(t)
    await sql`create table effects (id bigint)`
    const pool = connectTo(t, url, { connections: 1 })
    const pid = await selectBackend(pool)
    const caller = new AbortController()
    const its = pool.within(caller.signal)
    const running = t.rejects(its`select pg_sleep(60)`, { code: '57014' })
    const waiting = t.rejects(its`insert into effects values (1)`, abandoned)
    const transactional = t.rejects(
      transaction(its, (sql) => sql`insert into effects values (2)`),
      abandoned
    )
    const other = selectBackend(pool)
    await waitUntil(
      () => sql`
      select from pg_stat_activity
      where datname = current_database() and application_name = 'test' and wait_event = 'PgSleep'`,
      ({ count }) => count === 1
    )
    caller.abort()
    await Promise.all([running, waiting, transactional])
    t.equal(await other, pid, 'the connection stays usable')
    await t.rejects(its`insert into effects values (3)`, abandoned)
    t.same(await sql`select from effects`, [])
  }
)

t.test('a transaction that has begun is finished, though its caller is gone', async (t) => {
  const { url, sql } = await createDatabase(t)
  await sql`create table effects (id bigint)`
  const pool = connectTo(t, url, { connections: 1 })
  const caller = new AbortController()
  await transaction(pool.within(caller.signal), async (sql) => {
    await sql`insert into effects values (1)`
    caller.abort()
    await sql`insert into effects values (2)`
  })
  t.equal((await sql`select from effects`).length, 2)
})

t.test('closing a pool waits for statements in progress and accepts no more', async (t) => {
  const { url } = await createDatabase(t)
  const pool = connectTo(t, url, { connections: 1 })
  await selectBackend(pool)
  const last = pool`select pg_sleep(0.2)`.execute()
  const waiting = pool`select 1`.execute()
  const refused = t.rejects(waiting, { code: 'CONNECTION_ENDED' })
  await new Promise(setImmediate)
  const ended = pool.end({ timeout: 60 })
  await refused
  await t.rejects(pool`select 1`, { code: 'CONNECTION_ENDED' })
  t.equal((await last).length, 1)
  await ended
  await pool.end({ timeout: 0 })
})
