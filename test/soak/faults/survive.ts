import type { Test } from 'tap'
import { connectClient, type TestClient } from '../../support/client.ts'
import { type ServerProcess, startServerProcess } from '../../support/server-process.ts'
import { createFolder, type TestDatabase } from '../../support/service.ts'
import { sized, summarize } from '../form.ts'
import { findWhatFails, useEverything } from './endpoints.ts'
import { commonSlugs, Load, type LoadOptions } from './load.ts'

/** Milliseconds after a fault's end within which everything works again. */
const RECOVERY_MS = 10_000

/** The number of the level in pino. */
const ERROR = 50

export type Survival = {
  database: TestDatabase
  /** The URL by which the service reaches the database; by default the direct one. */
  databaseUrl?: string
  /** The number of clients and what they do; by default every operation. */
  load?: Partial<LoadOptions>
  /** Causes the fault and ends it. */
  fault: (service: { http: TestClient; load: Load }) => Promise<void>
}

/**
 * Runs a process of the service under load, causes the fault, and asserts the guarantees: the process lives and ends
 * cleanly, each request is answered in time, everything works again soon after, and every acknowledged write is in the
 * database.
 */
export async function survive(
  t: Test,
  { database, databaseUrl, load: options, fault }: Survival
): Promise<void> {
  const { sql } = database
  await sql`insert into users (id) values (1), (2), (3)`
  await sql`insert into segments (slug) select unnest(${[...commonSlugs]}::text[])`
  const server = startServerProcess(t, {
    DATABASE_URL: databaseUrl ?? database.url,
    PORT: '0',
    REPORTS_DIR: await createFolder(t)
  })
  const address = await server.address()
  const http = connectClient(address)
  t.teardown(() => http.close())
  await useEverything(http)

  const load = new Load(address, { clients: sized(24, 64), segments: true, ...options })
  await load.start()
  await fault({ http, load })
  const [recovery, failing] = await Promise.all([load.recover(), findWhatFails(http, RECOVERY_MS)])
  await load.stop()

  t.same(load.violations, [], 'each request is answered in time, with 200 or a refusal')
  t.same(failing, [], 'everything works again within 10 s')
  t.ok(recovery <= RECOVERY_MS, `no request that began after it is refused later than 10 s (${recovery} ms)`)
  t.same((await load.ledger.findLosses(sql)).slice(0, 5), [], 'no acknowledged write is lost')
  await endsCleanly(t, server)
  summarize(t, {
    operations: load.acknowledged + load.refused,
    acknowledged: load.acknowledged,
    'refused with 503': load.refused,
    'ms the longest answer': Math.round(load.longest),
    'ms to recover': Math.round(recovery)
  })
}

async function endsCleanly(t: Test, server: ServerProcess): Promise<void> {
  t.equal(server.process.exitCode, null, 'the process lives')
  server.process.kill('SIGTERM')
  t.equal(await server.exitCode(), 0)
  t.equal(server.stderr, '')
  const lines = server.stdout.split('\n').filter((line) => line !== '')
  const failures = lines.filter((line) => {
    const { level, msg } = JSON.parse(line)
    return level > ERROR || msg === 'request failed'
  })
  t.same(failures.slice(0, 3), [], 'nothing is logged as a failure of the service')
}
