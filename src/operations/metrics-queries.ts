import type { Sql } from '../database/connect.ts'
import type { QueueState, WebhookState } from '../telemetry/metrics.ts'

/** Selects the state of the queues of background work, over all instances. Each queue has its own `select`. */
export async function selectQueues(sql: Sql): Promise<QueueState[]> {
  return sql<QueueState[]>`
    select
      'assignments' as queue,
      count(*) filter (where status = 'queued')::integer as queued,
      count(*) filter (where status = 'running')::integer as running,
      ${ageOfOldest(sql, 'requested_at', 'queued')} as oldest_queued,
      ${ageOfOldest(sql, 'requested_at', 'running')} as oldest_running
    from assignments
    where status in ('queued', 'running')
    union all
    select
      'reports',
      count(*) filter (where status = 'queued')::integer,
      count(*) filter (where status = 'running')::integer,
      ${ageOfOldest(sql, 'ordered_at', 'queued')},
      ${ageOfOldest(sql, 'ordered_at', 'running')}
    from reports
    where status in ('queued', 'running')`
}

/** Selects all webhooks, of which there are few. */
export async function selectWebhookStates(sql: Sql): Promise<WebhookState[]> {
  return sql<WebhookState[]>`select id, state, pause_reason, lag_seconds from webhook_progress`
}

/** Seconds since the earliest time in a column, among the rows with a status. */
function ageOfOldest(sql: Sql, column: string, status: string) {
  return sql`
    coalesce(extract(epoch from now() - min(${sql(column)}) filter (where status = ${status})), 0)::double precision`
}
