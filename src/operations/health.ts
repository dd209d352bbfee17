import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { passingErrorResponse } from '../../schemas/common.ts'
import { LiveSchema, ReadySchema } from '../../schemas/health.ts'
import { listMigrations } from '../database/migrate.ts'
import { commonErrors, requestErrors } from '../http/common-responses.ts'
import { serviceUnavailable, shuttingDown } from '../http/errors.ts'
import { selectMissingMigrations } from './health-queries.ts'

/** Milliseconds in which a probe has its answer. */
const PROBE_TIMEOUT_MS = 2_000

export const healthRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const migrations = await listMigrations()

  app.get(
    '/live',
    {
      // It says that the process runs, not that it runs well.
      config: { role: 'open', pressureHandler: () => undefined, maxInFlight: Number.POSITIVE_INFINITY },
      schema: {
        operationId: 'getLiveness',
        summary: 'Whether the process runs',
        description: 'It asks nothing else: a process whose database is gone lives.',
        tags: ['operation'],
        response: { 200: LiveSchema, ...requestErrors }
      }
    },
    async () => ({ status: 'live' as const })
  )

  app.get(
    '/ready',
    {
      config: { role: 'open', deadline: PROBE_TIMEOUT_MS },
      schema: {
        operationId: 'getReadiness',
        summary: 'Whether the service can serve',
        description: 'The database answers, its schema is current, and the service is not shutting down.',
        tags: ['operation'],
        response: {
          200: ReadySchema,
          ...commonErrors,
          503: passingErrorResponse('The service cannot serve now.', {
            DATABASE_UNAVAILABLE: 'the database cannot answer now, try again later',
            SCHEMA_OUTDATED: 'the schema lacks migrations (0001_initial)',
            SHUTTING_DOWN: shuttingDown().message,
            DEADLINE_EXCEEDED: 'the request could not be answered in time, try again later'
          })
        }
      }
    },
    async () => {
      if (app.shutdown.begun) throw shuttingDown()
      const missing = await selectMissingMigrations(app.sql, migrations)
      if (missing.length > 0) {
        throw serviceUnavailable('SCHEMA_OUTDATED', `the schema lacks migrations (${missing.join(', ')})`)
      }
      return { status: 'ready' as const }
    }
  )
}
