import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { BackgroundJob } from '../database/background-job.ts'
import { encodeChangeCursor } from '../database/change-states.ts'
import type { Pool } from '../database/connect.ts'
import { isDatabaseUnavailable, isSchemaOutdated } from '../database/faults.ts'
import { retryIdempotent, retryUntilDone } from '../database/retry.ts'
import { selectSegmentIds } from '../database/segment-slugs.ts'
import { ApiError } from '../http/errors.ts'
import {
  MAX_WEBHOOK_READS,
  WEBHOOK_FIRST_PAUSE_MS,
  WEBHOOK_GATHER_MS,
  WEBHOOK_HOLD_MS,
  WEBHOOK_LONGEST_PAUSE_MS,
  WEBHOOK_LONGEST_RETRY_AFTER_MS,
  WEBHOOK_POLL_MS,
  WEBHOOK_READ_SHARE
} from '../limits.ts'
import { type Batch, parseCursor, type ReadPage, readBatch, readBatchAgain, writeBody } from './batches.ts'
import { deliver } from './delivery.ts'
import {
  beginDelivery,
  type ClaimedWebhook,
  claimWebhook,
  holdWebhook,
  pauseExpired,
  recordFailure,
  recordSuccess,
  releaseWebhook
} from './push-queries.ts'
import { batchId, signDelivery } from './signatures.ts'
import { Slots } from './slots.ts'

type Host = Pick<FastifyInstance, 'reads' | 'writes' | 'changeFeed' | 'metrics' | 'log'>

/** The pause after a failed delivery, in milliseconds. @param failures how many have failed in a row, this one included. */
function pauseAfter(failures: number, retryAfter = 0): number {
  const longest = Math.min(WEBHOOK_FIRST_PAUSE_MS * 2 ** (failures - 1), WEBHOOK_LONGEST_PAUSE_MS)
  return Math.max(longest * (0.5 + Math.random() / 2), Math.min(retryAfter, WEBHOOK_LONGEST_RETRY_AFTER_MS))
}

/**
 * Pushes the change feed to the receivers of webhooks. All state is in the database. Each webhook is pushed by the instance
 * that holds its lease, in a separate loop, so a slow receiver delays no other.
 */
export class WebhookPusher {
  readonly #writes: Pool
  readonly #reads: Pool
  readonly #feed: FastifyInstance['changeFeed']
  readonly #durations: FastifyInstance['metrics']['webhookDeliveryDuration']
  readonly #log: FastifyBaseLogger
  readonly #allowsPrivate: boolean
  readonly #job: BackgroundJob
  readonly #slots = new Slots(MAX_WEBHOOK_READS, WEBHOOK_READ_SHARE)
  readonly #runs = new Set<Promise<void>>()
  readonly #closing = new AbortController()
  #closed: Promise<void> | undefined

