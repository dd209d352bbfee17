import type { Pool, Sql } from './pool.ts'
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
 * @param work receives the tag whose statements belong to the transaction. With `retryWrite` it may be called again.
 * @throws {ConnectionError} if the connection was lost. `mayHaveEffect` is true only if it was lost after `commit` was
 * sent: then it is unknown whether the transaction was committed.
 */
export async function transaction<T>(
  pool: Pool,
  work: (sql: Sql) => Promise<T>,
  options: TransactionOptions = {}
): Promise<T> {
  const session = await pool.openSession(writeBegin(options))
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

function writeBegin({ isolation, settings = {}, genericPlans = false }: TransactionOptions): string {
  const begin = isolation ? `begin isolation level ${isolation}` : 'begin'
  const changes = Object.entries(settings).map(([name, value]) => `set local ${name} = '${value}'`)
  if (genericPlans)
    changes.push(`select set_config('plan_cache_mode', 'force_generic_plan', true) where not ${HAS_CITUS}`)
  return [begin, ...changes].join('; ')
}
