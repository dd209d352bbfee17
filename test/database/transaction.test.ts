/** Transactions whose connection is lost at each step, whose statements fail, or that stay idle. */
import t, { type Test } from 'tap'
import { connectDatabase, type Pool, type Sql } from '../../src/database/connect.ts'
import { isDatabaseUnavailable } from '../../src/database/faults.ts'
import { retryWrite } from '../../src/database/retry.ts'
import { transaction } from '../../src/database/transaction.ts'
import { createCertificate } from '../support/certificate.ts'
import { type Cut, startCuttingProxy } from '../support/cutting-proxy.ts'
import { startFaultProxy } from '../support/fault-proxy.ts'
import { createDatabase, type TestDatabase, waitUntil } from '../support/service.ts'

type Options = { connections?: number; statementTimeout?: number; settings?: Record<string, string> }

function connectTo(t: Test, url: string, options: Options = {}): Pool {
  const pool = connectDatabase(url, {
    name: 'test',
    connections: 1,
    lockTimeout: 60_000,
    statementTimeout: 60_000,
    ...options
  })
  t.teardown(() => pool.end({ timeout: 1 }))
  return pool
}

/** The statement as it is sent. Without the final NUL, the text also occurs in a setting of each connection. */
const COMMIT = 'commit\0'

/** Adds a user, takes a lock, and adds another user. */
async function addUsers(sql: Sql): Promise<string> {
  await sql`select pg_advisory_xact_lock(1)`
  await sql`insert into users (id) values (1)`
  await sql`insert into users (id) values (2)`
  return 'added'
}

const selectUsers = async ({ sql }: TestDatabase) =>
  (await sql<{ id: string }[]>`select id from users order by id`).map(({ id }) => id)

/** Whether there are no open transactions and no locks. */
const isClean = async ({ sql }: TestDatabase) =>
  (
    await sql`select from pg_stat_activity where datname = current_database() and application_name = 'test' and xact_start is not null`
  ).length === 0

t.test('a transaction is committed completely or not at all', async (t) => {
  const database = await createDatabase(t)
  const pool = connectTo(t, database.url)
  t.equal(await transaction(pool, addUsers), 'added')
  await t.rejects(transaction(pool, addUsers), { code: '23505' }, 'a statement fails')
  const thrown = new Error('thrown')
  await t.rejects(
    transaction(pool, async (sql) => {
      await sql`delete from users`
      throw thrown
    }),
    thrown,
    'the work throws'
  )
  t.same(await selectUsers(database), ['1', '2'])
  t.same([...(await pool`select count(*) from users`)], [{ count: '2' }], 'the connection is reused')
})

t.test(
  'a failed statement prevents the commit, even if the work ignores it or does not await it',
  async (t) => {
    const database = await createDatabase(t)
    const pool = connectTo(t, database.url)
    const failure = { code: '22012' }
    const careless = (sql: Sql) => sql`select 1 / 0`.catch(() => {})
    const hasty = async (sql: Sql) => {
      sql`select 1 / 0`.execute()
    }
    for (const fail of [careless, hasty])
      await t.rejects(
        transaction(pool, async (sql) => {
          await sql`insert into users (id) values (1)`
          await fail(sql)
        }),
        failure
      )
    t.same(await selectUsers(database), [])
  }
)

t.test('a statement after the end of its transaction fails', async (t) => {
  const database = await createDatabase(t)
  const pool = connectTo(t, database.url)
  const late = await transaction(pool, async (sql) => () => sql`insert into users (id) values (1)`)
  await t.rejects(late(), { message: 'the session has ended' })
  t.same(await selectUsers(database), [])
})

t.test('transactions of one pool do not see each other', async (t) => {
  const database = await createDatabase(t)
  const pool = connectTo(t, database.url, { connections: 2 })
  const counts = await Promise.all(
    Array.from({ length: 20 }, () =>
      transaction(pool, async (sql) => {
        await sql`create temporary table own on commit drop as select 1 as n`
        const rows = await sql`select n from own`
        return rows.length
      })
    )
  )
  t.same(counts, Array(20).fill(1))
})

t.test('settings and isolation hold until the end of the transaction', async (t) => {
  const { url } = await createDatabase(t)
  const pool = connectTo(t, url)
  const show = (sql: Sql) => sql`
    select current_setting('work_mem') as memory, current_setting('transaction_isolation') as isolation`
  const options = { isolation: 'repeatable read', settings: { work_mem: '64MB' } } as const
  const inside = await transaction(pool, async (sql) => await show(sql), options)
  t.same([...inside], [{ memory: '64MB', isolation: 'repeatable read' }])
  t.same([...(await show(pool))], [{ memory: '4MB', isolation: 'read committed' }])

  await t.rejects(transaction(pool, addUsers, { settings: { work_mem: 'much' } }), { code: '22023' })
  t.same([...(await pool`select 1 as n`)], [{ n: 1 }], 'no transaction is left open')
})

