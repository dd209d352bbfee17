/** Query plans at a realistic size. A change of the schema or of a statement that loses a good plan fails here. */
import postgres from 'postgres'
import t, { type Test } from 'tap'
import type { Time } from '../../schemas/common.ts'
import { connectDatabase, type Pool } from '../../src/database/connect.ts'
import { SHORT_STATEMENT_SETTINGS } from '../../src/database/pools.ts'
import { selectSegmentId } from '../../src/database/segment-slugs.ts'
import { readClock } from '../../src/database/times.ts'
import { transaction } from '../../src/database/transaction.ts'
import {
  beginImport,
  endImport,
  insertNumberedUsers,
  insertUsers,
  sweepImports
} from '../../src/imports/line-queries.ts'
import { importMembers, importRemovals } from '../../src/imports/queries.ts'
import { replaceMembers } from '../../src/imports/replacement-queries.ts'
import {
  changeUserSegments,
  selectActiveSegments,
  selectSegmentsAt,
  selectTimeline
} from '../../src/memberships/queries.ts'
import { selectMembership, selectMemberships } from '../../src/memberships/record-queries.ts'
import { selectFlagList, selectFlagSources } from '../../src/ofrep/queries.ts'
import { selectHistory } from '../../src/reports/queries.ts'
import { createSegment } from '../../src/segments/creation-queries.ts'
import { closePeriods, deleteSegment } from '../../src/segments/deletion-queries.ts'
import { continueAssignment } from '../../src/segments/filling-queries.ts'
import { STREAM_SETTINGS } from '../../src/segments/members-csv.ts'
import { countMembers, selectMemberLines, selectMembers, selectSegment } from '../../src/segments/queries.ts'
import { changeSegment } from '../../src/segments/share-queries.ts'
import { createDatabase, type TestDatabase, waitUntil } from '../support/service.ts'

type PlanNode = {
  'Node Type': string
  'Relation Name'?: string
  'Index Name'?: string
  'Heap Fetches'?: number
  Plans?: PlanNode[]
}

const USERS = 20_000

