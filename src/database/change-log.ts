/** Writes the table `changes`, from which the change feed is read, in the transaction of each change. */
import type { UserId } from '../../schemas/common.ts'
import { CHANGE_ROW_USERS } from '../limits.ts'
import type { Sql } from './connect.ts'

type MembershipChange = {
  type: 'membership_added' | 'membership_removed' | 'expiry_set'
  cause: 'selection' | 'enrollment' | 'import' | 'selection_lowered'
  /** The name of the API key. */
  actor: string | null
}

/**
 * The part of a statement that logs the changed memberships of many users. Its CTE `changed` has the columns `user_id`,
 * `segment_id`, `changed_at` and `expires_at`.
 */
export function logMemberships(sql: Sql, { type, cause, actor }: MembershipChange) {
  return sql`
    insert into changes (type, segment_id, changed_at, cause, actor, user_ids, expiries)
    select
      ${type}::change_type,
      segment_id,
      changed_at,
      ${cause}::change_cause,
      ${actor},
      array_agg(user_id order by user_id),
      case when count(expires_at) > 0 then array_agg(expires_at order by user_id) end
    from (
      select user_id, segment_id, changed_at, expires_at, (row_number() over () - 1) / ${CHANGE_ROW_USERS}::bigint as part
      from changed
    ) parts
    group by part, segment_id, changed_at`
}

/**
 * Removes a user from what is logged, and logs the erasure. The id stays in the entries of erasures, so that consumers
 * learn whom to erase. The caller holds the erasure lock and the user's lock. Reads the whole log.
 */
export async function logErasure(sql: Sql, userId: UserId, actor: string | null): Promise<void> {
  await sql`
    update changes
    set (user_ids, expiries) = (
      select
        coalesce(array_agg(user_id order by user_id), '{}'),
        case when changes.expiries is not null then array_agg(expires_at order by user_id) end
      from unnest(user_ids, expiries) as logged (user_id, expires_at)
      where user_id <> ${userId}
    )
    where ${userId}::bigint = any (user_ids)
      and type <> 'user_erased'`
  await sql`
    insert into changes (type, changed_at, actor, user_ids)
    values ('user_erased', clock_timestamp(), ${actor}, array[${userId}::bigint])`
}
