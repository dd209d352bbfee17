/**
 * The answers to writes that came with an `Idempotency-Key`. A write stores its answer in its own transaction, so both are
 * committed or neither is.
 *
 * Each day has a slot, a partition of the table. Before a slot is used again, it is emptied with `truncate`, which takes no
 * longer for many rows and leaves nothing to vacuum.
 */
import { isLockTimeout } from './faults.ts'
import { tryLockKey } from './locks.ts'
import type { Pool, Sql, Transaction } from './pool.ts'
import { transaction } from './transaction.ts'
import { type WriteToken, writeToken } from './write-tokens.ts'

/** Slots: today's, yesterday's, and the one that is emptied today. */
const SLOTS = 3

export type IdempotencyKey = {
  /** A digest of the caller and of the key: 32 bytes. */
  id: Buffer
  /** A digest of the request: 32 bytes. */
  fingerprint: Buffer
}

/** An answer, without the headers that every answer has. */
export type StoredAnswer<Body> = {
  status: number
  headers: Record<string, string>
  /** Null for an empty body. */
  body: Body
  token: WriteToken
}

/** The number of the day, in UTC, by which a slot is chosen. It does not change within a transaction. */
function today(sql: Sql) {
  return sql`floor(extract(epoch from now()) / 86400)::bigint`
}

/** The slot of the day that is `days` after today. */
function slotOf(sql: Sql, days: number) {
  return sql`((${today(sql)} + ${days + SLOTS}::integer) % ${SLOTS}::integer)::smallint`
}

/**
 * Takes the key for this transaction. Call it before any other statement of the transaction.
 *
 * @returns the answer that is stored for the key, `in use` if another transaction has taken the key, `reused` if the key is
 * stored for another request; undefined if the key is new.
 */
export async function takeKey<Body>(
  sql: Transaction,
  { id, fingerprint }: IdempotencyKey
): Promise<StoredAnswer<Body> | 'in use' | 'reused' | undefined> {
  // Positive numbers are the locks of users.
  const lock = -1n - (id.readBigUInt64BE() >> 1n)
  if (!(await tryLockKey(sql, lock))) return 'in use'
  // A statement of its own, so that it sees what was committed before the lock was released.
  const [stored] = await sql<(StoredAnswer<Body> & { is_same: boolean })[]>`
    select fingerprint = ${fingerprint} as is_same, status, headers, body, token
    from idempotency_keys
    where slot in (${slotOf(sql, 0)}, ${slotOf(sql, -1)})
      and id = ${id}
      and stored_at > now() - interval '24 hours'`
  if (!stored) return undefined
  const { is_same, ...answer } = stored
  return is_same ? answer : 'reused'
}

/**
 * Stores the answer to a write. Call it after all other statements of the transaction.
 *
 * @returns the token of the write.
 */
export async function storeAnswer<Body>(
  sql: Transaction,
  { id, fingerprint }: IdempotencyKey,
  { status, headers, body }: Omit<StoredAnswer<Body>, 'token'>
): Promise<WriteToken> {
  const bodyText = body === null ? null : JSON.stringify(body)
  // A conflict is with an answer that has expired, in a slot that nobody has emptied meanwhile.
  const [stored] = await sql<[{ token: WriteToken }]>`
    insert into idempotency_keys (slot, id, stored_at, fingerprint, token, status, headers, body)
    values (
      ${slotOf(sql, 0)}, ${id}, now(), ${fingerprint}, ${writeToken(sql)}, ${status},
      ${JSON.stringify(headers)}::text::json, ${bodyText}::text::json
    )
    on conflict (slot, id) do update
    set stored_at = excluded.stored_at,
      fingerprint = excluded.fingerprint,
      token = excluded.token,
      status = excluded.status,
      headers = excluded.headers,
      body = excluded.body
    returning token`
  return stored.token
}

/**
 * Empties the slot of tomorrow, whose answers have expired. If a write is in progress that has read it, it is left for the
 * next call: writes must not wait for this.
 */
export async function emptyExpiredSlot(pool: Pool): Promise<void> {
  const [found] = await pool<{ slot: number; day: string }[]>`
    select slot, ${today(pool)} as day
    from idempotency_keys
    where slot = ${slotOf(pool, 1)}
    limit 1`
  if (!found) return
  const partition = `idempotency_keys_${found.slot}`
  try {
    await transaction(
      pool,
      async (sql) => {
        await sql`lock table ${sql(partition)} in access exclusive mode`
        // If midnight has passed meanwhile, the slot is already in use.
        const [{ day }] = await sql<[{ day: string }]>`
          select floor(extract(epoch from clock_timestamp()) / 86400)::bigint as day`
        if (day === found.day) await sql`truncate ${sql(partition)}`
      },
      { settings: { lock_timeout: '100ms' } }
    )
  } catch (error) {
    if (!isLockTimeout(error)) throw error
  }
}
