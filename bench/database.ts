/** The PostgreSQL under test, and its generated databases. */
import { totalmem } from 'node:os'
import { join } from 'node:path'
import postgres from 'postgres'
import { listMigrations, migrate } from '../src/database/migrate.ts'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../src/dev/embedded-postgres.ts'
import { GENERATOR_VERSION, generate } from './generate.ts'

const memory = totalmem() / 2 ** 20

/** In MB. */
const sharedBuffers = Math.min(Math.floor(memory / 4), 8192)

/** As an operator would set a machine's own PostgreSQL. Durable: what was answered survives a power failure. */
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

/** The name of the database that parts change, a copy of the generated one where that is kept. */
const WORKING_COPY = 'bench'

export async function startServer(directory: string): Promise<EmbeddedPostgres> {
  return await startEmbeddedPostgres({ directory: join(directory, 'postgres'), settings })
}

/** A database with so many users, which nobody is to change: the one that a run before has kept, or a new one. */
export async function provideData(server: EmbeddedPostgres, users: number): Promise<string> {
  const name = `users_${users}`
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
    // What is lost in a crash is made anew.
    const sql = connect(server.url(name), { synchronous_commit: 'off' })
    await generate(sql, users).finally(() => sql.end())
    await admin`comment on database ${admin(name)} is ${admin.unsafe(`'${stamp}'`)}`
    console.log(`  generated in ${Math.round((performance.now() - start) / 1000)} s`)
    return name
  } finally {
    await admin.end()
  }
}

/** A copy that may be changed. */
export async function copyData(server: EmbeddedPostgres, name: string): Promise<string> {
  await dropCopy(server)
  const admin = connect(server.url('postgres'))
  try {
    // As files: by way of the log, ten million users would be written twice.
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

/** Connections of the benchmark's own, for data and references. */
export function connect(url: string, parameters: Record<string, string> = {}): postgres.Sql {
  return postgres(url, { max: 4, onnotice: () => {}, connection: { TimeZone: 'UTC', ...parameters } })
}

/** Reads what the hot read reads, so that it is in memory as it is when a service has run for a while. */
export async function warmCaches(url: string): Promise<void> {
  // Left alone, PostgreSQL goes over the tables, whose pages the hot read never looks at.
  const sql = connect(url, { enable_seqscan: 'off', enable_bitmapscan: 'off' })
  try {
    await sql`select count(*) from users where id > 0`
    await sql`select count(*) from memberships where removed_at is null and user_id > 0`
  } finally {
    await sql.end()
  }
}

/** Brings the database to rest, so that what one part has changed is not what the next one measures. */
export async function settle(sql: postgres.Sql): Promise<void> {
  await sql`vacuum (analyze) memberships`
  await sql`checkpoint`
}