/** Each user is in ten of a hundred segments, a fifth of the periods have ended, and the tables are vacuumed. */
async function createRealisticDatabase(t: Test): Promise<TestDatabase> {
  const database = await createDatabase(t)
  await database.sql`insert into segments (slug) select 'SEGMENT_' || n from generate_series(1, 100) n`
  await database.sql`insert into users (id) select generate_series(1, ${USERS}::integer)`
  await database.sql`
    insert into memberships (user_id, segment_id, added_at, removed_at)
    select u, 1 + (u * 7 + k * 9) % 100, now() - interval '30 days', case when (u + k) % 5 = 0 then now() end
    from generate_series(1, ${USERS}::integer) u, generate_series(1, 10) k`
  // Vacuum skips pages of which a snapshot may need an older state, for example while autovacuum runs.
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

/** A connection with the settings of short statements, and the statements that were sent on it. */
function connect(
  t: Test,
  { url }: TestDatabase,
  settings: Record<string, string> = SHORT_STATEMENT_SETTINGS
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

/** A pool like the service's for writes or for bulk work. */
function connectPool(t: Test, { url }: TestDatabase, settings: Record<string, string> = {}): Pool {
  const limits = { lockTimeout: 60_000, statementTimeout: 300_000 }
  const pool = connectDatabase(url, { name: 'plans', connections: 1, settings, ...limits })
  t.teardown(() => pool.end({ timeout: 1 }))
  return pool
}

/** All lines of the members of a segment, read page by page like a download. */
function readLines(pool: Pool, segmentId: number, pageSize: number): Promise<string[]> {
  return transaction(
    pool,
    async (sql) => {
      const pages: string[] = []
      for (let after = '0'; ; ) {
        const page = await selectMemberLines(sql, { segmentId, at: null, after, limit: pageSize }, true)
        if (!page) return pages
        pages.push(page.lines)
        after = page.upto
      }
    },
    { settings: STREAM_SETTINGS }
  )
}

function listNodes(plan: PlanNode): PlanNode[] {
  return [plan, ...(plan.Plans ?? []).flatMap(listNodes)]
}

/** The nodes of the last statement's plan when it runs with `values`. */
async function explainLast({ sql, statements }: Connection, values: string): Promise<PlanNode[]> {
  await sql.unsafe(`prepare explained as ${statements.at(-1)}`)
  const [row] = await sql.unsafe(`explain (analyze, format json) execute explained (${values})`)
  await sql`deallocate explained`
  return listNodes(row?.['QUERY PLAN'][0].Plan)
}

t.test('membership lookups read only indexes', async (t) => {
  const connection = connect(t, await createRealisticDatabase(t))
  const ids = Array.from({ length: 30 }, (_, n) => String(1 + n * 777))
  t.equal((await selectActiveSegments(connection.sql, ids)).size, 26, 'the others are unknown')
  const nodes = await explainLast(connection, `'{${ids.join()}}', '{${ids.join()}}'`)
  const scans = nodes
    .filter(({ 'Relation Name': relation = 'segments' }) => relation !== 'segments')
    .map((node) => `${node['Node Type']} by ${node['Index Name']}, ${node['Heap Fetches']} heap fetches`)
  t.same(scans.sort(), [
    'Index Only Scan by memberships_open, 0 heap fetches',
    'Index Only Scan by users_pkey, 0 heap fetches'
  ])
})

t.test('slugs are looked up and listed by indexes', async (t) => {
  const database = await createDatabase(t)
  await database.sql`
    insert into exclusive_groups (slug, description)
    select 'GROUP_' || n, repeat('x', 200) from generate_series(1, 1000) n`
  await database.sql`
    insert into segments (slug, description, group_id, deleted_at)
    select 'SEGMENT_' || n, repeat('x', 200), case when n <= 4000 then n % 1000 + 1 end, case when n % 2 = 0 then now() end
    from generate_series(1, 10000) n`
  await database.sql`vacuum (analyze) segments, exclusive_groups`
  const connection = connect(t, database)
  const slugs = ['SEGMENT_1', 'SEGMENT_2', 'SEGMENT_3', 'GROUP_2', 'NOWHERE']
  t.same([...(await selectFlagSources(connection.sql, slugs)).keys()].sort(), [
    'GROUP_2',
    'SEGMENT_1',
    'SEGMENT_3'
  ])
  const scans = (nodes: PlanNode[]) =>
    nodes.flatMap((node) => node['Index Name'] ?? node['Relation Name'] ?? [])
  t.same(scans(await explainLast(connection, `'{${slugs.join()}}', '{${slugs.join()}}'`)), [
    'segments_slug_key',
    'exclusive_groups_slug_key',
    'segments_of_group'
  ])
  t.equal((await selectFlagList(connection.sql)).split('\n')[0]?.split(',').length, 5_000)
  t.same(scans(await explainLast(connection, '20001, 20001')).includes('segments_live'), true)
})

t.test("a segment's members are counted by an index-only scan and listed in index order", async (t) => {
  const connection = connect(t, await createRealisticDatabase(t), {})
  const membershipScans = (nodes: PlanNode[]) =>
    nodes
      .filter((node) => node['Index Name']?.startsWith('memberships'))
      .map(
        (node) =>
          `${node['Node Type']} by ${node['Index Name']}, ${node['Heap Fetches'] ?? 'some'} heap fetches`
      )
  t.equal(await countMembers(connection.sql, 5), 1_600)
  t.same(membershipScans(await explainLast(connection, '5')), [
    'Index Only Scan by memberships_of_segment, 0 heap fetches'
  ])
  t.equal(
    (await selectMembers(connection.sql, { segmentId: 5, at: null, after: '50', limit: 100 })).length,
    100
  )
  const nodes = await explainLast(connection, "5, '50', 100")
  t.same(membershipScans(nodes), ['Index Scan by memberships_of_segment, some heap fetches'])
  t.notOk(
    nodes.some((node) => node['Node Type'] === 'Sort'),
    'a page does not read all of the members'
  )
})

t.test("a user's history is read through indexes on the user", async (t) => {
  const connection = connect(t, await createRealisticDatabase(t), {})
  const request = { userId: '77', from: '2000-01-01', to: '2100-01-01' }
  t.ok((await selectHistory(connection.sql, request)).length > 10)
  const nodes = await explainLast(connection, "77, '2000-01-01', '2100-01-01'")
  const indexes = new Set(
    nodes.map((node) => node['Index Name']).filter((index) => index?.startsWith('memberships'))
  )
  t.same([...indexes].sort(), ['memberships_ended', 'memberships_open'])
})

t.test('no statement except sampling scans all users or memberships', async (t) => {
  const database = await createRealisticDatabase(t)
  const hot = connectPool(t, database, SHORT_STATEMENT_SETTINGS)
  const bulk = connectPool(t, database)
  const countScans = async () => {
    await hot`select pg_stat_force_next_flush()`
    await bulk`select pg_stat_force_next_flush()`
    return database.sql<{ table: string; scans: string }[]>`
      select relname as table, seq_scan as scans from pg_stat_user_tables
      where relname in ('users', 'memberships') order by relname`
  }
  const statements: Record<string, () => Promise<unknown>> = {
    'read many': () =>
      selectActiveSegments(
        hot,
        Array.from({ length: 1000 }, (_, n) => String(n + 1))
      ),
    change: () =>
      changeUserSegments(hot, '77', {
        add: [{ slug: 'SEGMENT_1', timeToLive: 60 }, { slug: 'SEGMENT_2' }],
        remove: ['SEGMENT_3', 'SEGMENT_40'],
        actor: 'test'
      }),
    'read at a moment': () => selectSegmentsAt(hot, '77', '2026-01-01T00:00:00Z'),
    memberships: () => selectMemberships(hot, '77', null),
    membership: () => selectMembership(hot, 'SEGMENT_1', '77'),
    timeline: () => selectTimeline(hot, '77', { from: null, to: null, after: null, limit: 100 }),
    'list members': () => selectMembers(bulk, { segmentId: 5, at: null, after: '50', limit: 100 }),
    'list members at a moment': () =>
      selectMembers(bulk, { segmentId: 5, at: '2026-01-01T00:00:00Z', after: '50', limit: 100 }),
    history: () => selectHistory(bulk, { userId: '77', from: '2000-01-01', to: '2100-01-01' }),
    'get a segment': () => selectSegment(bulk, 'SEGMENT_5'),
    'delete a segment': () => deleteSegment(hot, 'SEGMENT_6', null),
    'stream the users of a segment': () => readLines(bulk, 5, 1_000),
    'close periods': () => closePeriods(bulk, undefined, 500),
    'fill a segment': () => continueAssignment(bulk, 2_000)
  }
  await createSegment(bulk, { slug: 'FILLED', selection: 0.5 }, true, null)
  await continueAssignment(bulk, 2_000)
  for (const [name, run] of Object.entries(statements)) {
    const before = await countScans()
    await run()
    t.same(await countScans(), before, name)
  }
})

/** So many that quadratic time would exceed the time limit of a test. */
const MANY = 60_000

t.test('no statement takes quadratic time for a segment that the statistics don’t know yet', async (t) => {
  const database = await createDatabase(t)
  const { sql } = database
  const pool = connectPool(t, database)
  await sql`alter table memberships set (autovacuum_enabled = false)`
  await sql`insert into users (id) select generate_series(1, ${MANY}::integer)`
  await sql`insert into segments (slug) values ('KNOWN')`
  await sql`insert into memberships (user_id, segment_id) select id, 1 from users`
  await sql`vacuum (analyze) users, memberships`

  const userIds = Array.from({ length: MANY }, (_, n) => String(n + 1))
  const expiries = userIds.map(() => '2100-01-01T00:00:00Z')
  const upload = async (
    takeEffect: typeof importMembers | typeof importRemovals | typeof replaceMembers,
    hasExpiries = false,
    ids = userIds
  ): Promise<unknown> => {
    const importId = await beginImport(pool)
    const batch = { importId, number: 1 }
    if (hasExpiries) await insertNumberedUsers(pool, batch, ids, expiries, ids)
    else await insertUsers(pool, batch, ids)
    const accepted = ids.length
    const lines = { importId, stored: accepted, hasExpiries, isNumbered: hasExpiries }
    const options = { ...lines, countOnly: false, skip: false, actor: null, accepted, maxRemoved: undefined }
    const outcome = await takeEffect(pool, 'NEW', options, 20)
    await endImport(pool, importId)
    return outcome
  }
  const list = async (at: Time | null) => {
    const segmentId = (await selectSegmentId(pool, 'NEW')) ?? 0
    return (await selectMembers(pool, { segmentId, at, after: '0', limit: 100 })).length
  }
  const change = (selection: number) => changeSegment(pool, 'NEW', { selection }, null)
  const expire = () => sql`
    update memberships set expires_at = now() where expires_at is not null and removed_at is null`
  const sweep = async () => {
    while (await sweepImports(pool, 3_600, 10));
    return sql`select from import_lines`
  }
  const tenth = MANY / 10
  const statements: [string, () => Promise<unknown>, unknown][] = [
    ['create it', () => createSegment(pool, { slug: 'NEW', selection: 1 }, false, null), /^1-\d+$/],
    ['count', () => selectSegment(pool, 'NEW'), { members: MANY }],
    ['list', () => list(null), 100],
    ['list at a moment', async () => list(await readClock(pool)), 100],
    ['stream', async () => (await readLines(pool, 2, 10_000)).length, MANY / 10_000],
    ['lower', () => change(0.1), { added: 0, removed: MANY - tenth }],
    ['raise', () => change(0.9), { added: MANY - 2 * tenth, removed: 0 }],
    ['add', () => upload(importMembers), { added: tenth }],
    ['add again', () => upload(importMembers), { added: 0 }],
    ['set their expiry', () => upload(importMembers, true), { added: 0 }],
    ['expire', expire, []],
    ['add who has expired', () => upload(importMembers), { added: MANY }],
    ['set their expiry again', () => upload(importMembers, true), { added: 0 }],
    ['expire again', expire, []],
    ['draw who has expired', () => change(1), { added: MANY }],
    [
      'replace them by a tenth',
      () => upload(replaceMembers, false, userIds.slice(0, tenth)),
      { removed: MANY - tenth }
    ],
    ['replace them by one', () => upload(replaceMembers, false, ['1']), { added: 0, removed: tenth - 1 }],
    ['replace them by all', () => upload(replaceMembers), { added: MANY - 1, removed: 0 }],
    ['replace them by the same', () => upload(replaceMembers), { added: 0, removed: 0 }],
    ['remove', () => upload(importRemovals), MANY],
    ['sweep', sweep, []],
    ['delete it', () => deleteSegment(pool, 'NEW', null), /^1-\d+$/],
    ['close', () => closePeriods(pool, undefined, 500), { segmentId: 2 }]
  ]
  /** Statements about few members. */
  const few = ['list', 'delete it']
  const countRead = async () => {
    await pool`select pg_stat_force_next_flush()`
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
})
