/** Creates, reads, changes and deletes webhooks. */
import type { PauseReason, Webhook } from '../../schemas/webhooks.ts'
import { selectChangeCursor } from '../database/change-states.ts'
import { formatTime, type Pool, type Sql, type Transaction } from '../database/connect.ts'
import { lockWebhooks } from '../database/locks.ts'
import { selectMissingSlugs } from '../database/segment-slugs.ts'
import { transaction } from '../database/transaction.ts'
import { MAX_WEBHOOKS } from '../limits.ts'

type WebhookRow = Omit<Webhook, 'last_error'> & {
  last_error_at: string | null
  last_error_status: number | null
  last_error: string | null
}

/** Everything but the secret. */
function webhookColumns(sql: Sql) {
  return sql`
    id, url, to_json(segments) as segments, state, pause_reason, cursor, created_by, failures, last_error_status, last_error,
    ${formatTime(sql, 'paused_at')} as paused_at,
    ${formatTime(sql, 'created_at')} as created_at,
    ${formatTime(sql, 'last_success_at')} as last_success_at,
    ${formatTime(sql, 'last_error_at')} as last_error_at,
    case when state = 'active' and failures > 0 then ${formatTime(sql, 'next_attempt_at')} end as next_attempt_at,
    (select lag_seconds from webhook_progress progress where progress.id = webhooks.id) as lag_seconds`
}

function toWebhook({
  last_error_at: time,
  last_error_status: status,
  last_error: message,
  ...row
}: WebhookRow): Webhook {
  return { ...row, last_error: time === null || message === null ? null : { time, status, message } }
}

export async function selectWebhooks(sql: Sql): Promise<Webhook[]> {
  const rows = await sql<WebhookRow[]>`select ${webhookColumns(sql)} from webhooks order by webhooks.id`
  return rows.map(toWebhook)
}

export async function selectWebhook(sql: Sql, id: string): Promise<Webhook | undefined> {
  const [row] = await sql<WebhookRow[]>`
    select ${webhookColumns(sql)} from webhooks where id = ${id}::text::bigint`
  return row && toWebhook(row)
}

type NewWebhook = {
  url: string
  /** Slugs in upper case; null for all segments. */
  segments: string[] | null
  secret: string
  createdBy: string | null
}

/**
 * Creates a webhook, to which all changes are delivered that are committed later.
 *
 * @returns the slugs that name no segment or a deleted one, if there are any; `too many` if there are MAX_WEBHOOKS.
 */
export function createWebhook(
  db: Pool | Transaction,
  { url, segments, secret, createdBy }: NewWebhook
): Promise<Webhook | { missing: string[] } | 'too many'> {
  return transaction(db, async (sql) => {
    await lockWebhooks(sql)
    const [{ count }] = await sql<[{ count: number }]>`select count(*)::integer from webhooks`
    if (count >= MAX_WEBHOOKS) return 'too many'
    const missing = segments ? await selectMissingSlugs(sql, segments) : []
    if (missing.length > 0) return { missing }
    const cursor = await selectChangeCursor(sql)
    const [row] = await sql<[{ id: string }]>`
      insert into webhooks (url, segments, secret, cursor, created_by)
      values (${url}, ${segments}::text[], ${secret}, ${cursor}, ${createdBy})
      returning id`
    const webhook = await selectWebhook(sql, row.id)
    if (!webhook) throw new Error('the webhook is missing after its creation')
    return webhook
  })
}

/** Reads the secret of a webhook; undefined if it has been deleted. */
export async function selectSecret(sql: Sql, id: string): Promise<string | undefined> {
  const [webhook] = await sql<
    { secret: string }[]
  >`select secret from webhooks where id = ${id}::text::bigint`
  return webhook?.secret
}

/** Pauses a webhook. The delivery in flight is finished, and recorded. One that is paused already keeps its reason. */
export async function pauseWebhook(sql: Sql, id: string): Promise<boolean> {
  const reason: PauseReason = 'requested'
  const { count } = await sql`
    update webhooks
    set state = 'paused',
      pause_reason = coalesce(pause_reason, ${reason}),
      paused_at = coalesce(paused_at, now())
    where id = ${id}::text::bigint`
  return count > 0
}

/**
 * Delivers now, even if the next attempt would come later.
 *
 * @param after the cursor to continue after: the lease is taken away from the instance that pushes, so that it records
 * nothing more. By default, delivery continues where it ended.
 */
export async function activateWebhook(sql: Sql, id: string, after: string | undefined): Promise<void> {
  const moves = after !== undefined
  await sql`
    update webhooks
    set state = 'active',
      pause_reason = null,
      paused_at = null,
      failures = 0,
      failing_since = null,
      next_attempt_at = now(),
      cursor = coalesce(${after ?? null}::text, cursor),
      batch_end = case when not ${moves}::boolean then batch_end end,
      batch_since = case when not ${moves}::boolean then batch_since end,
      lease_token = case when not ${moves}::boolean then lease_token end,
      lease_until = case when ${moves}::boolean or lease_until < now() then now() else lease_until end
    where id = ${id}::text::bigint`
}

export async function deleteWebhook(sql: Sql, id: string): Promise<boolean> {
  const { count } = await sql`delete from webhooks where id = ${id}::text::bigint`
  return count > 0
}
