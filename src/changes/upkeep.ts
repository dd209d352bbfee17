import type { Pool } from '../database/connect.ts'
import { isLockTimeout } from '../database/faults.ts'
import { tryLockUpkeep } from '../database/locks.ts'
import { transaction } from '../database/transaction.ts'
import { CHANGE_UPKEEP_LOCK_TIMEOUT_MS } from '../limits.ts'

const OPTIONS = { settings: { lock_timeout: `${CHANGE_UPKEEP_LOCK_TIMEOUT_MS}ms` } }

/**
 * Makes a partition of the log of changes ahead, or drops one that is past the retention. If a transaction that has read or
 * written the log stays open, it is left for the next call: others must not wait for this again and again.
 *
 * @param retention days for which changes are kept.
 * @returns whether there may be more to do; false if another instance is doing it.
 */
export async function keepPartitions(pool: Pool, retention: number): Promise<boolean> {
  try {
    return await transaction(
      pool,
      async (sql) => {
        if (!(await tryLockUpkeep(sql))) return false
        const [{ more }] = await sql<[{ more: boolean }]>`
          select keep_change_partitions(${retention}::integer) as more`
        return more
      },
      OPTIONS
    )
  } catch (error) {
    if (isLockTimeout(error)) return false
    throw error
  }
}
