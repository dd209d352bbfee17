/** PostgreSQL answers late, or lets nobody in. */
import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import t from 'tap'
import { holdTable } from '../support/locks.ts'
import { createDatabase } from '../support/service.ts'
import { isRefusal } from './faults/load.ts'
import { survive } from './faults/survive.ts'
import { sized } from './form.ts'

/** Longer than PostgreSQL lets a statement of the service wait for a lock. */
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

t.test('a user is locked for too long, and many want to change that user', async (t) => {
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

t.test('every change takes two seconds, and reads go on', async (t) => {
  const database = await createDatabase(t)
  const { sql } = database
  await survive(t, {
    database,
    load: { clients: 96 },
    async fault({ http }) {
      await sql.begin(async (sql) => {
        await sql`alter function change_user_segments(bigint, text[], text[], timestamptz, integer, text) rename to change_at_once`
        await sql`
          create function change_user_segments(
            p_user_id bigint, p_add text[], p_delete text[], p_expires_at timestamptz, p_ttl integer, p_actor text
          )
          returns boolean
          language plpgsql
          as $$
          begin
            perform pg_sleep(2);
            return change_at_once(p_user_id, p_add, p_delete, p_expires_at, p_ttl, p_actor);
          end;
          $$`
      })
      const refusedReads: string[] = []
      const end = performance.now() + SLOW_MS
      while (performance.now() < end) {
        const { status, text } = await http.getSegments(1)
        if (status !== 200) refusedReads.push(text)
      }
      t.same(refusedReads, [])
      await sql.begin(async (sql) => {
        await sql`drop function change_user_segments(bigint, text[], text[], timestamptz, integer, text)`
        await sql`alter function change_at_once(bigint, text[], text[], timestamptz, integer, text) rename to change_user_segments`
      })
    }
  })
})

t.test('the server lets nobody in', async (t) => {
  const database = await createDatabase(t)
  const name = new URL(database.url).pathname.slice(1)
  // From outside: a database is not closed from within.
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
