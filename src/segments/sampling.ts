import type { Time } from '../../schemas/common.ts'
import type { Sql } from '../database/connect.ts'
import { isFree } from '../database/exclusive-groups.ts'
import { toTimestamp } from '../database/times.ts'

/** How to sample a share of the users who are known, or were known at an earlier time. */
export type Sampling = {
  /** The number of users to sample: exactly ceil(share × number of users). */
  goal: number
  /** The probability with which a user becomes a candidate. There are more candidates than the goal. */
  candidateShare: number
  /** Only users who were known at this time are sampled; null: all users. */
  knownAt: Time | null
}

/**
 * Computes how many users a share is. The arithmetic is decimal: 0.07 of 100 users is 7.
 *
 * @param share from 0 to 1.
 * @param knownAt counts only users who were known at this time; null: all users.
 */
export async function countShare(sql: Sql, share: number, knownAt: Time | null = null): Promise<Sampling> {
  const [{ users, goal }] = await sql<[{ users: number; goal: number }]>`
    select
      count(*)::double precision as users,
      ceil(${String(share)}::text::numeric * count(*))::double precision as goal
    from users
    where created_at <= coalesce(${toTimestamp(sql, knownAt)}, 'infinity')`
  return { goal, candidateShare: chooseCandidateShare(goal, users), knownAt }
}

/**
 * The probability with which a user has to become a candidate, so that enough do: eight standard deviations above the goal.
 * Fewer candidates than the goal occur less than once in 10^15 times.
 */
export function chooseCandidateShare(goal: number, users: number): number {
  return users === 0 ? 0 : Math.min(1, (goal + 8 * Math.sqrt(goal) + 40) / users)
}

/**
 * A subquery for the `id`s of randomly sampled users. Sorting all users would take most of the time, so it first
 * chooses candidates, each user with the same probability, and sorts only these.
 */
export function sampleUsers(sql: Sql, { goal, candidateShare, knownAt }: Sampling) {
  return sql`
    select id
    from users
    where created_at <= coalesce(${toTimestamp(sql, knownAt)}, 'infinity')
      and random() < ${candidateShare}
    order by random()
    limit ${goal}`
}

/**
 * The same for users who are in none of the segments at a time.
 *
 * @param sampling its `candidateShare` refers to these users.
 */
export function sampleFreeUsers(
  sql: Sql,
  { goal, candidateShare }: Sampling,
  segmentIds: readonly number[],
  at: Time
) {
  return sql`
    select id
    from users
    where random() < ${candidateShare}
      and ${isFree(sql, segmentIds, at)}
    order by random()
    limit ${goal}`
}
