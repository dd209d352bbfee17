/** Reads why a user is, or was, in a segment, and erases a user. */
import type { Slug, Time, UserId } from '../../schemas/common.ts'
import type { MembershipState, UserMembership } from '../../schemas/memberships.ts'
import { logErasure } from '../database/change-log.ts'
import { formatTime, type Pool, type Sql, type Transaction } from '../database/connect.ts'
import { lockErasure, lockUser } from '../database/locks.ts'
import { toTimestamp, wasActive } from '../database/times.ts'
import { transaction } from '../database/transaction.ts'

/**
 * Reads the memberships that a user has or had at a given time, each as it was recorded at that time: an expiry that was
 * set again later is not shown.
 *
 * @param at null: now.
 * @returns undefined for an unknown user, null for a time in the future.
 */
export async function selectMemberships(
  sql: Sql,
  userId: UserId,
  at: Time | null
): Promise<UserMembership[] | null | undefined> {
  const rows = await sql<(UserMembership & { is_past: boolean })[]>`
    select
      moment.at <= now() as is_past,
      slug,
      ${formatTime(sql, 'added_at')} as added_at,
      case when set_again.set_at is null
        then ${formatTime(sql, 'initial_expires_at')}
        else ${formatTime(sql, 'set_again.expires_at')}
      end as expires_at,
      added_cause as cause,
      added_by as actor
    from users
    cross join (select coalesce(${toTimestamp(sql, at)}, now()) as at) moment
    left join periods on periods.user_id = ${userId}
      and ${wasActive(sql, sql`moment.at`)}
    left join lateral (
      select set_at, expires_at
      from expiry_changes
      where user_id = ${userId}
        and segment_id = periods.segment_id
        and set_at >= periods.added_at
        and set_at <= moment.at
      order by set_at desc
      limit 1
    ) set_again on true
    where users.id = ${userId}
    order by periods.segment_id`
  const [first] = rows
  if (!first) return undefined
  if (!first.is_past) return null
  // A user without memberships is one row without a slug.
  return rows.filter(({ slug }) => slug !== null).map(({ is_past: _, ...membership }) => membership)
}

/** A row of a left join: without a membership, `added_at` is null and the rest means nothing. */
type MembershipRow = Omit<UserMembership, 'slug' | 'added_at'> & { added_at: Time | null }

/**
 * Reads whether a user is in a segment now. A deleted segment has no members.
 *
 * @returns which of the two is unknown, if one is.
 */
export async function selectMembership(
  sql: Sql,
  slug: Slug,
  userId: UserId
): Promise<MembershipState | 'segment_not_found' | 'user_not_found'> {
  const [row] = await sql<[MembershipRow & { segment_exists: boolean; user_exists: boolean }]>`
    select
      exists (select from segments where slug = ${slug}) as segment_exists,
      exists (select from users where id = ${userId}) as user_exists,
      ${formatTime(sql, 'membership.added_at')} as added_at,
      ${formatTime(sql, 'membership.expires_at')} as expires_at,
      added_cause as cause,
      added_by as actor
    from (values (1)) one_row
    left join (
      select *
      from open_periods
      where user_id = ${userId}
        and slug = ${slug}
        and active
    ) membership on true`
  const { segment_exists, user_exists, added_at, expires_at, cause, actor } = row
  if (!segment_exists) return 'segment_not_found'
  if (!user_exists) return 'user_not_found'
  return added_at === null ? { member: false } : { member: true, added_at, expires_at, cause, actor }
}

/**
 * Erases a user: every row that contains the id, except lines of uploads that have not taken effect yet and the entry of
 * the erasure in the change feed. Waits for changes
 * of many users that are in progress, which may have read the user.
 *
 * @param deleteReports deletes the reports that may contain the user, in the same transaction.
 * @returns false if the user is unknown; then nothing has changed.
 */
export function eraseUser(
  db: Pool | Transaction,
  userId: UserId,
  actor: string | null,
  deleteReports: (sql: Sql) => Promise<void>
): Promise<boolean> {
  return transaction(db, async (sql) => {
    await lockErasure(sql)
    await lockUser(sql, userId)
    const { count } = await sql`delete from users where id = ${userId}`
    if (count === 0) return false
    await sql`delete from memberships where user_id = ${userId}`
    await sql`delete from expiry_changes where user_id = ${userId}`
    await sql`delete from assignment_exceptions where user_id = ${userId}`
    await sql`
      with reduced as (
        update assignment_chunks
        set user_ids = array_remove(user_ids, ${userId}::bigint)
        where ${userId}::bigint = any (user_ids)
        returning segment_id
      )
      update assignments
      set target = target - 1
      from reduced
      where assignments.segment_id = reduced.segment_id`
    await sql`
      delete from import_lines
      using imports
      where import_lines.user_id = ${userId}
        and imports.id = import_id
        and ended_at is not null`
    await deleteReports(sql)
    await logErasure(sql, userId, actor)
    return true
  })
}
