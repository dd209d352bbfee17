/** Plans at a realistic size: a change of the schema or of a statement that loses one shows here. */
import postgres from 'postgres'
import t, { type Test } from 'tap'
import { HOT_SETTINGS } from '../../src/database/pools.ts'
import {
  beginImport,
  importMembers,
  importRemovals,
  insertExpiringUsers,
  insertUsers
} from '../../src/imports/queries.ts'
import {
  changeUserSegments,
  selectActiveSegments,
  selectSegmentsAt,
  selectTimeline
} from '../../src/memberships/queries.ts'
import { selectHistory } from '../../src/reports/queries.ts'
import {
  changeSegment,
  closePeriods,
  continueAssignment,
  createSegment,
  deleteSegment,
  selectMemberLines,
  selectMembers,
  selectSegment
} from '../../src/segments/queries.ts'
import { createDatabase, type TestDatabase, waitUntil } from '../support/service.ts'

type PlanNode = {
  'Node Type': string
  'Relation Name'?: string
  'Index Name'?: string
  'Heap Fetches'?: number
  Plans?: PlanNode[]
}

const USERS = 20_000

/** Ten segments a user of a hundred, a fifth of the periods ended; as autovacuum leaves such tables. */
async function createRealisticDatabase(t: Test): Promise<TestDatabase> {
  const database = await createDatabase(t)
  await database.sql`insert into segments (slug) select 'SEGMENT_' || n from generate_series(1, 100) n`
  await database.sql`insert into users (id) select generate_series(1, ${USERS}::integer)`
  await database.sql`
    insert into memberships (user_id, segment_id, added_at, removed_at)
    select u, 1 + (u * 7 + k * 9) % 100, now() - interval '30 days', case when (u + k) % 5 = 0 then now() end
    from generate_series(1, ${USERS}::integer) u, generate_series(1, 10) k`
  // Pages that somebody may see in an older state are left for the next time, as while autovacuum looks at them.
  await waitUntil(
    async () => {
      await database.sql`vacuum (analyze) users, segments, memberships`
      return database.sql`
        select relname from pg_class
        where relname in ('users', 'segments', 'memberships') and relallvisible < relpages`
    },
    (unfinished) => unfinished.length === 0
  )
  return database
}

type Connection = { sql: postgres.Sql; statements: string[] }

/** One connection, as the service connects for its hot paths, with the statements that were sent on it. */
function connect(
  t: Test,
  { url }: TestDatabase,
  settings: Record<string, string> = HOT_SETTINGS
): Connection {
  const statements: string[] = []
  const sql = postgres(url, {
    max: 1,
    connection: settings,
    debug: (_connection, statement) => statements.push(statement)
  })
  t.teardown(() => sql.end({ timeout: 1 }))
  return { sql, statements }
}

function listNodes(plan: PlanNode): PlanNode[] {
  return [plan, ...(plan.Plans ?? []).flatMap(listNodes)]
}

/** The parts of the last statement's plan, when it is run with `values`. */
async function explainLast({ sql, statements }: Connection, values: string): Promise<PlanNode[]> {
  await sql.unsafe(`prepare explained as ${statements.at(-1)}`)
  const [row] = await sql.unsafe(`explain (analyze, format json) execute explained (${values})`)
  await sql`deallocate explained`
  return listNodes(row?.['QUERY PLAN'][0].Plan)
}

t.test('the hot read touches indexes alone', async (t) => {
  const connection = connect(t, await createRealisticDatabase(t))
  const ids = Array.from({ length: 30 }, (_, n) => String(1 + n * 777))
  t.equal((await selectActiveSegments(connection.sql, ids)).size, 30)
  const nodes = await explainLast(connection, `'{${ids.join()}}'`)
  const scans = nodes
    .filter(({ 'Relation Name': relation = 'segments' }) => relation !== 'segments')
    .map((node) => `${node['Node Type']} by ${node['Index Name']}, ${node['Heap Fetches']} heap fetches`)
  t.same(scans.sort(), [
    'Index Only Scan by memberships_open, 0 heap fetches',
    'Index Only Scan by users_pkey, 0 heap fetches'
  ])
})

t.test("a segment's members are counted by an index alone, and listed in the order of one", async (t) => {
  const connection = connect(t, await createRealisticDatabase(t), {})
  const membershipScans = (nodes: PlanNode[]) =>
    nodes
      .filter((node) => node['Index Name']?.startsWith('memberships'))
      .map(
        (node) =>
          `${node['Node Type']} by ${node['Index Name']}, ${node['Heap Fetches'] ?? 'some'} heap fetches`
      )
  t.match(await selectSegment(connection.sql, 'SEGMENT_5'), { members: 1_600 })
  t.same(membershipScans(await explainLast(connection, "'SEGMENT_5'")), [
    'Index Only Scan by memberships_of_segment, 0 heap fetches'
  ])
  t.equal((await selectMembers(connection.sql, 'SEGMENT_5', '50', 100))?.length, 100)
  const nodes = await explainLast(connection, "5, '50', 100")
  t.same(membershipScans(nodes), ['Index Scan by memberships_of_segment, some heap fetches'])
  t.notOk(
    nodes.some((node) => node['Node Type'] === 'Sort'),
    'a page does not look at all of the members'
  )
})

t.test("a user's history is found by the user", async (t) => {
  const connection = connect(t, await createRealisticDatabase(t), {})
  const request = { userId: '77', from: '2000-01-01', to: '2100-01-01' }
  t.ok((await selectHistory(connection.sql, request)).length > 10)
  const nodes = await explainLast(connection, "77, '2000-01-01', '2100-01-01'")
  const indexes = new Set(
    nodes.map((node) => node['Index Name']).filter((index) => index?.startsWith('memberships'))
  )
  t.same([...indexes].sort(), ['memberships_ended', 'memberships_open'])
})

