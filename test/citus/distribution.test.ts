/** `npm run distribute` on databases of a Citus cluster. */
import postgres from 'postgres'
import t, { type Test } from 'tap'
import { distribute } from '../../src/database/distribute.ts'
import { migrate } from '../../src/database/migrate.ts'
import { selectActiveSegments } from '../../src/memberships/queries.ts'
import { type ClusterDatabase, createClusterDatabase } from '../support/citus.ts'
import { createDatabase, startServiceOn, type TestDatabase } from '../support/service.ts'
import { checkService } from '../support/smoke.ts'

/** A database on each node of the cluster, without tables. */
async function createEmptyDatabase(t: Test): Promise<TestDatabase & ClusterDatabase> {
  const database = await createClusterDatabase(process.env.TEST_CITUS_URL ?? '')
  const sql = postgres(database.url, { max: 5, onnotice: () => {} })
  t.teardown(async () => {
    await sql.end({ timeout: 5 })
    await database.drop()
  })
  return { ...database, sql }
}

const everything = [
  'users: distributed by id',
  'memberships: distributed by user_id',
  'expiry_changes: distributed by user_id',
  'assignment_exceptions: distributed by user_id',
  'import_lines: distributed by user_id',
  'segments: copied to every node',
  'exclusive_groups: copied to every node'
]

t.test('a database with data is distributed once, and membership reads work on every node', async (t) => {
  const database = await createEmptyDatabase(t)
  await migrate(database.url)
  const before = await startServiceOn(t, database)
  await before.createSegment('A')
  await before.createSegment('B')
  for (let id = 1; id <= 20; id += 1) await before.changeSegments(id, id % 2 === 0 ? ['A', 'B'] : ['B'])
  await before.app.close()

  t.same(await distribute(database.url), everything)
  t.same(await distribute(database.url), [], 'repeating it does nothing')
  const service = await startServiceOn(t, database)
  t.same(await service.getSegments(20), { status: 200, body: ['A', 'B'] })
  await service.changeSegments(20, [], ['A'])
  const ids = Array.from({ length: 30 }, (_, n) => String(n + 1))
  const expected = ids
    .slice(0, 20)
    .map((id) => [id, Number(id) % 2 === 0 && id !== '20' ? '["A","B"]' : '["B"]'])
  for (const url of [database.url, ...database.workerUrls]) {
    const node = postgres(url, { max: 1 })
    t.teardown(() => node.end({ timeout: 1 }))
    t.same(await node`show citus.max_adaptive_executor_pool_size`, [
      { 'citus.max_adaptive_executor_pool_size': '1' }
    ])
    t.same(
      [...(await selectActiveSegments(node, ids))].sort(([a], [b]) => Number(a) - Number(b)),
      expected
    )
  }
  t.same(
    await database.sql`
      select logicalrelid::text as table
      from pg_dist_partition
      where pg_relation_size(logicalrelid) > 0 and partmethod = 'h'`,
    [],
    'the coordinator keeps no rows of its own'
  )
})

t.test('every kind of statement works', async (t) => {
  await checkService(t, await startServiceOn(t, await createDatabase(t)))
})

t.test('concurrent distributions distribute each table once', async (t) => {
  const { url } = await createEmptyDatabase(t)
  await migrate(url)
  const lines = await Promise.all([distribute(url), distribute(url), distribute(url)])
  t.same(lines.flat(), everything)
})

t.test('a migration of a distributed database distributes new tables', async (t) => {
  const database = await createDatabase(t)
  const { sql, url } = database
  t.same(await migrate(url), [])
  await sql`select undistribute_table('import_lines')`
  t.same(await migrate(url), [])
  t.same(await sql`select from pg_dist_partition where logicalrelid = 'import_lines'::regclass`, [{}])
  await sql`alter table memberships add column note text`
  await checkService(t, await startServiceOn(t, database))
})

t.test('what cannot be distributed is refused', async (t) => {
  const { url, sql, workerUrls } = await createEmptyDatabase(t)
  await t.rejects(distribute(url), { message: /run `npm run migrate` first/ })
  await migrate(url)
  await sql`select citus_remove_node(nodename, nodeport) from pg_dist_node where groupid > 0`
  await t.rejects(distribute(url), { message: /has no workers/ })
  const [workerUrl = ''] = workerUrls
  const { sql: other, url: otherUrl, workerUrls: otherWorkers } = await createEmptyDatabase(t)
  await migrate(otherUrl)
  await distribute(otherUrl)
  await other`select from users`
  t.not(otherWorkers[0], workerUrl)
  await t.rejects(distribute(otherWorkers[0] ?? ''), { message: /`npm run migrate`|is a Citus worker/ })
})
