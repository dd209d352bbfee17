/** Exclusive groups under concurrent changes of every kind, on two instances: checked over the whole history. */
import type { Sql } from 'postgres'
import t from 'tap'
import { connectClient } from '../support/client.ts'
import { startServerProcess } from '../support/server-process.ts'
import { createDatabase, createFolder, waitUntil } from '../support/service.ts'
import { randomFrom, seed, sized, summarize } from './form.ts'
import { GroupClient, GroupState } from './groups/group-client.ts'

const OPERATIONS = sized(1_200, 60_000)
const CLIENTS = 24

/**
 * Finds users who were in two segments of a group at one moment. Periods and changes of groups are copied first, because
 * Citus does not join them.
 */
async function findOverlaps(sql: Sql): Promise<object[]> {
  await sql`create table copied_periods as select user_id, segment_id, slug, added_at, added_cause, ended_at from periods`
  await sql`
    create table stays as
    select
      segment_id,
      changes -> 'group' ->> 'to' as in_group,
      changed_at as since,
      lead(changed_at, 1, 'infinity') over (partition by segment_id order by id) as until
    from segment_changes
    where changes ? 'group'`
  return sql`
    with memberships_in_group as (
      select
        user_id,
        segment_id,
        slug,
        in_group,
        added_at,
        added_cause,
        since as entered_at,
        greatest(added_at, since) as since,
        least(coalesce(ended_at, 'infinity'), until) as until
      from copied_periods
      join stays using (segment_id)
      where in_group is not null
    )
    select to_json(one) as one, to_json(other) as other
    from memberships_in_group one
    join memberships_in_group other using (user_id, in_group)
    where one.segment_id < other.segment_id
      and greatest(one.since, other.since) < least(one.until, other.until)
    limit 5`
}

t.test('no user was ever in two segments of a group', async (t) => {
  const database = await createDatabase(t)
  const { sql } = database
  await sql`insert into users (id) select generate_series(1, 40)`
  const environment = { DATABASE_URL: database.url, PORT: '0', REPORTS_DIR: await createFolder(t) }
  const servers = [1, 2].map(() => startServerProcess(t, environment))
  const [first, ...others] = await Promise.all(
    servers.map(async (server) => connectClient(await server.address()))
  )
  if (!first) throw new Error('there is no instance')
  t.teardown(() => {
    for (const http of [first, ...others]) http.close()
  })
  const state = new GroupState()
  for (const slug of ['G', 'H']) {
    await first.post('/api/v1/groups', { slug })
    state.groups.push(slug)
  }
  for (let n = 0; n < 8; n += 1) {
    const slug = state.name('S')
    const group = n < 6 ? { group: n < 4 ? 'G' : 'H' } : {}
    await first.post('/api/v1/segment', { slug, selection: 0.05, enroll_new_users: n % 2 === 0, ...group })
    state.segments.push(slug)
  }

  const begun = performance.now()
  const clients = Array.from(
    { length: CLIENTS },
    (_, n) => new GroupClient([first, ...others], state, randomFrom(seed + n), n < 4)
  )
  await Promise.all(clients.map((client) => client.run(OPERATIONS)))
  const seconds = (performance.now() - begun) / 1000
  t.same(state.violations, [], 'every response is one that may come')
  const done = (operation: string) => state.answers.get(`${operation} 200`) ?? 0
  for (const operation of ['change', 'upload', 'replace', 'create', 'share', 'group', 'users'])
    t.ok(done(operation) > 0, `${operation} took effect ${done(operation)} times`)
  t.ok(state.answers.has('change GROUP_CONFLICT'), 'there were conflicts')
  const repeated = (operation: string) => state.answers.get(`${operation} DATABASE_UNAVAILABLE`) ?? 0
  for (const operation of ['upload', 'replace'])
    t.ok(
      repeated(operation) <= done(operation),
      `${repeated(operation)} times, ${operation} was to be repeated`
    )
  for (const operation of ['change', 'create', 'share', 'group', 'holdout', 'enroll']) {
    const [refused, all] = [repeated(operation), state.total(operation)]
    t.ok(refused <= Math.max(2, all / 10), `${refused} of ${all} times, ${operation} was to be repeated`)
  }
  await waitUntil(
    () => sql`select from assignments where status = 'running' or (status = 'queued' and attempt = 0)`,
    (unfinished) => unfinished.length === 0
  )
  t.same(await findOverlaps(sql), [])
  t.same(
    await sql`
      select group_id from segments
      where enroll_new_users and deleted_at is null and group_id is not null
      group by group_id having sum(selection) > 1`,
    [],
    'shares of new users are at most 1 together'
  )
  for (const server of servers) {
    server.process.kill('SIGTERM')
    t.equal(await server.exitCode(), 0)
    t.equal(server.stderr, '')
  }
  const [{ deadlocks }] = await sql<[{ deadlocks: number }]>`
    select deadlocks::integer from pg_stat_database where datname = current_database()`
  t.equal(deadlocks, 0)
  summarize(t, { operations: state.operations, 'operations/s': Math.round(state.operations / seconds) })
  for (const [outcome, count] of [...state.answers].sort()) t.comment(`${count} ${outcome}`)
})