  /** @param allowsPrivate whether receivers may be in private networks. */
  constructor({ reads, writes, changeFeed, metrics, log }: Host, allowsPrivate: boolean) {
    this.#reads = reads
    this.#writes = writes
    this.#feed = changeFeed
    this.#durations = metrics.webhookDeliveryDuration
    this.#log = log
    this.#allowsPrivate = allowsPrivate
    this.#job = new BackgroundJob({
      name: 'webhooks',
      share: 1,
      poll: WEBHOOK_POLL_MS,
      step: () => this.#claim(),
      log
    })
  }

  /** Starts to push. */
  start(): void {
    if (!this.#closing.signal.aborted) this.#job.start()
  }

  /** Looks for webhooks to push now. */
  wake(): void {
    if (!this.#closing.signal.aborted) this.#job.wake()
  }

  /** Waits for the deliveries in flight, and gives all leases back. Takes little longer than WEBHOOK_TIMEOUT_MS at most. */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#closing.abort()
    await this.#job.stop()
    await Promise.all(this.#runs)
  }

  async #claim(): Promise<boolean> {
    const webhook = await claimWebhook(this.#writes)
    if (!webhook) return false
    const run = this.#run(webhook).finally(() => this.#runs.delete(run))
    this.#runs.add(run)
    return true
  }

  /** Pushes until a delivery fails, the webhook is paused or deleted, or the service shuts down. Never rejects. */
  async #run(webhook: ClaimedWebhook): Promise<void> {
    try {
      await this.#push(webhook)
      await releaseWebhook(this.#writes, webhook.token)
    } catch (error) {
      await this.#endFailed(webhook, error).catch(() => {})
    }
  }

  /** After a fault of the service. Once the database answers again, the lease is given back; or it has expired. */
  async #endFailed({ id, token, failures }: ClaimedWebhook, error: unknown): Promise<void> {
    const closing = this.#closing.signal
    if (closing.aborted || isDatabaseUnavailable(error) || isSchemaOutdated(error))
      return retryUntilDone(() => releaseWebhook(this.#writes, token), closing)
    if (error instanceof ApiError && error.code === 'CURSOR_EXPIRED') {
      if (await pauseExpired(this.#writes, token))
        this.#log.warn({ webhook: id, reason: 'cursor_expired' }, 'webhook paused')
      return
    }
    this.#log.error({ err: error, webhook: id }, 'webhook could not be pushed')
    const message = 'the service failed; the failure has been logged'
    const pause = pauseAfter(failures + 1)
    await recordFailure(this.#writes, token, { status: null, message, pause, isGone: false })
  }

  async #push(webhook: ClaimedWebhook): Promise<void> {
    const { token } = webhook
    const closing = this.#closing.signal
    const { segments } = webhook
    const segmentIds = segments && (await retryIdempotent(() => selectSegmentIds(this.#reads, segments)))
    const read: ReadPage = (cursor, limit) =>
      this.#slots.run(() =>
        this.#feed.readPage({ cursor, filter: { segmentIds, userId: null }, limit, signal: closing })
      )
    let { failures } = webhook
    let cursor = parseCursor(webhook.cursor)
    let end = webhook.batch_end === null ? undefined : parseCursor(webhook.batch_end)
    let heldAt = performance.now()
    const news = this.#feed.listen()
    try {
      while (!closing.aborted) {
        const batch = end ? await readBatchAgain(read, cursor, end) : await readBatch(read, cursor)
        if (batch.changes.length > 0) {
          const outcome = await this.#deliver({ ...webhook, failures }, batch)
          if (outcome === 'ended') return
          failures = 0
          heldAt = performance.now()
        } else if (end || performance.now() >= heldAt + WEBHOOK_HOLD_MS) {
          if (!(await this.#hold(token, batch.end))) return
          heldAt = performance.now()
        }
        cursor = batch.end
        end = undefined
        if (!batch.isLast) continue
        const untilHold = heldAt + WEBHOOK_HOLD_MS - performance.now()
        if (batch.changes.length === 0) await news.next(Math.max(0, untilHold), closing)
        await sleep(WEBHOOK_GATHER_MS, undefined, { signal: closing, ref: false }).catch(() => {})
      }
    } finally {
      news.end()
    }
  }

  #hold(token: string, cursor: Batch['end']): Promise<boolean> {
    return retryIdempotent(() => holdWebhook(this.#writes, token, encodeChangeCursor(cursor)))
  }

  /** @returns `ended` if nothing more may be delivered now. */
  async #deliver(
    { id, token, url, secret, failures }: ClaimedWebhook,
    batch: Batch
  ): Promise<'delivered' | 'ended'> {
    const delivery = {
      cursor: encodeChangeCursor(batch.start),
      end: encodeChangeCursor(batch.end),
      since: batch.changes[0]?.time ?? ''
    }
    if (!(await retryIdempotent(() => beginDelivery(this.#writes, token, delivery)))) return 'ended'
    const body = writeBody(batch)
    const headers = signDelivery(secret, batchId(id, delivery.cursor, delivery.end), body, Date.now())
    const begun = performance.now()
    const failure = await deliver(new URL(url), headers, body, this.#allowsPrivate)
    const seconds = (performance.now() - begun) / 1000
    this.#durations.observe({ outcome: failure ? 'failed' : 'delivered' }, seconds)
    if (!failure) {
      const log = { webhook: id, changes: batch.changes.length, bytes: body.length, seconds }
      if (failures > 0) this.#log.info({ ...log, failures }, 'webhook delivers again')
      else this.#log.debug(log, 'webhook delivered')
      const goesOn = await retryIdempotent(() => recordSuccess(this.#writes, token))
      return goesOn ? 'delivered' : 'ended'
    }
    const { status, message, retryAfter } = failure
    const pause = pauseAfter(failures + 1, retryAfter)
    const reason = await retryIdempotent(() =>
      recordFailure(this.#writes, token, { status, message, pause, isGone: status === 410 })
    )
    const log = { webhook: id, status, reason: message, failures: failures + 1 }
    if (reason === 'failing' || reason === 'gone') this.#log.warn({ ...log, pause: reason }, 'webhook paused')
    else
      this.#log[failures === 0 ? 'warn' : 'info'](
        { ...log, next_attempt_seconds: pause / 1000 },
        'webhook delivery failed'
      )
    return 'ended'
  }
}
