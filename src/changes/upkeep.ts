/** Makes the partitions of the log of changes ahead, and drops those past the retention. */
import type { Pool, Sql } from '../database/connect.ts'
import { tryLockUpkeep } from '../database/locks.ts'
import { transaction } from '../database/transaction.ts'
import { CHANGE_DAYS_AHEAD, CHANGE_UPKEEP_LOCK_TIMEOUT_MS } from '../limits.ts'

const OPTIONS = { settings: { lock_timeout: `${CHANGE_UPKEEP_LOCK_TIMEOUT_MS}ms` } }

/**
 * Makes or drops one partition, or deletes old rows that came before their partition.
 *
 * A partition is dropped a day after the last cursor that needs it has expired. The retention counts back from the newest
 * change: otherwise the cursors of a service without changes would expire.
 *
 * @param retention days for which changes are kept.
 * @returns whether there may be more to do; false if another instance is doing it.
 */
export function keepPartitions(pool: Pool, retention: number): Promise<boolean> {
  return transaction(
    pool,
    async (sql) => {
      if (!(await tryLockUpkeep(sql))) return false
      return (await makePartition(sql)) || (await dropPartition(sql, retention))
    },
    OPTIONS
  )
}

/**
 * Makes partitions from tomorrow on. While a partition of today is attached, a write that goes to the default partition would
 * fail: its row no longer belongs there. A day that already has rows there gets none.
 */
async function makePartition(sql: Sql): Promise<boolean> {
  const [missing] = await sql<{ name: string; day: string; next_day: string }[]>`
    select
      'changes_' || to_char(day, 'YYYYMMDD') as name,
      day::date::text as day,
      (day::date + 1)::text as next_day
    from generate_series(current_date + 1, current_date + ${CHANGE_DAYS_AHEAD}::integer, interval '1 day') as days (day)
    where to_regclass('changes_' || to_char(day, 'YYYYMMDD')) is null
      and not exists (select from changes_default where logged_on = day::date)
    order by days.day
    limit 1`
  if (!missing) return false
  // Attaching it, unlike creating it as a partition, does not make writes to other partitions wait.
  await sql.unsafe(`create table ${missing.name} (like changes including all)`)
  await sql.unsafe(
    `alter table changes attach partition ${missing.name} for values from ('${missing.day}') to ('${missing.next_day}')`
  )
  return true
}

async function dropPartition(sql: Sql, retention: number): Promise<boolean> {
  const [newest] = await sql<{ first_day: string }[]>`
    select (least(logged_on, current_date) - ${retention}::integer - 1)::text as first_day
    from changes
    order by changes.xid desc
    limit 1`
  if (!newest) return false
  const { count } = await sql`delete from changes_default where logged_on < ${newest.first_day}::text::date`
  const [expired] = await sql<{ name: string }[]>`
    select relname as name
    from pg_inherits
    join pg_class on pg_class.oid = inhrelid
    where inhparent = 'changes'::regclass
      and relname < 'changes_' || to_char(${newest.first_day}::text::date, 'YYYYMMDD')
      and relname <> 'changes_default'
    order by relname
    limit 1`
  if (!expired) return count > 0
  await sql.unsafe(`drop table ${expired.name}`)
  return true
}
