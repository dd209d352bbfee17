import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { retryableErrorResponse } from '../../schemas/common.ts'
import { LiveSchema, ReadySchema } from '../../schemas/health.ts'
import { listMigrations } from '../database/migrate.ts'
import { commonErrors, requestErrors, unavailableExamples } from '../http/common-responses.ts'
import { signalAbandonment } from '../http/deadline.ts'
import { schemaOutdated, shuttingDown } from '../http/errors.ts'
import { PROBE_DEADLINE_MS } from '../limits.ts'
import { proveWritable, selectMissingMigrations } from './health-queries.ts'

export const healthRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const migrations = await listMigrations()

  app.get(
    '/live',
    {
      // An overloaded process is live as well.
      config: { role: 'open', isProbe: true, maxInFlight: Number.POSITIVE_INFINITY },
      schema: {
        operationId: 'getLiveness',
        summary: 'Check that the process runs',
        description: 'It checks nothing else: a process without its database is live.',
        tags: ['operation'],
        response: { 200: LiveSchema, ...requestErrors }
      }
    },
    async () => ({ status: 'live' as const })
  )

  app.get(
    '/ready',
    {
      config: { role: 'open', isProbe: true, deadline: PROBE_DEADLINE_MS },
      schema: {
        operationId: 'getReadiness',
        summary: 'Check that the service can answer requests',
        description:
          'It can if the database answers and accepts writes, its schema is current, and the service is not shutting down.',
        tags: ['operation'],
        response: {
          200: ReadySchema,
          ...commonErrors,
          503: retryableErrorResponse('NotReadyError', 'The service cannot answer requests now.', {
            ...unavailableExamples,
            SCHEMA_OUTDATED: schemaOutdated(['0001_schema']).message,
            SHUTTING_DOWN: shuttingDown().message
          })
        }
      }
    },
    async (_request, reply) => {
      if (app.shutdown.begun) throw shuttingDown()
      const sql = app.probes.within(signalAbandonment(reply))
      const missing = await selectMissingMigrations(sql, migrations)
      if (missing.length > 0) throw schemaOutdated(missing)
      await proveWritable(sql)
      return { status: 'ready' as const }
    }
  )
}
