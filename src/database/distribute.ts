import { loadEnvironment, readConfig } from '../config.ts'
import { ConfigError } from '../config-error.ts'
import { distributeTables } from './distribution.ts'
import { describeError, readStatus } from './migrate.ts'
import { connectForMigration } from './migration-client.ts'

/**
 * Distributes the tables of a migrated database over the nodes of its Citus cluster. Repeating it does nothing.
 *
 * @returns what was done, one line a table.
 * @throws {ConfigError} if the database lacks migrations, or is not on the coordinator of a Citus cluster.
 */
export async function distribute(databaseUrl: string): Promise<string[]> {
  const { pending } = await readStatus(databaseUrl)
  if (pending.length > 0) throw new ConfigError('The database lacks migrations: run `npm run migrate` first')
  const client = await connectForMigration(databaseUrl)
  try {
    return await distributeTables(client)
  } finally {
    await client.end()
  }
}

if (import.meta.main) {
  try {
    const { DATABASE_URL } = readConfig(loadEnvironment())
    const lines = await distribute(DATABASE_URL)
    for (const line of lines) console.log(line)
    if (lines.length === 0) console.log('The tables are distributed already.')
  } catch (error) {
    console.error(
      error instanceof ConfigError ? error.message : `Distribution failed: ${describeError(error)}`
    )
    process.exit(1)
  }
}
