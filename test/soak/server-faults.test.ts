/** PostgreSQL terminates connections, or crashes. */
import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import t from 'tap'
import { startOwnPostgres } from '../support/own-postgres.ts'
import { createDatabase } from '../support/service.ts'
import { survive } from './faults/survive.ts'
import { sized } from './form.ts'

const TERMINATION_PAUSE_MS = 200
const TERMINATIONS = sized(16, 300)
const WAVES = 20
const RESTARTS = sized(2, 20)

t.test('connections are terminated every 200 ms', async (t) => {
  const database = await createDatabase(t)
  const terminate = (connections: number | null) => database.sql`
    select pg_terminate_backend(pid)
    from (
      select pid
      from pg_stat_activity
      where datname = current_database()
        and application_name like 'user-segments%'
      order by random()
      limit ${connections}
    ) chosen`
  await survive(t, {
    database,
    async fault() {
      for (let round = 0; round < TERMINATIONS; round += 1) {
        const pause = sleep(TERMINATION_PAUSE_MS)
        if (round % 2 === 0) {
          await terminate(1)
        } else {
          // Terminates all connections, and for a while their replacements too, so that some have only just been
          // established.
          for (let wave = 0; wave < WAVES; wave += 1) await terminate(null)
        }
        await pause
      }
    }
  })
})

t.test('the server crashes and is restarted', async (t) => {
  const server = await startOwnPostgres(t)
  const sql = postgres(server.url, { max: 1, onnotice: () => {} })
  t.teardown(() => sql.end({ timeout: 1 }))
  await survive(t, {
    database: { url: server.url, sql },
    async fault({ load }) {
      for (let restart = 1; restart <= RESTARTS; restart += 1) {
        await server.stopImmediately()
        await server.start()
        if (restart < RESTARTS) t.ok((await load.recover()) <= 10_000, 'it works again within 10 s')
      }
    }
  })
})
