/**
 * The locks that writes take: PostgreSQL advisory locks, held until the transaction ends.
 * `migrations/functions/change_user_segments.sql` and `deleteSegment` take the same locks in SQL of their own.
 *
 * A transaction takes its locks in the order below, and the locks of several segments in the order of their ids. This
 * order prevents deadlocks.
 *
 * A statement sees what was committed before the statement began, not what was committed while it waited for a lock. So
 * one statement takes the lock, and a later statement reads what the lock protects. A function that is called in between,
 * such as `next_moment`, counts as a later statement.
 *
 * 1. Erasure, (4, 0). Shared: many users are read, and rows with their ids are written. Exclusive: a user is erased. No row
 *    with the id is therefore written after the erasure.
 * 2. Population, (3, 0). Shared: users become known. Exclusive: a segment starts to enroll new users. Each user is
 *    therefore either known, and may be sampled for the segment's share, or enrolled when first seen; never both or
 *    neither.
 * 3. Group, (7, id). Exclusive: a segment joins or leaves the exclusive group, or many memberships in its segments are
 *    added. All segments of the group are then locked exclusively too (see exclusive-groups.ts). Changes of single users
 *    do not take it: the lock of any segment of the group is enough.
 * 4. Segment, (1, id). Shared: single memberships in the segment change. Exclusive: the segment is deleted, or many of
 *    its memberships change.
 * 5. User, (id). Exclusive: the user's memberships change. Changes of many users do not take it, because they hold the
 *    segment's lock exclusively.
 *
 * The lock of an idempotency key, a negative (id), is tried before all others, and nobody waits for it. It shows whether
 * another request with the same key is in progress.
 *
 * The lock of report orders, (5, 0), is taken without any of the others, except that of a key. It makes orders count the
 * unfinished reports one after the other.
 *
 * The lock of webhooks, (7, 0), is taken without any of the others, except that of a key. It makes requests that create a
 * webhook count those that exist one after the other.
 *
 * The upkeep lock, (6, 0), is taken alone. It lets one instance at a time make and drop partitions of the log of changes.
 *
 * The closing lock, (2, 0), is taken alone. It lets one instance at a time write the ends of periods in deleted
 * segments.
 */
import type { UserId } from '../../schemas/common.ts'
import type { Sql } from './connect.ts'

/** Takes the erasure lock exclusively: nobody changes the memberships of many users until the transaction ends. */
export async function lockErasure(sql: Sql): Promise<void> {
  await sql`select pg_advisory_xact_lock(4, 0)`
}

/** Takes the erasure lock shared: no user is erased until the transaction ends. */
export async function shareErasure(sql: Sql): Promise<void> {
  await sql`select pg_advisory_xact_lock_shared(4, 0)`
}

/** Takes the user's lock exclusively: nobody else changes the user's memberships until the transaction ends. */
export async function lockUser(sql: Sql, userId: UserId): Promise<void> {
  await sql`select pg_advisory_xact_lock(${userId}::bigint)`
}

/** Takes the population lock exclusively: no user becomes known until the transaction ends. */
export async function lockPopulation(sql: Sql): Promise<void> {
  await sql`select pg_advisory_xact_lock(3, 0)`
}

/** Takes the population lock shared: no segment starts to enroll new users until the transaction ends. */
export async function sharePopulation(sql: Sql): Promise<void> {
  await sql`select pg_advisory_xact_lock_shared(3, 0)`
}

/** Takes the lock of an exclusive group: no other segment joins or leaves it until the transaction ends. */
export async function lockGroup(sql: Sql, groupId: number): Promise<void> {
  await sql`select pg_advisory_xact_lock(7, ${groupId})`
}

/** Takes the segment's lock exclusively: nobody else changes its memberships until the transaction ends. */
export async function lockSegment(sql: Sql, segmentId: number): Promise<void> {
  await sql`select pg_advisory_xact_lock(1, ${segmentId})`
}

/**
 * Takes the locks of segments, in the order of their ids, until the transaction ends.
 *
 * @param exclusive nobody else changes the memberships of these segments.
 * @param shared nobody deletes these segments or changes many of their memberships. May repeat ids of the others.
 */
export async function lockSegments(
  sql: Sql,
  exclusive: readonly number[],
  shared: readonly number[] = []
): Promise<void> {
  await sql`
    select
      case
        when is_exclusive then pg_advisory_xact_lock(1, id::integer)
        else pg_advisory_xact_lock_shared(1, id::integer)
      end
    from (
      select id, id = any (${exclusive as number[]}::bigint[]) as is_exclusive
      from unnest(${exclusive as number[]}::bigint[] || ${shared as number[]}::bigint[]) as id
      group by id
      order by id
    ) ordered`
}

/** Takes the closing lock. @returns false if another instance holds it; this function never waits. */
export async function tryLockClosing(sql: Sql): Promise<boolean> {
  const [row] = await sql<[{ locked: boolean }]>`select pg_try_advisory_xact_lock(2, 0) as locked`
  return row.locked
}

/** Takes the lock of report orders: no other report is queued until the transaction ends. */
export async function lockReportOrders(sql: Sql): Promise<void> {
  await sql`select pg_advisory_xact_lock(5, 0)`
}

/** Takes the lock of webhooks: no other webhook is created until the transaction ends. */
export async function lockWebhooks(sql: Sql): Promise<void> {
  await sql`select pg_advisory_xact_lock(7, 0)`
}

/**
 * Takes the lock of an idempotency key.
 *
 * @param lock a negative number. Users have positive ones.
 * @returns false if another transaction holds it; this function never waits.
 */
export async function tryLockKey(sql: Sql, lock: bigint): Promise<boolean> {
  const [row] = await sql<[{ locked: boolean }]>`
    select pg_try_advisory_xact_lock(${String(lock)}::bigint) as locked`
  return row.locked
}

/** Takes the upkeep lock. @returns false if another instance holds it; this function never waits. */
export async function tryLockUpkeep(sql: Sql): Promise<boolean> {
  const [row] = await sql<[{ locked: boolean }]>`select pg_try_advisory_xact_lock(6, 0) as locked`
  return row.locked
}
