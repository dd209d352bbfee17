import type { Sql } from 'postgres'
import { type Bench, type Part, prepareLoad, startServer } from '../bench.ts'
import { timed } from '../calls.ts'
import { comparePairs, type Measurement, toRow } from '../compare.ts'
import { connect, provideData, settle, warmCaches } from '../database.ts'
import { startLoad } from '../processes.ts'

/** Ended periods of a user. Ten times as many periods in all: 92 in 100 have ended. */
const MAX_ENDED_PERIODS = 230
const READERS = 64
const WRITERS = 32
/** A deleted segment, in which nobody has an open period. */
const DELETED_SEGMENT = 99

/**
 * Reads, changes, vacuum and indexes with many years of ended periods, against few, at the same number of users and of
 * open periods.
 */
export const history: Part = async (bench) => {
  const { options, server } = bench
  if (!options.only?.includes('history')) {
    console.log('  skipped, because its data takes long to generate: name it with --only')
    return []
  }
  const sides = {
    long: await prepare(bench, await provideData(server, options.users, MAX_ENDED_PERIODS)),
    short: await prepare(bench, bench.database)
  }
  const compare = <M extends Measurement>(pairs: number, measure: (side: Side) => Promise<M>) =>
    comparePairs(pairs, ['long', () => measure(sides.long)], ['short', () => measure(sides.short)])

  const reads = await compare(options.pairs, ({ read }) => read())
  const changes = await compare(options.pairs, ({ change }) => change())
  for (const { sql } of Object.values(sides)) await changeUnvacuumed(sql, options.users)
  const unvacuumed = await compare(options.pairs, ({ read }) => read())
  const vacuums = await compare(1, async ({ sql }) => ({
    seconds: (await timed(() => sql`vacuum (index_cleanup on) memberships`)) / 1000
  }))
  const sizes = await compare(1, ({ sql }) => measureSizes(sql))
  for (const { sql } of Object.values(sides)) await sql.end()

  const reference = 'the same with a tenth of the periods'
  const atLeast = { atLeast: 0.9 }
  return [
    toRow(reads, perSecond, {
      what: `reads, ${READERS} connections, ten times the periods`,
      reference,
      unit: 'requests/s',
      target: atLeast
    }),
    toRow(unvacuumed, perSecond, {
      what: 'the same after as many changes as autovacuum waits for',
      reference,
      unit: 'requests/s',
      target: atLeast
    }),
    toRow(changes, perSecond, {
      what: `changes, ${WRITERS} connections, ten times the periods`,
      reference,
      unit: 'changes/s',
      target: atLeast
    }),
    toRow(vacuums, ({ seconds }) => seconds, { what: 'vacuum after those changes', reference, unit: 's' }),
    toRow(sizes, ({ table }) => table, { what: 'the table of periods', reference, unit: 'MB' }),
    toRow(sizes, ({ indexes }) => indexes, { what: 'its indexes', reference, unit: 'MB' }),
    toRow(sizes, ({ open }) => open, { what: 'the index of membership lookups', reference, unit: 'MB' })
  ]
}

type Side = Awaited<ReturnType<typeof prepare>>

function perSecond({ requestsPerSecond }: { requestsPerSecond: number }): number {
  return requestsPerSecond
}

async function prepare(bench: Bench, database: string) {
  const url = bench.server.url(database)
  await warmCaches(url)
  const { address } = await startServer(bench, 'service', { DATABASE_URL: url })
  const load = await startLoad(bench.directory)
  const sql = connect(url)
  await settle(sql)
  return {
    sql,
    read: await prepareLoad(bench, load, { kind: 'read', address, connections: READERS }),
    change: await prepareLoad(bench, load, { kind: 'change', address, connections: WRITERS })
  }
}

/** Ends one period each of random users and begins another, for 0.09 % of the rows: autovacuum waits for 0.1 %. */
async function changeUnvacuumed(sql: Sql, users: number): Promise<void> {
  await sql`vacuum memberships`
  const [{ rows }] = await sql<[{ rows: number }]>`
    select reltuples::float8 as rows from pg_class where oid = 'memberships'::regclass`
  await sql`
    with changed as (
      select distinct on (user_id) user_id, segment_id
      from memberships
      where removed_at is null
        and user_id in (
          select 1 + floor(random() * ${users})::bigint from generate_series(1, ${Math.floor(rows * 0.00045)}::integer)
        )
    ),
    ended as (
      update memberships m
      set removed_at = now()
      from changed
      where m.user_id = changed.user_id
        and m.segment_id = changed.segment_id
        and m.removed_at is null
    )
    insert into memberships (user_id, segment_id)
    select user_id, ${DELETED_SEGMENT}
    from changed`
}

async function measureSizes(sql: Sql) {
  const [sizes] = await sql<[{ table: number; indexes: number; open: number }]>`
    select
      pg_table_size('memberships') / 1048576.0::float8 as table,
      pg_indexes_size('memberships') / 1048576.0::float8 as indexes,
      pg_relation_size('memberships_open') / 1048576.0::float8 as open`
  return sizes
}
