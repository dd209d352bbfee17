/**
 * Claims webhooks for pushing, and records what has been delivered. An instance whose lease has been given to another one
 * changes nothing: each statement names the token of its lease.
 */

import type { PauseReason } from '../../schemas/webhooks.ts'
import type { Sql } from '../database/connect.ts'
import { WEBHOOK_LEASE_MS, WEBHOOK_RETRY_MS } from '../limits.ts'

export type ClaimedWebhook = {
  id: string
  /** The token of the lease. */
  token: string
  url: string
  segments: string[] | null
  secret: string
  cursor: string
  batch_end: string | null
  failures: number
}

const lease = (sql: Sql) => sql`now() + make_interval(secs => ${WEBHOOK_LEASE_MS / 1000})`

/** Takes the lease of a webhook that has something to do and that nobody holds. Returns undefined if there is none. */
export async function claimWebhook(sql: Sql): Promise<ClaimedWebhook | undefined> {
  const [webhook] = await sql<ClaimedWebhook[]>`
    with next as (
      select id
      from webhooks
      where state = 'active'
        and lease_until <= now()
        and next_attempt_at <= now()
      order by next_attempt_at
      limit 1
      for update skip locked
    )
    update webhooks
    set lease_token = gen_random_uuid(),
      lease_until = ${lease(sql)}
    from next
    where webhooks.id = next.id
    returning webhooks.id, lease_token as token, url, to_json(segments) as segments, secret, cursor, batch_end, failures`
  return webhook
}

/**
 * Extends the lease, and records that there is nothing to deliver before the cursor.
 *
 * @returns false if the webhook has been paused or deleted, or another instance holds it.
 */
export async function holdWebhook(sql: Sql, token: string, cursor: string): Promise<boolean> {
  const { count } = await sql`
    update webhooks
    set lease_until = ${lease(sql)},
      cursor = ${cursor},
      batch_end = null,
      batch_since = null
    where lease_token = ${token}::text::uuid
      and state = 'active'`
  return count > 0
}

/**
 * Extends the lease, and records which batch is delivered next: until that has succeeded, all attempts send this one.
 *
 * @param since when its first change took effect.
 * @returns false if the webhook has been paused or deleted, or another instance holds it.
 */
export async function beginDelivery(
  sql: Sql,
  token: string,
  { cursor, end, since }: { cursor: string; end: string; since: string }
): Promise<boolean> {
  const { count } = await sql`
    update webhooks
    set lease_until = ${lease(sql)},
      cursor = ${cursor},
      batch_end = ${end},
      batch_since = ${since}::text::timestamptz
    where lease_token = ${token}::text::uuid
      and state = 'active'`
  return count > 0
}

/**
 * Records that the batch has been delivered, even if the webhook has been paused meanwhile.
 *
 * @returns false if the webhook has been paused or deleted, or another instance holds it.
 */
export async function recordSuccess(sql: Sql, token: string): Promise<boolean> {
  const [webhook] = await sql<{ state: string }[]>`
    update webhooks
    set cursor = batch_end,
      batch_end = null,
      batch_since = null,
      failures = 0,
      failing_since = null,
      last_success_at = now()
    where lease_token = ${token}::text::uuid
      and batch_end is not null
    returning state`
  return webhook?.state === 'active'
}

type Failure = {
  status: number | null
  message: string
  /** Milliseconds until the next attempt. */
  pause: number
  /** Whether the receiver wants no more deliveries. */
  isGone: boolean
}

/**
 * Records a failed delivery, and gives the lease back. The webhook is paused if deliveries have failed for too long.
 *
 * @returns why it is paused, null if it is not; undefined if it has been deleted or another instance holds it.
 */
export async function recordFailure(
  sql: Sql,
  token: string,
  { status, message, pause, isGone }: Failure
): Promise<PauseReason | null | undefined> {
  const reason = sql`
    coalesce(
      pause_reason,
      case
        when ${isGone}::boolean then 'gone'
        when failing_since < now() - make_interval(secs => ${WEBHOOK_RETRY_MS / 1000}) then 'failing'
      end
    )`
  const [webhook] = await sql<{ pause_reason: PauseReason | null }[]>`
    update webhooks
    set failures = failures + 1,
      failing_since = coalesce(failing_since, now()),
      last_error_at = now(),
      last_error_status = ${status}::integer,
      last_error = ${message},
      next_attempt_at = now() + make_interval(secs => ${pause / 1000}),
      pause_reason = ${reason},
      state = case when ${reason} is null then 'active' else 'paused' end,
      paused_at = case when ${reason} is not null then coalesce(paused_at, now()) end,
      lease_token = null,
      lease_until = now()
    where lease_token = ${token}::text::uuid
    returning pause_reason`
  return webhook?.pause_reason
}

/** Pauses a webhook whose changes are no longer kept. @returns false if another instance holds it. */
export async function pauseExpired(sql: Sql, token: string): Promise<boolean> {
  const { count } = await sql`
    update webhooks
    set state = 'paused',
      pause_reason = 'cursor_expired',
      paused_at = now(),
      lease_token = null,
      lease_until = now()
    where lease_token = ${token}::text::uuid
      and state = 'active'`
  return count > 0
}

/** Gives the lease back: another instance may push at once. */
export async function releaseWebhook(sql: Sql, token: string): Promise<void> {
  await sql`
    update webhooks
    set lease_token = null,
      lease_until = now()
    where lease_token = ${token}::text::uuid`
}