t.test('no statement but the draw goes over all users or memberships', async (t) => {
  const database = await createRealisticDatabase(t)
  const { sql } = connect(t, database)
  const countScans = async () => {
    await sql`select pg_stat_force_next_flush()`
    return sql<{ table: string; scans: string }[]>`
      select relname as table, seq_scan as scans from pg_stat_user_tables
      where relname in ('users', 'memberships') order by relname`
  }
  const statements: Record<string, () => Promise<unknown>> = {
    'read many': () =>
      selectActiveSegments(
        sql,
        Array.from({ length: 1000 }, (_, n) => String(n + 1))
      ),
    change: () =>
      changeUserSegments(sql, '77', {
        add: ['SEGMENT_1', 'SEGMENT_2'],
        remove: ['SEGMENT_3', 'SEGMENT_40'],
        timeToLive: 60,
        actor: 'test'
      }),
    'read at a moment': () => selectSegmentsAt(sql, '77', '2026-01-01T00:00:00Z'),
    timeline: () => selectTimeline(sql, '77', { from: null, to: null, after: null, limit: 100 }),
    'list members': () => selectMembers(sql, 'SEGMENT_5', '50', 100),
    history: () => selectHistory(sql, { userId: '77', from: '2000-01-01', to: '2100-01-01' }),
    'get a segment': () => selectSegment(sql, 'SEGMENT_5'),
    'delete a segment': () => deleteSegment(sql, 'SEGMENT_6', null),
    'get the users of a segment': () => selectMemberLines(sql, 5),
    'close periods': () => closePeriods(sql, undefined, 500),
    'fill a segment': () => continueAssignment(sql, 2_000),
    'refuse to delete a user': () => sql`delete from users where id = 8`.catch(() => {})
  }
  await createSegment(sql, { slug: 'FILLED', selection: 0.5 }, true, null)
  await continueAssignment(sql, 2_000)
  for (const [name, run] of Object.entries(statements)) {
    const before = await countScans()
    await run()
    t.same(await countScans(), before, name)
  }
})

/** So many that their square would take longer than a test may. */
const MANY = 60_000

t.test(
  'no statement takes the square of a segment’s members, when the statistics don’t know it yet',
  async (t) => {
    const database = await createDatabase(t)
    const { sql } = connect(t, database, {})
    await sql`alter table memberships set (autovacuum_enabled = false)`
    await sql`insert into users (id) select generate_series(1, ${MANY}::integer)`
    await sql`insert into segments (slug) values ('KNOWN')`
    await sql`insert into memberships (user_id, segment_id) select id, 1 from users`
    await sql`vacuum (analyze) users, memberships`

    const options = { countOnly: false, skip: false, actor: undefined }
    const userIds = Array.from({ length: MANY }, (_, n) => String(n + 1))
    const expiries = userIds.map(() => '2100-01-01T00:00:00Z')
    const upload = async (takeEffect: () => Promise<unknown>, hasExpiries = false) => {
      await beginImport(sql)
      if (hasExpiries) await insertExpiringUsers(sql, userIds, expiries, userIds)
      else await insertUsers(sql, userIds)
      const outcome = await takeEffect()
      await sql`drop table pg_temp.import_lines`
      return outcome
    }
    const putIn = () => importMembers(sql, 'NEW', options, 20)
    const change = (selection: number) => changeSegment(sql, 'NEW', { selection }, null)
    const expire = () => sql`
    update memberships set expires_at = now() where expires_at is not null and removed_at is null`
    const tenth = MANY / 10
    const statements: [string, () => Promise<unknown>, unknown][] = [
      ['create it', () => createSegment(sql, { slug: 'NEW', selection: 1 }, false, null), true],
      ['count', () => selectSegment(sql, 'NEW'), { members: MANY }],
      ['list', async () => (await selectMembers(sql, 'NEW', '0', 100))?.length, 100],
      ['stream', async () => (await selectMemberLines(sql, 2)).length, MANY / 10_000],
      ['lower', () => change(0.1), { added: 0, removed: MANY - tenth }],
      ['raise', () => change(0.9), { added: MANY - 2 * tenth, removed: 0 }],
      ['put in', () => upload(putIn), { added: tenth }],
      ['put in again', () => upload(putIn), { added: 0 }],
      ['set their expiry', () => upload(putIn, true), { added: 0 }],
      ['put in who has expired', async () => [await expire(), await upload(putIn)][1], { added: MANY }],
      [
        'draw who has expired',
        async () => [await upload(putIn, true), await expire(), await change(1)][2],
        { added: MANY }
      ],
      ['take out', () => upload(() => importRemovals(sql, 'NEW', options)), MANY],
      ['delete it', () => deleteSegment(sql, 'NEW', null), true],
      ['close', () => closePeriods(sql, undefined, 500), { segment_id: 2 }]
    ]
    /** Those that have to do with few members. */
    const few = ['list', 'delete it']
    const countRead = async () => {
      await sql`select pg_stat_force_next_flush()`
      const [row] = await sql<[{ read: number }]>`
      select (
        (select sum(seq_tup_read) from pg_stat_user_tables)
        + (select sum(idx_tup_read) from pg_stat_user_indexes)
      )::double precision as read`
      return row.read
    }
    for (const [name, run, outcome] of statements) {
      const before = await countRead()
      t.match(await run(), outcome, name)
      const read = (await countRead()) - before
      const most = few.includes(name) ? 500 : 50 * MANY
      t.ok(read < most, `${name}: ${read} entries were read`)
    }
  }
)
