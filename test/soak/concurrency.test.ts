/** Three processes, many clients, few users: acknowledged changes are there, and the data is consistent. */

import t from 'tap'
import { type Answer, connectClient } from '../support/client.ts'
import { parseHistory, replay } from '../support/history.ts'
import { startServerProcess } from '../support/server-process.ts'
import { createDatabase, createFolder, dayFromNow, waitUntil } from '../support/service.ts'
import { commonSlugs, HOT_USERS, HotClient, isExclusive } from './concurrency/hot-client.ts'
import {
  compareSegments,
  findLostChanges,
  findOverlaps,
  findSurvivors,
  findWrongShares,
  Journal
} from './concurrency/journal.ts'
import { sized, summarize } from './form.ts'

const OPERATIONS = sized(3_000, 100_000)
const CLIENTS = 64
const USERS = 500

t.test('64 clients call every operation concurrently on three instances, with 50 users', async (t) => {
  const database = await createDatabase(t)
  const { sql } = database
  const ownSlugs = Array.from({ length: CLIENTS }, (_, n) => `OWN_${n}`)
  await sql`insert into users (id) select generate_series(1, ${USERS}::integer)`
  await sql`insert into segments (slug) select unnest(${[...commonSlugs, ...ownSlugs]}::text[])`
  const environment = { DATABASE_URL: database.url, PORT: '0', REPORTS_DIR: await createFolder(t) }
  const servers = [1, 2, 3].map(() => startServerProcess(t, environment))
  const [first, ...others] = await Promise.all(
    servers.map(async (server) => connectClient(await server.address()))
  )
  if (!first) throw new Error('there is no instance')
  t.teardown(() => {
    for (const http of [first, ...others]) http.close()
  })

  const begun = performance.now()
  const journal = new Journal()
  const clients = ownSlugs.map((_, n) => new HotClient(n, [first, ...others], journal))
  await Promise.all(clients.map((client) => client.run(OPERATIONS)))
  const seconds = (performance.now() - begun) / 1000
  t.same(journal.violations, [], 'every response is right')
  await waitUntil(
    () => sql`select from assignments where status in ('queued', 'running')`,
    (unfinished) => unfinished.length === 0
  )

  t.test('no acknowledged operation is missing', async (t) => {
    const rows = await sql<{ user: number; slug: string; adds: number; deletes: number }[]>`
      select user_id::integer as user, slug, count(*)::integer as adds, count(ended_at)::integer as deletes
      from periods
      where slug like 'OWN%'
      group by user_id, slug`
    const found = Map.groupBy(rows, ({ slug }) => slug)
    for (const { ownSlug, own } of clients) {
      const acknowledged = [...own].filter(([, { adds }]) => adds > 0)
      const actual = found.get(ownSlug)?.map(({ user, adds, deletes }) => [user, { adds, deletes }] as const)
      t.strictSame(new Map(actual), new Map(acknowledged), ownSlug)
    }
    t.same(await findLostChanges(sql, journal.changes), [], 'in shared segments')
    t.same(await compareSegments(sql, journal), [], 'of segments')
  })

  t.test('replaying the histories yields the active segments, and no two periods overlap', async (t) => {
    for (let user = 1; user <= HOT_USERS; user += 1) {
      const order = await first.orderReport(user, '1970-01-01', dayFromNow(1))
      const report: Answer = await waitUntil(
        () => first.fetchReport(order),
        ({ code }) => code !== 'REPORT_PENDING'
      )
      const active = (await first.getSegments(user)).json<string[]>()
      const replayed = replay(parseHistory(report.text), (slugs) => {
        if (!isExclusive(slugs)) throw new Error(`${user} was in both of two that exclude each other`)
      })
      t.same(replayed, active.toSorted(), `user ${user}`)
    }
    t.same(await findOverlaps(sql), [])
  })

  t.test('deleted segments have no members, and shares are exact', async (t) => {
    t.same(await findSurvivors(sql), [])
    t.same(await findWrongShares(sql, journal, USERS), [])
    t.ok(journal.shares.size > 0 && journal.deletions.size > 0, 'there are some')
  })

  t.test('every process ends cleanly, and there was no deadlock', async (t) => {
    for (const server of servers) {
      server.process.kill('SIGTERM')
      t.equal(await server.exitCode(), 0)
      t.equal(server.stderr, '')
    }
    // The statistics of a connection are complete only after it has ended.
    await waitUntil(
      () => sql`
        select from pg_stat_activity
        where datname = current_database() and application_name like 'user-segments%'`,
      (connections) => connections.length === 0
    )
    const [{ deadlocks }] = await sql<[{ deadlocks: number }]>`
      select deadlocks::integer from pg_stat_database where datname = current_database()`
    t.equal(deadlocks, 0)
  })

  summarize(t, {
    operations: journal.operations,
    'operations/s': Math.round(journal.operations / seconds),
    'segments created': journal.creations.size,
    'segments deleted': journal.deletions.size,
    'ms the longest answer': Math.round(journal.longest)
  })
})
