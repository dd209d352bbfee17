/** Runs the service for dev.ts: migrates the database first, and ends when dev.ts ends. */
import { describeError, migrate } from '../database/migrate.ts'

// dev.ts has ended, in whatever way. SIGTERM makes the service finish its requests, as it always does.
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'))

try {
  await migrate(process.env.DATABASE_URL ?? '')
} catch (error) {
  console.error(`The database cannot be migrated: ${describeError(error)}`)
  process.exit(1)
}
const { address } = await import('../server.ts')
process.send?.(address)