t.test('a connection that is lost at each step', async (t) => {
  const withoutEffect: Record<string, Cut> = {
    'before it begins': { text: 'begin', side: 'before' },
    'after it has begun': { text: 'begin', side: 'after' },
    'before the lock': { text: 'pg_advisory_xact_lock', side: 'before' },
    'after the lock': { text: 'pg_advisory_xact_lock', side: 'after' },
    'after a write': { text: 'values (2)', side: 'after' },
    'before the commit': { text: COMMIT, side: 'before' }
  }
  const steps = Object.entries(withoutEffect).flatMap(([name, cut]) => [
    { name, cut, certificate: undefined },
    { name: `${name}, encrypted`, cut, certificate: createCertificate() }
  ])
  for (const { name, cut, certificate } of steps) {
    t.test(name, async (t) => {
      const database = await createDatabase(t)
      const pool = connectTo(t, await startCuttingProxy(t, database.url, cut, certificate))
      let attempts = 0
      const once = transaction(pool, (sql) => {
        attempts += 1
        return addUsers(sql)
      })
      const isSent = cut.text === COMMIT
      await t.rejects(once, { code: 'CONNECTION_CLOSED', mayHaveEffect: isSent })
      t.ok(attempts <= 1)
      await waitUntil(
        () => isClean(database),
        (clean) => clean
      )
      t.same(await selectUsers(database), [], 'no part of it took effect')
      t.equal(await transaction(pool, addUsers), 'added', 'the pool works')
    })
  }

  t.test('it is retried if it certainly had no effect', async (t) => {
    const database = await createDatabase(t)
    for (const [index, cut] of Object.values(withoutEffect).slice(0, -1).entries()) {
      const pool = connectTo(t, await startCuttingProxy(t, database.url, cut))
      await database.sql`truncate users cascade`
      t.equal(await retryWrite(() => transaction(pool, addUsers)), 'added', String(index))
      t.same(await selectUsers(database), ['1', '2'])
    }
  })

  t.test('after the commit was sent the outcome is unknown, and it is not retried', async (t) => {
    const database = await createDatabase(t)
    const pool = connectTo(t, await startCuttingProxy(t, database.url, { text: COMMIT, side: 'after' }))
    let attempts = 0
    const lost = retryWrite(() => {
      attempts += 1
      return transaction(pool, addUsers)
    })
    await t.rejects(lost, { code: 'CONNECTION_CLOSED', mayHaveEffect: true })
    await t.rejects(
      lost.catch((error) => Promise.reject(new Error(String(isDatabaseUnavailable(error))))),
      {
        message: 'true'
      }
    )
    t.equal(attempts, 1)
    t.same(await selectUsers(database), ['1', '2'])
  })
})

t.test('a server process that ends in the middle of a statement', async (t) => {
  const database = await createDatabase(t)
  const pool = connectTo(t, database.url)
  const lost = t.rejects(
    transaction(pool, async (sql) => {
      await sql`insert into users (id) values (1)`
      await sql`select pg_sleep(60)`
    }),
    { code: 'CONNECTION_CLOSED', mayHaveEffect: false }
  )
  await waitUntil(
    () => database.sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name = 'test' and wait_event = 'PgSleep'`,
    ({ count }) => count === 1
  )
  await lost
  t.same([...(await pool`select count(*) from users`)], [{ count: '0' }])
})

t.test('a transaction that is idle for too long', async (t) => {
  const database = await createDatabase(t)
  const pool = connectTo(t, database.url, { settings: { idle_in_transaction_session_timeout: '50' } })
  const idle = (next: (sql: Sql) => Promise<unknown>) =>
    transaction(pool, async (sql) => {
      await sql`insert into users (id) values (1)`
      // The pool has one connection: another one is opened when the pool has noticed that this one is lost.
      await pool`select 1`
      await next(sql)
    })
  await t.rejects(
    idle((sql) => sql`insert into users (id) values (2)`),
    { code: 'CONNECTION_CLOSED', mayHaveEffect: false },
    'a further statement'
  )
  await t.rejects(
    idle(async () => {}),
    { code: 'CONNECTION_CLOSED', mayHaveEffect: false },
    'the commit, which was not sent'
  )
  t.same(await selectUsers(database), [])
})

t.test('a server that stops answering', async (t) => {
  const database = await createDatabase(t)
  const proxy = await startFaultProxy(t, database.url)
  const pool = connectTo(t, proxy.url, { statementTimeout: 500 })
  const lost = transaction(pool, async (sql) => {
    await sql`insert into users (id) values (1)`
    await proxy.set('half-open')
    await sql`insert into users (id) values (2)`
  })
  await t.rejects(lost, { code: 'CONNECTION_CLOSED', mayHaveEffect: false })
  await proxy.set('none')
  t.equal(await transaction(pool, addUsers), 'added')
})

t.test('the end of the pool', async (t) => {
  const database = await createDatabase(t)
  t.test('waits for a transaction in progress, and accepts no other', async (t) => {
    const pool = connectTo(t, database.url)
    const { promise: ended, resolve: end } = Promise.withResolvers<void>()
    const begun = Promise.withResolvers<void>()
    const last = transaction(pool, async (sql) => {
      begun.resolve()
      await ended
      return await addUsers(sql)
    })
    const waiting = t.rejects(transaction(pool, addUsers), { code: 'CONNECTION_ENDED', mayHaveEffect: false })
    await begun.promise
    const closed = pool.end({ timeout: 60 })
    await waiting
    await t.rejects(transaction(pool, addUsers), { code: 'CONNECTION_ENDED', mayHaveEffect: false })
    end()
    t.equal(await last, 'added')
    await closed
    t.same(await selectUsers(database), ['1', '2'])
  })

  t.test('aborts a transaction that takes too long', async (t) => {
    const pool = connectTo(t, database.url)
    const lost = t.rejects(
      transaction(pool, async (sql) => {
        await sql`delete from users`
        await pool.end({ timeout: 0 })
        await sql`delete from users`
      }),
      { code: 'CONNECTION_CLOSED', mayHaveEffect: false }
    )
    await lost
    t.same(await selectUsers(database), ['1', '2'])
  })
})
