/** Streams of rows whose reader stops, or whose connection is lost. */
import { once } from 'node:events'
import { setImmediate as nextTurn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { connectDatabase, type Sql } from '../../src/database/connect.ts'
import { streamBatches } from '../../src/database/query-stream.ts'
import { transaction } from '../../src/database/transaction.ts'
import { createDatabase, waitUntil } from '../support/service.ts'
import { collectSockets } from '../support/sockets.ts'

const toError = (error: unknown) => error as Error
/** More rows than the stream reads ahead. */
const numbers = (sql: Sql) => sql`select n from generate_series(1, 100000) n`.values()

async function connectOnce(t: Test) {
  const database = await createDatabase(t)
  const pool = connectDatabase(database.url, {
    name: 'test',
    connections: 1,
    lockTimeout: 60_000,
    statementTimeout: 60_000
  })
  t.teardown(() => pool.end({ timeout: 1 }))
  return { database, pool }
}

t.test('all rows arrive, in batches', async (t) => {
  const { pool } = await connectOnce(t)
  const batches = await streamBatches(numbers(pool), 1_000, toError).toArray()
  t.equal(batches.length, 100)
  t.equal(batches.flat().length, 100_000)
})

t.test('after a reader has stopped, the connection works', async (t) => {
  const { pool } = await connectOnce(t)
  const backend = async () => (await pool<[{ pid: number }]>`select pg_backend_pid() as pid`)[0].pid
  const pid = await backend()

  const before = streamBatches(numbers(pool), 1_000, toError)
  before.destroy()
  t.equal(await backend(), pid, 'before the first row')

  const waiting = streamBatches(numbers(pool), 1_000, toError)
  await once(waiting, 'readable')
  await nextTurn()
  waiting.destroy()
  t.equal(await backend(), pid, 'while a batch waits to be read')

  const taken = streamBatches(numbers(pool), 1_000, toError)
  for await (const _batch of taken) break
  t.equal(await backend(), pid, 'after the first batch')
})

t.test('a transaction is not idle while its reader is paused', async (t) => {
  const { database, pool } = await connectOnce(t)
  await transaction(pool, async (sql) => {
    const batches = streamBatches(numbers(sql), 1_000, toError)
    await once(batches, 'readable')
    const [backend] = await database.sql`
      select state from pg_stat_activity
      where datname = current_database() and application_name = 'test' and wait_event = 'ClientRead'`
    t.equal(backend?.state, 'active')
    t.equal((await batches.toArray()).flat().length, 100_000)
  })
})

t.test('a lost connection fails the stream, read or not', async (t) => {
  const { database, pool } = await connectOnce(t)
  const batches = streamBatches(numbers(pool), 1_000, toError)
  await once(batches, 'readable')
  const failed = once(batches, 'error')
  await waitUntil(
    () => database.sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name = 'test'`,
    ({ count }) => count === 1
  )
  t.match(await failed, [{ code: 'CONNECTION_CLOSED' }])
  t.same([...(await pool`select 1 as n`)], [{ n: 1 }])
})

t.test('requesting a batch while the connection is being lost does not end the process', async (t) => {
  const sockets = collectSockets(t)
  const { pool } = await connectOnce(t)
  const batches = streamBatches(numbers(pool), 1_000, toError)
  await once(batches, 'readable')
  const failed = once(batches, 'error')
  const socket = sockets.at(-1)
  // After postgres.js has released its socket, before the caller learns that the statement has failed.
  socket?.on('close', () => batches.read())
  socket?.destroy()
  t.match(await failed, [{ code: 'CONNECTION_CLOSED' }])
  await nextTurn()
  t.same([...(await pool`select 1 as n`)], [{ n: 1 }])
})
