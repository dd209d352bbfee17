/** PostgreSQL answers late, or accepts no connections. */
import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import t from 'tap'
import { holdTable } from '../support/locks.ts'
import { createDatabase } from '../support/service.ts'
import { isRefusal } from './faults/load.ts'
import { slowChanges } from './faults/slow-changes.ts'
import { survive } from './faults/survive.ts'
import { sized } from './form.ts'

/** Longer than the lock timeout of the service. */
const LOCK_MS = sized(6_000, 30_000)
const SLOW_MS = sized(5_000, 30_000)

t.test('a table is locked for too long', async (t) => {
  const database = await createDatabase(t)
  await survive(t, {
    database,
    async fault() {
      const release = await holdTable(t, database, 'memberships')
      await sleep(LOCK_MS)
      await release()
    }
  })
})

t.test('a user is locked for too long, and many requests change that user', async (t) => {
  const database = await createDatabase(t)
  await survive(t, {
    database,
    async fault({ http }) {
      const holder = await database.sql.reserve()
      await holder`select pg_advisory_lock(2)`
      const waiting = Array.from({ length: 24 }, () => http.changeSegments(2, ['S1'], []))
      await sleep(LOCK_MS)
      await holder`select pg_advisory_unlock(2)`
      holder.release()
      for (const answer of await Promise.all(waiting))
        t.ok(answer.status === 200 || isRefusal(answer), `${answer.status} ${answer.text}`)
    }
  })
})

t.test('every change takes two seconds, and reads are served', async (t) => {
  const database = await createDatabase(t)
  await survive(t, {
    database,
    load: { clients: 96 },
    async fault({ http }) {
      const restore = await slowChanges(database, 2)
      const refusedReads: string[] = []
      const end = performance.now() + SLOW_MS
      while (performance.now() < end) {
        const { status, text } = await http.getSegments(1)
        if (status !== 200) refusedReads.push(text)
      }
      t.same(refusedReads, [])
      await restore()
    }
  })
})

t.test('the server accepts no connections', async (t) => {
  const database = await createDatabase(t)
  const name = new URL(database.url).pathname.slice(1)
  // From another database: a session cannot close its own.
  const outside = postgres(new URL('/postgres', database.url).href, { max: 1 })
  t.teardown(() => outside.end({ timeout: 1 }))
  await survive(t, {
    database,
    async fault() {
      await outside`alter database ${outside(name)} allow_connections false`
      await outside`
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = ${name} and application_name like 'user-segments%'`
      await sleep(SLOW_MS)
      await outside`alter database ${outside(name)} allow_connections true`
    }
  })
})
