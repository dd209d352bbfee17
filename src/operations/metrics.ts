import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { metricsResponse } from '../../schemas/metrics.ts'
import { connectDatabase } from '../database/connect.ts'
import { isDatabaseUnavailable } from '../database/faults.ts'
import { requestErrors } from '../http/common-responses.ts'
import type { QueueState } from '../telemetry/metrics.ts'
import { selectQueues } from './metrics-queries.ts'

/** Milliseconds that a scrape waits for the database; Prometheus gives a scrape up after ten seconds. */
const DATABASE_TIMEOUT_MS = 1_000

type DatabaseState = { up: boolean; queues: QueueState[] }

/**
 * Asks the database, on a connection made for it: so the answer says whether the database can be reached, however
 * busy the pools are and whatever became of their connections. Never rejects.
 */
async function askDatabase(databaseUrl: string): Promise<DatabaseState> {
  const sql = connectDatabase(databaseUrl, {
    name: 'user-segments metrics',
    connections: 1,
    statementTimeout: DATABASE_TIMEOUT_MS,
    lockTimeout: DATABASE_TIMEOUT_MS
  })
  const answer = selectQueues(sql).then(
    (queues) => ({ up: true, queues }),
    // A database whose schema lacks the tables is there all the same; readiness says what it lacks.
    (error) => ({ up: !isDatabaseUnavailable(error), queues: [] })
  )
  const { promise: overdue, resolve: giveUp } = Promise.withResolvers<DatabaseState>()
  const timer = setTimeout(giveUp, DATABASE_TIMEOUT_MS, { up: false, queues: [] })
  const state = await Promise.race([answer, overdue])
  clearTimeout(timer)
  await sql.end({ timeout: 0 })
  return state
}

export const metricsRoutes: FastifyPluginAsyncTypebox<{ databaseUrl: string }> = async (
  app,
  { databaseUrl }
) => {
  let underWay: Promise<void> | undefined

  /** Scrapes at the same time share one look at the database, so that they take one connection at the most. */
  function refresh(): Promise<void> {
    underWay ??= askDatabase(databaseUrl).then(({ up, queues }) => {
      underWay = undefined
      app.metrics.setDatabase(up, queues)
    })
    return underWay
  }

  app.get(
    '/metrics',
    {
      config: { role: app.roleOf('metrics') },
      schema: {
        operationId: 'getMetrics',
        summary: 'Get metrics for Prometheus',
        description:
          'What this process has measured since it began, and the queues in the database, which are the same on ' +
          'every instance. It is answered without the database too.',
        tags: ['operation'],
        response: { 200: metricsResponse, ...requestErrors }
      }
    },
    async (_request, reply) => {
      await refresh()
      return reply.type(app.metrics.contentType).send(await app.metrics.render())
    }
  )
}
