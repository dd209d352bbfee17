import { readdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { runner } from 'node-pg-migrate'
import pg from 'pg'

const directory = fileURLToPath(new URL('../migrations', import.meta.url))

type MigrateOptions = {
  direction?: 'up' | 'down'
  /** How many migrations; all by default on the way up, one on the way down. */
  count?: number
  log?: (line: string) => void
}

/**
 * Brings the schema to the newest migration. Several at once are safe: one works, the others wait for it.
 *
 * @returns the names of the migrations that were run.
 */
export async function migrate(databaseUrl: string, options: MigrateOptions = {}): Promise<string[]> {
  const { direction = 'up', count, log = () => {} } = options
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
      log
    })
    return run.map(({ name }) => name)
  } finally {
    await client.end()
  }
}

/** The names of the migrations this code needs. */
export async function listMigrations(): Promise<string[]> {
  const files = await readdir(directory)
  return files.filter((file) => file.endsWith('.sql')).map((file) => file.slice(0, -'.sql'.length))
}

if (import.meta.main) {
  const databaseUrl = process.env.DATABASE_URL
  if (!databaseUrl) {
    console.error(
      'DATABASE_URL is not set: it must be a URL such as postgres://user:password@host:5432/database'
    )
    process.exit(1)
  }
  try {
    const names = await migrate(databaseUrl)
    console.log(names.length > 0 ? `Migrated: ${names.join(', ')}` : 'The schema is up to date.')
  } catch (error) {
    console.error(`Migration failed: ${error instanceof Error ? error.message : error}`)
    process.exit(1)
  }
}
