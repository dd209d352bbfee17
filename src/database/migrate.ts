import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runner } from 'node-pg-migrate'
import type pg from 'pg'
import { ConfigError, loadEnvironment, readConfig } from '../config.ts'
import { connectForMigration } from './migration-client.ts'

const directory = fileURLToPath(new URL('../../migrations', import.meta.url))

/** The first migration of the unreleased versions from before the schema was squashed. */
const UNRELEASED_MIGRATION = '0001_initial'

/**
 * Runs all pending migrations, and replaces the functions with their current definitions. Concurrent calls are safe:
 * one migrates, the others wait for it.
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
    const known = await listKnownMigrations(client)
    if (known.includes(UNRELEASED_MIGRATION))
      throw new ConfigError(
        'The database is of a version before the first release: delete it (for `npm run dev`, delete the folder .data)'
      )
    const run = await runner({
      dbClient: client,
      dir: directory,
      migrationsTable: 'pgmigrations',
      direction: 'up',
      advisoryLockMode: 'wait',
      log: () => {}
    })
    await replaceFunctions(client)
    return run.map(({ name }) => name)
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

if (import.meta.main) {
  try {
    const { DATABASE_URL } = readConfig(loadEnvironment())
    const names = await migrate(DATABASE_URL)
    console.log(names.length > 0 ? `Migrated: ${names.join(', ')}` : 'The schema is up to date.')
  } catch (error) {
    console.error(error instanceof ConfigError ? error.message : `Migration failed: ${describeError(error)}`)
    process.exit(1)
  }
}
