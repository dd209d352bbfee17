import type { Pool, Transaction } from './pool.ts'
import { HAS_CITUS } from './session-settings.ts'
import { WRITE_TOKEN } from './write-tokens.ts'

type TransactionOptions = {
  /** By default `read committed`: each statement sees what was committed before the statement began. */
  isolation?: 'repeatable read' | 'serializable'
  /** PostgreSQL settings for the transaction. They are not escaped: never use values from a request. */
  settings?: Record<string, string>
  /** Whether PostgreSQL plans each statement without regard to its parameters. It has no effect on Citus. */
  genericPlans?: boolean
}

/**
 * Runs `work` in a transaction on one connection, and commits. If `work` throws, or if one of its statements failed,
 * the transaction is rolled back, and that error is thrown. `work` should wait for nothing but its statements:
 * PostgreSQL ends a transaction that is idle for longer than `IDLE_IN_TRANSACTION_TIMEOUT_MS`.
 *
 * `begin` is not sent together with the first statement: if `begin` failed, that statement would run outside of a
 * transaction.
 *
 * @param db a pool, or an open transaction, of which `work` then becomes a part: it is committed, or rolled back, with the
 * rest. The settings then apply to the rest of that transaction too.
 * @param work receives the tag whose statements belong to the transaction. With `retryWrite` it may be called again.
 * @throws {ConnectionError} if the connection was lost. `mayHaveEffect` is true only if it was lost after `commit` was
 * sent: then it is unknown whether the transaction was committed.
 */
export async function transaction<T>(
  db: Pool | Transaction,
  work: (sql: Transaction) => Promise<T>,
  options: TransactionOptions = {}
): Promise<T> {
  if (db.isTransaction) return join(db, work, options)
  const session = await db.openSession(writeBegin(options))
  let result: T
  try {
    result = await work(session.sql)
  } catch (error) {
    await session.end('rollback').catch(() => {})
    throw error
  }
  const { onCommit, failure } = session
  const isTracked = onCommit !== undefined && failure() === undefined
  const results = await session.end(isTracked ? `select ${WRITE_TOKEN} as token; commit` : 'commit')
  // If a statement failed, PostgreSQL answers `commit` with ROLLBACK, even if `work` caught the error.
  if (results.at(-1)?.command !== 'COMMIT') throw failure()
  if (isTracked) onCommit(String(results[0]?.[0]?.['token']))
  return result
}

/** Runs `work` as a part of an open transaction. */
async function join<T>(
  sql: Transaction,
  work: (sql: Transaction) => Promise<T>,
  { isolation, ...options }: TransactionOptions
): Promise<T> {
  if (isolation) throw new Error('the isolation level of an open transaction cannot be changed')
  const settings = listSettings(options)
  if (settings.length > 0) await sql.unsafe(settings.join('; '))
  return work(sql)
}

function writeBegin({ isolation, ...options }: TransactionOptions): string {
  const begin = isolation ? `begin isolation level ${isolation}` : 'begin'
  return [begin, ...listSettings(options)].join('; ')
}

/** The commands that change the settings of a transaction. */
function listSettings({ settings = {}, genericPlans = false }: TransactionOptions): string[] {
  const changes = Object.entries(settings).map(([name, value]) => `set local ${name} = '${value}'`)
  if (genericPlans)
    changes.push(`select set_config('plan_cache_mode', 'force_generic_plan', true) where not ${HAS_CITUS}`)
  return changes
}
