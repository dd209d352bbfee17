import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runner } from 'node-pg-migrate'
import type pg from 'pg'
import { loadEnvironment, readConfig } from '../config.ts'
import { ConfigError } from '../config-error.ts'
import { distributeTables, isDistributed } from './distribution.ts'
import { connectForMigration } from './migration-client.ts'

const directory = fileURLToPath(new URL('../../migrations', import.meta.url))

/** The first migration of the unreleased versions from before the schema was squashed. */
const UNRELEASED_MIGRATION = '0001_initial'

/**
 * Runs all pending migrations, and replaces the functions with their current definitions. If the tables are distributed
 * over a Citus cluster, new ones are as well. Concurrent calls are safe: one migrates, the others wait for it.
 *
 * If the database has newer migrations than this code, its functions are kept, because a newer version has defined
 * them.
 *
 * @returns the names of the migrations that were run.
 * @throws {ConfigError} if the database was created by an unreleased version.
 */
export async function migrate(databaseUrl: string): Promise<string[]> {
  // The runner gets a client, because it does not wait for the end of a client that it creates.
  const client = await connectForMigration(databaseUrl)
  try {
    const schema = await readSchema(client)
    const known = await listKnownMigrations(client)
    if (known.includes(UNRELEASED_MIGRATION))
      throw new ConfigError(
        'The database is of a version before the first release: delete it (for `npm run dev`, delete the folder .data)'
      )
    const run = await runner({
      dbClient: client,
      dir: directory,
      migrationsTable: 'pgmigrations',
      schema,
      migrationsSchema: schema,
      direction: 'up',
      advisoryLockMode: 'wait',
      log: () => {}
    })
    await replaceFunctions(client)
    if (await isDistributed(client)) await distributeTables(client)
    return run.map(({ name }) => name)
  } finally {
    await client.end()
  }
}

/**
 * Reads the schema in which the tables are: the first one of the search path.
 *
 * @throws {ConfigError} if it does not exist, or if the database cannot store every text.
 */
async function readSchema(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{
    encoding: string
    hasIcu: boolean
    path: string
    schema: string | null
  }>(`
    select
      current_setting('server_encoding') as encoding,
      exists (select from pg_collation where collname = 'und-x-icu') as "hasIcu",
      current_setting('search_path') as path,
      current_schema() as schema`)
  const [{ encoding = '', hasIcu = false, path = '', schema = null } = {}] = rows
  if (encoding !== 'UTF8')
    throw new ConfigError(`The encoding of the database is ${encoding}: create one with encoding 'UTF8'`)
  if (!hasIcu) throw new ConfigError('The PostgreSQL server has no ICU: use one that is built with it')
  if (schema === null)
    throw new ConfigError(`No schema of the search path (${path}) exists: run \`create schema\` first`)
  return schema
}

export type MigrationStatus = { applied: string[]; pending: string[] }

/**
 * Reads which migrations the database has, without changing it. `applied` includes those of newer versions.
 *
 * @throws {ConfigError} like {@link migrate}.
 */
export async function readStatus(databaseUrl: string): Promise<MigrationStatus> {
  const client = await connectForMigration(databaseUrl)
  try {
    await readSchema(client)
    const applied = await listKnownMigrations(client)
    const needed = await listMigrations()
    return { applied: applied.sort(), pending: needed.filter((name) => !applied.includes(name)).sort() }
  } finally {
    await client.end()
  }
}

async function listKnownMigrations(client: pg.Client): Promise<string[]> {
  const { rows: tables } = await client.query("select to_regclass('pgmigrations') is not null as found")
  if (!tables[0].found) return []
  const { rows } = await client.query<{ name: string }>('select name from pgmigrations')
  return rows.map(({ name }) => name)
}

/** Replaces the functions with their current definitions, in one transaction. */
async function replaceFunctions(client: pg.Client): Promise<void> {
  const migrations = await listMigrations()
  const files = await readdir(join(directory, 'functions'))
  const definitions = await Promise.all(
    files.sort().map((file) => readFile(join(directory, 'functions', file), 'utf8'))
  )
  await client.query('begin')
  // The lock serializes concurrent calls: replacing the same function twice at the same time fails.
  await client.query('lock table pgmigrations in share row exclusive mode')
  const known = await listKnownMigrations(client)
  if (known.every((name) => migrations.includes(name)))
    for (const definition of definitions) await client.query(definition)
  await client.query('commit')
}

/** Returns the message of an error, or its code: a refused connection has an empty message. */
export function describeError(error: unknown): string {
  const { message, code } = error as NodeJS.ErrnoException
  return message || code || String(error)
}

/** Lists the names of the migrations that this code needs. */
export async function listMigrations(): Promise<string[]> {
  const files = await readdir(directory)
  return files.filter((file) => file.endsWith('.sql')).map((file) => file.slice(0, -'.sql'.length))
}

const USAGE = `Usage: npm run migrate              applies the pending migrations
       npm run migrate -- status    lists the applied and the pending ones; exits with 1 if any is pending`

/** Carries out a command line. Returns the exit code: 0, 1 for a failure or pending migrations, 2 for wrong usage. */
async function run(commands: string[]): Promise<number> {
  const [command, ...further] = commands
  if (further.length > 0 || (command !== undefined && command !== 'status')) {
    console.error(USAGE)
    return 2
  }
  const { DATABASE_URL } = readConfig(loadEnvironment())
  if (command === 'status') {
    const { applied, pending } = await readStatus(DATABASE_URL)
    for (const name of applied) console.log(`applied  ${name}`)
    for (const name of pending) console.log(`pending  ${name}`)
    return pending.length > 0 ? 1 : 0
  }
  const names = await migrate(DATABASE_URL)
  console.log(names.length > 0 ? `Migrated: ${names.join(', ')}` : 'The schema is up to date.')
  return 0
}

if (import.meta.main) {
  try {
    process.exitCode = await run(process.argv.slice(2))
  } catch (error) {
    console.error(error instanceof ConfigError ? error.message : `Migration failed: ${describeError(error)}`)
    process.exit(1)
  }
}
