/** Which shards of a Citus cluster the statements of each route need. */
import postgres from 'postgres'
import t, { type Test } from 'tap'
import type { Sql } from '../../src/database/connect.ts'
import {
  changeUserSegments,
  selectActiveSegments,
  selectSegmentsAt,
  selectTimeline
} from '../../src/memberships/queries.ts'
import { selectMembership, selectMemberships } from '../../src/memberships/record-queries.ts'
import { checkReportSubject, selectHistory } from '../../src/reports/queries.ts'
import { countMembers } from '../../src/segments/queries.ts'
import { createDatabase, type TestDatabase } from '../support/service.ts'

/** The statements that the coordinator sends to other nodes while `call` runs. */
async function listRemoteStatements(
  t: Test,
  { url }: TestDatabase,
  call: (sql: Sql) => Promise<unknown>
): Promise<string[]> {
  const statements: string[] = []
  const sql = postgres(url, {
    max: 1,
    connection: { 'citus.log_remote_commands': 'on' },
    onnotice: ({ message = '' }) => {
      const [, statement] = /^issuing (.*)/s.exec(message) ?? []
      if (statement) statements.push(statement)
    }
  })
  t.teardown(() => sql.end({ timeout: 1 }))
  await call(sql)
  return statements
}

/** The shards of distributed tables that a statement names: the name of a shard is that of its table and a number. */
function listShards(statement: string): string[] {
  return (
    statement.match(/\b(?:users|memberships|expiry_changes|assignment_exceptions|import_lines)_\d+\b/g) ?? []
  )
}

const database = await createDatabase(t)
await database.sql`insert into segments (slug) select 'S_' || n from generate_series(1, 5) n`
await database.sql`insert into users (id) select generate_series(1, 100)`
await database.sql`insert into memberships (user_id, segment_id) select users.id, segments.id from users, segments`
/** The number of each table's shard that has the user 7. */
const shards = await database.sql<{ shard: string }[]>`
  select logicalrelid::text || '_' || get_shard_id_for_distribution_column(logicalrelid, 7) as shard
  from pg_dist_partition
  where partmethod = 'h'`
const shardsOfUser = new Set(shards.map(({ shard }) => shard))

const day = { from: '2000-01-01', to: '2100-01-01' }
const calls: Record<string, (sql: Sql) => Promise<unknown>> = {
  "a user's segments": (sql) => selectActiveSegments(sql, ['7']),
  'a change': (sql) =>
    changeUserSegments(sql, '7', {
      add: [{ slug: 'S_1', timeToLive: 60 }, { slug: 'S_2' }],
      remove: ['S_3'],
      actor: 'test'
    }),
  'the segments at a moment': (sql) => selectSegmentsAt(sql, '7', '2026-01-01T00:00:00Z'),
  'the memberships': (sql) => selectMemberships(sql, '7', null),
  'a membership': (sql) => selectMembership(sql, 'S_1', '7'),
  'the timeline': (sql) => selectTimeline(sql, '7', { from: null, to: null, after: null, limit: 100 }),
  'whether the user exists': (sql) => checkReportSubject(sql, { userId: '7' }),
  'a report': (sql) => selectHistory(sql, { userId: '7', ...day })
}

t.test('the routes of one user need the shard of the user alone', async (t) => {
  for (const [name, call] of Object.entries(calls)) {
    const statements = await listRemoteStatements(t, database, call)
    const named = new Set(statements.flatMap(listShards))
    t.ok(named.size > 0, name)
    t.same([...named.difference(shardsOfUser)], [], `${name}: ${statements.join(' ')}`)
  }
})

t.test('a count of members needs every shard', async (t) => {
  const statements = await listRemoteStatements(t, database, (sql) => countMembers(sql, 1))
  const named = new Set(statements.flatMap(listShards).filter((shard) => shard.startsWith('memberships')))
  const [{ count }] = await database.sql<[{ count: number }]>`
    select count(*)::integer from pg_dist_shard where logicalrelid = 'memberships'::regclass`
  t.equal(named.size, count)
})
