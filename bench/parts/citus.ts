import { Readable } from 'node:stream'
import postgres from 'postgres'
import { distribute } from '../../src/database/distribute.ts'
import { migrate } from '../../src/database/migrate.ts'
import { createClusterDatabase } from '../../test/support/citus.ts'
import { type Bench, type Part, prepareLoad, startServer } from '../bench.ts'
import { createSegment, makeReportOfAll, timed, uploadUsers } from '../calls.ts'
import { comparePairs, type Measurement, toRow } from '../compare.ts'
import { connect } from '../database.ts'
import { generate } from '../generate.ts'
import { reportInterval } from '../history.ts'
import { endProcesses, startLoad } from '../processes.ts'
import { insertSegment } from '../segments.ts'

/** Citus's default. */
const SHARDS = 32
const SELECTION = 0.1
const READERS = 64
const WRITERS = 32

/**
 * A Citus cluster, against a plain database on the server of its coordinator. CITUS_URL names a database of the
 * coordinator.
 */
export const citus: Part = async (bench) => {
  const { CITUS_URL } = process.env
  if (!CITUS_URL) {
    console.log('  skipped: CITUS_URL names no cluster')
    return []
  }
  const plain = await createPlainDatabase(CITUS_URL)
  const cluster = await createClusterDatabase(CITUS_URL, SHARDS)
  try {
    const distributed = await prepare(bench, cluster.url, cluster.workerUrls)
    const single = await prepare(bench, plain.url)
    const compare = <M extends Measurement>(measure: (side: Side) => Promise<M>) =>
      comparePairs(
        bench.options.pairs,
        ['Citus', () => measure(distributed)],
        ['plain', () => measure(single)]
      )

    const reads = await compare(({ read }) => read())
    const readsOnWorkers = await compare(({ readOnWorkers }) => readOnWorkers())
    const changes = await compare(({ change }) => change())
    const shares = await compare(({ create }) => create())
    const imports = await compare(({ upload }) => upload())
    const reports = await compare(({ report }) => report())
    for (const { sql } of [distributed, single]) await sql.end()

    const reference = 'the same on plain PostgreSQL'
    return [
      toRow(reads, (result) => result.requestsPerSecond, {
        what: `Citus: reads, ${READERS} connections, through the coordinator`,
        reference,
        unit: 'requests/s'
      }),
      toRow(readsOnWorkers, (result) => result.requestsPerSecond, {
        what: `Citus: reads, ${READERS} connections, through two workers`,
        reference,
        unit: 'requests/s'
      }),
      toRow(changes, (result) => result.requestsPerSecond, {
        what: `Citus: changes, ${WRITERS} connections`,
        reference,
        unit: 'changes/s'
      }),
      toRow(shares, ({ ms }) => ms, {
        what: 'Citus: creating a segment with a random tenth of the users',
        reference,
        unit: 'ms'
      }),
      toRow(imports, ({ ms }) => ms, { what: 'Citus: an upload of all users', reference, unit: 'ms' }),
      toRow(reports, ({ ms }) => ms, { what: 'Citus: a report of all users', reference, unit: 'ms' })
    ]
  } finally {
    await endProcesses()
    await cluster.drop()
    await plain.drop()
  }
}

type Side = Awaited<ReturnType<typeof prepare>>

/** A database without Citus on the same server. */
async function createPlainDatabase(coordinatorUrl: string) {
  const name = `bench_plain_${process.pid}`
  const url = new URL(coordinatorUrl)
  url.pathname = `/${name}`
  const run = async (statement: string) => {
    const sql = postgres(coordinatorUrl, { max: 1, onnotice: () => {} })
    await sql.unsafe(statement).finally(() => sql.end())
  }
  await run(`create database ${name} template template0`)
  return { url: url.href, drop: () => run(`drop database ${name} with (force)`) }
}

/**
 * Generates the data, starts a service and warms it up.
 *
 * @param workerUrls of the database on the workers; undefined if it is not distributed.
 */
async function prepare(bench: Bench, url: string, workerUrls?: string[]) {
  const { users } = bench.options
  await migrate(url)
  const sql = connect(url)
  await generate(sql, users)
  if (workerUrls) await distribute(url)
  await sql`vacuum (analyze) memberships`
  const { address } = await startServer(bench, 'service', { DATABASE_URL: url })
  const readsWorkers = workerUrls && { DATABASE_URL: url, READ_DATABASE_URLS: workerUrls.join(',') }
  const workers = readsWorkers ? await startServer(bench, 'service', readsWorkers) : { address }
  const load = await startLoad(bench.directory)
  const { from, to } = reportInterval()
  const inMs = (work: () => Promise<unknown>) => async () => ({ ms: await timed(work) })
  const ids = Array.from({ length: users }, (_, index) => `${index + 1}\n`).join('')
  return {
    sql,
    read: await prepareLoad(bench, load, { kind: 'read', address, connections: READERS }),
    readOnWorkers: await prepareLoad(bench, load, {
      kind: 'read',
      address: workers.address,
      connections: READERS
    }),
    change: await prepareLoad(bench, load, { kind: 'change', address, connections: WRITERS }),
    create: inMs(() => createSegment(address, SELECTION)),
    report: inMs(() => makeReportOfAll(address, from, to)),
    upload: async () => {
      const slug = await insertSegment(sql, 0)
      return { ms: await timed(() => uploadUsers(address, slug, Readable.from([ids]), users)) }
    }
  }
}
