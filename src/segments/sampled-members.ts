/** The members of a segment who are there by chance: counts, adds and removes them. */
import type { Time } from '../../schemas/common.ts'
import { logMemberships } from '../database/change-log.ts'
import type { Sql } from '../database/connect.ts'
import { isFree } from '../database/exclusive-groups.ts'
import { nextMoment, toTimestamp } from '../database/times.ts'
import { type Population, populationUsers } from './populations.ts'
import { countShare } from './sampling.ts'

/**
 * Options of a transaction that samples members. Sorts and joins may have as many rows as there are users, so they get more
 * memory. For a segment that is newer than the statistics, the planner would expect a single member and might compare each
 * user with all members. A generic plan expects as many members as an average segment has.
 */
export const MEMBER_OPTIONS = { genericPlans: true, settings: { work_mem: '64MB', jit: 'off' } }

/** The members at a given time who were sampled or enrolled. */
function sampledMembers(sql: Sql, segmentId: number, at: Time) {
  return sql`
    open_periods
    where segment_id = ${segmentId}
      and (expires_at is null or expires_at > ${toTimestamp(sql, at)})
      and added_cause in ('selection', 'enrollment')`
}

/** Counts the members who were sampled or enrolled, and how many the share of the population asks for. */
export async function countSampled(
  sql: Sql,
  segmentId: number,
  share: number,
  population: Population,
  at: Time
): Promise<{ sampled: number; goal: number }> {
  const [{ sampled }] = await sql<[{ sampled: number }]>`
    select count(*)::double precision as sampled
    from ${sampledMembers(sql, segmentId, at)}`
  const { goal } = await countShare(sql, share, population)
  return { sampled, goal }
}

/** Which users to add. */
type RandomMembers = {
  count: number
  at: Time
  /** The name of the API key. */
  actor: string | null
  /** The ids of the other segments of the group. Their members are not added. */
  rivals: readonly number[]
  /** The users of whom the members are sampled. */
  population: Population
}

/**
 * Adds random users who are not members at the given time and were never explicitly removed.
 *
 * @returns how many were added: `count`, or fewer if there are not enough such users.
 */
export async function addRandomMembers(
  sql: Sql,
  segmentId: number,
  { count, at, actor, rivals, population }: RandomMembers
): Promise<number> {
  // An expired membership stays open until its end is written, and would block a new one.
  await sql`
    update memberships
    set removed_at = greatest(added_at, expires_at)
    where segment_id = ${segmentId}
      and removed_at is null
      and expires_at <= ${toTimestamp(sql, at)}`
  // The new memberships must begin after these ends. If the clock has gone back, an end may be later than `at`.
  const addedAt = await nextMoment(sql, segmentId, at)
  const [added] = await sql<[{ users: number }]>`
    with changed as (
      insert into memberships (user_id, segment_id, added_at, added_cause, added_by)
      select id, ${segmentId}, ${toTimestamp(sql, addedAt)}, 'selection', ${actor}
      from (
        select id
        from (${populationUsers(sql, population)}) users
        where not exists (
            select
            from open_periods
            where segment_id = ${segmentId}
              and user_id = users.id
          )
          and not exists (
            select
            from ended_periods
            where segment_id = ${segmentId}
              and user_id = users.id
              and ended_cause in ('request', 'import')
          )
          and not exists (
            select
            from assignment_exceptions
            where segment_id = ${segmentId}
              and user_id = users.id
          )
          ${rivals.length === 0 ? sql`` : sql`and ${isFree(sql, rivals, at)}`}
        order by random()
        limit ${count}
      ) sampled
      order by id
      returning user_id, segment_id, added_at as changed_at, expires_at
    ),
    logged as (${logMemberships(sql, { type: 'membership_added', cause: 'selection', actor })})
    select count(*)::double precision as users from changed`
  return added.users
}

/** Removes `count` random members who were sampled or enrolled. */
export async function removeRandomMembers(
  sql: Sql,
  segmentId: number,
  count: number,
  at: Time,
  actor: string | null
): Promise<number> {
  // `any (array(…))` makes PostgreSQL find each user through an index.
  const [removed] = await sql<[{ users: number }]>`
    with changed as (
      update memberships
      set removed_at = greatest(added_at, ${toTimestamp(sql, at)}),
        removed_cause = 'selection_lowered',
        removed_by = ${actor}
      where segment_id = ${segmentId}
        and removed_at is null
        and user_id = any (
          array(
            select user_id
            from ${sampledMembers(sql, segmentId, at)}
            order by random()
            limit ${count}
          )
        )
      returning user_id, segment_id, removed_at as changed_at, null::timestamptz as expires_at
    ),
    logged as (${logMemberships(sql, { type: 'membership_removed', cause: 'selection_lowered', actor })})
    select count(*)::double precision as users from changed`
  return removed.users
}
