import { readdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { runner } from 'node-pg-migrate'
import pg from 'pg'
import { ConfigError, loadEnvironment, readConfig } from '../config.ts'

const directory = fileURLToPath(new URL('../../migrations', import.meta.url))

type MigrateOptions = {
  direction?: 'up' | 'down'
  /** How many migrations; all by default on the way up, one on the way down. */
  count?: number
}

/**
 * Brings the schema to the newest migration. Several at once are safe: one works, the others wait for it.
 *
 * @returns the names of the migrations that were run.
 */
export async function migrate(databaseUrl: string, options: MigrateOptions = {}): Promise<string[]> {
  const { direction = 'up', count } = options
  // A client of ours, because the runner does not wait until its own has closed.
  const client = new pg.Client({ connectionString: databaseUrl, application_name: 'user-segments migrate' })
  // A lost connection also rejects the query under way; without a listener it would end the process.
  client.on('error', () => {})
  await client.connect()
  try {
    const run = await runner({
      dbClient: client,
      dir: directory,
      migrationsTable: 'pgmigrations',
      direction,
      ...(count === undefined ? {} : { count }),
      advisoryLockMode: 'wait',
      log: () => {}
    })
    return run.map(({ name }) => name)
  } finally {
    await client.end()
  }
}

/** An error's message. That of a refused connection is empty, and its code says it. */
export function describeError(error: unknown): string {
  const { message, code } = error as NodeJS.ErrnoException
  return message || code || String(error)
}

/** The names of the migrations this code needs. */
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
