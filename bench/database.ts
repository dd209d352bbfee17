/** The PostgreSQL under test, and its generated databases. */
import { totalmem } from 'node:os'
import { join } from 'node:path'
import postgres from 'postgres'
import { listMigrations, migrate } from '../src/database/migrate.ts'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../src/dev/embedded-postgres.ts'
import { GENERATOR_VERSION, generate, MAX_ENDED_PERIODS } from './generate.ts'

const memory = totalmem() / 2 ** 20

/** In MB. */
const sharedBuffers = Math.min(Math.floor(memory / 4), 8192)

/** The settings of an operator who gives the machine to PostgreSQL. Answered writes survive a power failure. */
export const settings = {
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  shared_buffers: `${sharedBuffers}MB`,
  effective_cache_size: `${Math.floor(memory / 2)}MB`,
  maintenance_work_mem: `${Math.min(Math.floor(memory / 16), 1024)}MB`,
  max_wal_size: '8GB',
  checkpoint_timeout: '15min',
  random_page_cost: '1.1',
  jit: 'off',
  max_connections: '200'
}

/** The name of the copy that parts change if the generated database is kept. */
const WORKING_COPY = 'bench'

export async function startServer(directory: string): Promise<EmbeddedPostgres> {
  return await startEmbeddedPostgres({ directory: join(directory, 'postgres'), settings })
}

/**
 * Provides a database with this number of users, each with up to so many ended periods: one that an earlier run has kept,
 * or a new one.
 */
export async function provideData(
  server: EmbeddedPostgres,
  users: number,
  maxEndedPeriods = MAX_ENDED_PERIODS
): Promise<string> {
  const name = `users_${users}${maxEndedPeriods === MAX_ENDED_PERIODS ? '' : `_ended_${maxEndedPeriods}`}`
  const stamp = JSON.stringify([GENERATOR_VERSION, await listMigrations()])
  const admin = connect(server.url('postgres'))
  try {
    const [found] = await admin<{ stamp: string | null }[]>`
      select shobj_description(oid, 'pg_database') as stamp
      from pg_database
      where datname = ${name}`
    if (found?.stamp === stamp) return name
    await admin`drop database if exists ${admin(name)} with (force)`
    await admin`create database ${admin(name)}`
    await migrate(server.url(name))

    const start = performance.now()
    // Data that is lost in a crash is generated again.
    const sql = connect(server.url(name), { synchronous_commit: 'off' })
    await generate(sql, users, maxEndedPeriods).finally(() => sql.end())
    await admin`comment on database ${admin(name)} is ${admin.unsafe(`'${stamp}'`)}`
    console.log(`  generated in ${Math.round((performance.now() - start) / 1000)} s`)
    return name
  } finally {
    await admin.end()
  }
}

/** Creates a copy that may be changed. Returns its name. */
export async function copyData(server: EmbeddedPostgres, name: string): Promise<string> {
  await dropCopy(server)
  const admin = connect(server.url('postgres'))
  try {
    // As files: through the write-ahead log, ten million users would be written twice.
    await admin`create database ${admin(WORKING_COPY)} template ${admin(name)} strategy file_copy`
    return WORKING_COPY
  } finally {
    await admin.end()
  }
}

export async function dropCopy(server: EmbeddedPostgres): Promise<void> {
  const admin = connect(server.url('postgres'))
  await admin`drop database if exists ${admin(WORKING_COPY)} with (force)`.finally(() => admin.end())
}

/** Connects the benchmark itself, for data and references. */
export function connect(url: string, parameters: Record<string, string> = {}): postgres.Sql {
  return postgres(url, { max: 4, onnotice: () => {}, connection: { TimeZone: 'UTC', ...parameters } })
}

/** Reads the pages of membership lookups into memory, as if a service had run for a while. */
export async function warmCaches(url: string): Promise<void> {
  // By default, PostgreSQL would scan the tables, whose pages membership lookups do not read.
  const sql = connect(url, { enable_seqscan: 'off', enable_bitmapscan: 'off' })
  try {
    await sql`select count(*) from users where id > 0`
    await sql`select count(*) from memberships where removed_at is null and user_id > 0`
  } finally {
    await sql.end()
  }
}

/** Vacuums and writes a checkpoint, so that the changes of one part do not affect the measurements of the next. */
export async function settle(sql: postgres.Sql): Promise<void> {
  await sql`vacuum (analyze) memberships`
  await sql`checkpoint`
}
