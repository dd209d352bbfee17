/** The service as dev.ts runs it: migrated first, and never outliving dev.ts. */
import { describeError, migrate } from '../database/migrate.ts'

// However dev.ts ended. SIGTERM, so that what runs is finished as it is whenever the service ends.
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'))

try {
  await migrate(process.env.DATABASE_URL ?? '')
} catch (error) {
  console.error(`The database cannot be migrated: ${describeError(error)}`)
  process.exit(1)
}
const { address } = await import('../server.ts')
process.send?.(address)
