import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import packageJson from '../../package.json' with { type: 'json' }
import { SystemSchema } from '../../schemas/system.ts'
import { instance, selectInstances } from '../database/instance.ts'
import { listMigrations } from '../database/migrate.ts'
import { retryIdempotent } from '../database/retry.ts'
import { commonErrors } from '../http/common-responses.ts'
import { signalAbandonment } from '../http/deadline.ts'
import { MAX_LISTS_IN_FLIGHT } from '../limits.ts'
import type { QueueState, WebhookState } from '../telemetry/metrics.ts'
import { selectQueues, selectWebhookStates } from './metrics-queries.ts'
import { selectOverview } from './system-queries.ts'

/** When this process started, with microseconds as all times of the API have. */
const startedAt = new Date(performance.timeOrigin).toISOString().replace('Z', '000Z')

function describeQueue(queues: readonly QueueState[], name: string, failed: number) {
  const state = queues.find(({ queue }) => queue === name)
  return {
    queued: state?.queued ?? 0,
    running: state?.running ?? 0,
    failed,
    oldest_queued_seconds: state?.oldest_queued ?? 0,
    oldest_running_seconds: state?.oldest_running ?? 0
  }
}

function describeWebhooks(webhooks: readonly WebhookState[]) {
  const active = webhooks.filter(({ state }) => state === 'active')
  const requested = webhooks.filter(({ pause_reason }) => pause_reason === 'requested').length
  return {
    active: active.length,
    paused_by_request: requested,
    paused_by_service: webhooks.length - active.length - requested,
    max_lag_seconds: Math.max(0, ...active.map(({ lag_seconds }) => lag_seconds))
  }
}

/**
 * What an operator sees at a glance. It serves readers, as metrics do: it shows no user, no URL of a webhook and no secret, and
 * whoever is on call should not need a key that can delete.
 */
export const systemRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const needed = await listMigrations()

  app.get(
    '/system',
    {
      config: { role: 'reader', maxInFlight: MAX_LISTS_IN_FLIGHT, pausesRefusals: true },
      schema: {
        operationId: 'getSystem',
        summary: 'Get the state of the service at a glance',
        description:
          'Versions, instances, the database, and work in progress. It takes milliseconds, however many users there are.',
        tags: ['operation'],
        response: { 200: SystemSchema, ...commonErrors }
      }
    },
    async (_request, reply) => {
      const sql = app.lists.within(signalAbandonment(reply))
      const overview = await retryIdempotent(() => selectOverview(sql))
      const queues = await retryIdempotent(() => selectQueues(sql))
      const webhooks = await retryIdempotent(() => selectWebhookStates(sql))
      const instances = await retryIdempotent(() => selectInstances(sql))
      const { postgresql, citus, bytes, migrations } = overview
      return {
        version: packageJson.version,
        instance: {
          ...instance,
          started_at: startedAt,
          node: process.versions.node,
          state: app.shutdown.begun ? ('shutting_down' as const) : ('serving' as const)
        },
        instances: instances.length === 0 ? null : instances,
        database: {
          postgresql,
          citus,
          bytes: bytes === null ? null : Number(bytes),
          read_servers: app.readServers.servers.map(({ name, isServing }) => ({
            server: name,
            serving: isServing
          }))
        },
        migrations: { applied: migrations, missing: needed.filter((name) => !migrations.includes(name)) },
        fillings: describeQueue(queues, 'assignments', overview.failed_assignments),
        reports: describeQueue(queues, 'reports', overview.failed_reports),
        imports: { running: overview.imports },
        webhooks: describeWebhooks(webhooks),
        changes: { oldest_at: overview.oldest_change, newest_at: overview.newest_change },
        segments: overview.segments,
        groups: overview.groups
      }
    }
  )
}
