import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { metricsResponse } from '../../schemas/metrics.ts'
import { connectDatabase } from '../database/connect.ts'
import { isDatabaseUnavailable } from '../database/faults.ts'
import { nameConnections } from '../database/instance.ts'
import { overloadErrors } from '../http/common-responses.ts'
import { SCRAPE_TIMEOUT_MS } from '../limits.ts'
import type { QueueState, WebhookState } from '../telemetry/metrics.ts'
import { selectQueues, selectWebhookStates } from './metrics-queries.ts'

type DatabaseState = { up: boolean; queues: QueueState[]; webhooks: WebhookState[] }

const nothing = { queues: [], webhooks: [] }

/**
 * Queries the database on a new connection. So the result shows whether the database can be reached, however busy the
 * pools are and whatever the state of their connections. Never rejects.
 */
async function readDatabaseState(databaseUrl: string): Promise<DatabaseState> {
  const sql = connectDatabase(databaseUrl, {
    name: nameConnections('metrics'),
    connections: 1,
    statementTimeout: SCRAPE_TIMEOUT_MS,
    lockTimeout: SCRAPE_TIMEOUT_MS
  })
  const answer = Promise.all([selectQueues(sql), selectWebhookStates(sql)]).then(
    ([queues, webhooks]) => ({ up: true, queues, webhooks }),
    // A database without the tables is up. Readiness reports the missing migrations.
    (error) => ({ up: !isDatabaseUnavailable(error), ...nothing })
  )
  const { promise: overdue, resolve: giveUp } = Promise.withResolvers<DatabaseState>()
  const timer = setTimeout(giveUp, SCRAPE_TIMEOUT_MS, { up: false, ...nothing })
  const state = await Promise.race([answer, overdue])
  clearTimeout(timer)
  await sql.end({ timeout: 0 })
  return state
}

export const metricsRoutes: FastifyPluginAsyncTypebox<{ databaseUrl: string }> = async (
  app,
  { databaseUrl }
) => {
  let refreshing: Promise<void> | undefined

  /** Concurrent scrapes share one query, so that they use at most one connection. */
  function refresh(): Promise<void> {
    refreshing ??= readDatabaseState(databaseUrl).then(({ up, queues, webhooks }) => {
      refreshing = undefined
      app.metrics.setDatabase(up, queues, webhooks)
    })
    return refreshing
  }

  app.get(
    '/metrics',
    {
      config: { role: app.roleOf('metrics') },
      schema: {
        operationId: 'getMetrics',
        summary: 'Get metrics for Prometheus',
        description:
          'What this process has measured since its start, and the queues in the database, which are the same on ' +
          'every instance. It also answers without the database.',
        tags: ['operation'],
        response: { 200: metricsResponse, ...overloadErrors }
      }
    },
    async (_request, reply) => {
      await refresh()
      return reply.type(app.metrics.contentType).send(await app.metrics.render())
    }
  )
}
