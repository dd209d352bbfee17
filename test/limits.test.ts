import t, { type Test } from 'tap'
import * as limits from '../src/limits.ts'

/** Asserts that each value is less than the next one. */
function areInOrder(t: Test, message: string, ...times: number[]): void {
  t.same(
    times.filter((time, index) => index > 0 && time <= (times[index - 1] ?? 0)),
    [],
    `${message}: ${times.join(' < ')}`
  )
}

t.test('an inner wait ends before the outer one', async (t) => {
  const {
    LOCK_TIMEOUT_MS,
    STATEMENT_TIMEOUT_MS,
    ANSWER_MARGIN_MS,
    REQUEST_DEADLINE_MS,
    DRAIN_TIMEOUT_MS,
    SHUTDOWN_TIMEOUT_MS,
    BULK_LOCK_TIMEOUT_MS,
    BULK_STATEMENT_TIMEOUT_MS,
    BULK_DEADLINE_MS,
    CLIENT_TIMEOUT_MS
  } = limits
  const answerTimeout = STATEMENT_TIMEOUT_MS + ANSWER_MARGIN_MS
  areInOrder(
    t,
    'a request',
    LOCK_TIMEOUT_MS,
    STATEMENT_TIMEOUT_MS,
    answerTimeout,
    answerTimeout + limits.LAST_RETRY_MS,
    REQUEST_DEADLINE_MS,
    DRAIN_TIMEOUT_MS,
    SHUTDOWN_TIMEOUT_MS,
    30_000
  )
  areInOrder(
    t,
    'a request for bulk work',
    BULK_LOCK_TIMEOUT_MS,
    BULK_STATEMENT_TIMEOUT_MS,
    BULK_STATEMENT_TIMEOUT_MS + ANSWER_MARGIN_MS,
    BULK_DEADLINE_MS,
    CLIENT_TIMEOUT_MS
  )
  areInOrder(
    t,
    'a slot of idempotency keys is emptied on its day',
    2 * limits.IDEMPOTENCY_SWEEP_MS,
    86_400_000
  )
  areInOrder(
    t,
    'a transaction without statements',
    limits.MAX_EVENT_LOOP_DELAY_MS,
    limits.IDLE_IN_TRANSACTION_TIMEOUT_MS,
    REQUEST_DEADLINE_MS
  )
  areInOrder(
    t,
    'a lookup on a read server, and then on the primary',
    limits.READ_SERVER_FIRST_PAUSE_MS,
    limits.READ_SERVER_WAIT_MS,
    limits.READ_SERVER_CHECK_MS,
    limits.READ_SERVER_TIMEOUT_MS,
    // The position of the primary, the server, and the primary.
    2 * limits.READ_SERVER_TIMEOUT_MS + answerTimeout,
    REQUEST_DEADLINE_MS
  )
  areInOrder(
    t,
    'the pauses before a read server is checked again',
    limits.READ_SERVER_CHECK_MS,
    limits.READ_SERVER_RETRY_MS,
    limits.READ_SERVER_LONGEST_RETRY_MS
  )
  areInOrder(t, 'a connection', limits.CONNECT_TIMEOUT_MS, REQUEST_DEADLINE_MS)
  areInOrder(
    t,
    'an upload',
    limits.UPLOAD_IDLE_TIMEOUT_MS,
    limits.UPLOAD_RATE_WINDOW_MS,
    limits.UPLOAD_TIMEOUT_MS,
    limits.UPLOAD_TIMEOUT_MS + BULK_STATEMENT_TIMEOUT_MS
  )
  areInOrder(t, 'a download', limits.STALL_TIMEOUT_MS, BULK_STATEMENT_TIMEOUT_MS)
  areInOrder(t, 'a report', BULK_STATEMENT_TIMEOUT_MS, limits.REPORT_TIMEOUT_MS)
  areInOrder(
    t,
    'a request to the object storage',
    limits.STORAGE_ATTEMPT_TIMEOUT_MS,
    limits.STORAGE_TIMEOUT_MS,
    REQUEST_DEADLINE_MS
  )
  areInOrder(
    t,
    'a part of a report',
    limits.PART_ATTEMPT_TIMEOUT_MS,
    limits.PART_TIMEOUT_MS,
    limits.LEFTOVER_AGE_MS,
    limits.REPORT_TIMEOUT_MS
  )
  areInOrder(t, 'unfinished reports', limits.MAX_UNFINISHED_REPORTS_OF_KEY, limits.MAX_UNFINISHED_REPORTS)
  areInOrder(
    t,
    'a delivery, and the lease of its webhook',
    limits.WEBHOOK_GATHER_MS,
    limits.WEBHOOK_POLL_MS,
    limits.WEBHOOK_HOLD_MS,
    limits.WEBHOOK_TIMEOUT_MS,
    DRAIN_TIMEOUT_MS,
    limits.WEBHOOK_LEASE_MS
  )
  areInOrder(
    t,
    'renewals of that lease',
    limits.WEBHOOK_HOLD_MS + limits.WEBHOOK_GATHER_MS + 2 * answerTimeout,
    limits.WEBHOOK_LEASE_MS
  )
  areInOrder(
    t,
    'the pauses between deliveries',
    limits.WEBHOOK_FIRST_PAUSE_MS,
    limits.WEBHOOK_LONGEST_PAUSE_MS,
    limits.WEBHOOK_LONGEST_RETRY_AFTER_MS,
    limits.WEBHOOK_RETRY_MS
  )
  areInOrder(t, 'reads of the feed', limits.MAX_WEBHOOK_READS, limits.CHANGE_CONNECTIONS)
  areInOrder(t, 'a scrape', limits.SCRAPE_TIMEOUT_MS, limits.PROBE_DEADLINE_MS)
  areInOrder(t, 'the pauses of retries', limits.FIRST_PAUSE_MS, limits.LONGEST_PAUSE_MS + 1)
})

t.test('the steps of a shutdown fit into its time limit', async (t) => {
  const steps =
    limits.DRAIN_TIMEOUT_MS +
    limits.LAST_ANSWERS_TIMEOUT_MS +
    limits.POOL_CLOSE_TIMEOUT_SECONDS * 1000 +
    limits.LOG_FLUSH_TIMEOUT_MS
  t.ok(steps <= limits.SHUTDOWN_TIMEOUT_MS, `${steps} ms`)
})

t.test('operations that may take minutes leave connections for other bulk work', async (t) => {
  const long = limits.MAX_IMPORTS + limits.MAX_DOWNLOADS + limits.MAX_OVERLAPS + limits.BULK_JOBS
  t.ok(limits.BULK_CONNECTIONS > long, `${limits.BULK_CONNECTIONS} > ${long}`)
  t.ok(limits.MAX_IMPORTS_PER_CALLER <= limits.MAX_IMPORTS / 2)
})
