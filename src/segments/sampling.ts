import type { Time } from '../../schemas/common.ts'
import type { Sql } from '../database/connect.ts'
import { isFree } from '../database/exclusive-groups.ts'
import { type Population, populationUsers } from './populations.ts'

/** How to sample a share of a population. */
export type Sampling = {
  population: Population
  /** The number of users to sample: exactly ceil(share × number of users). */
  goal: number
  /** The probability with which a user becomes a candidate. There are more candidates than the goal. */
  candidateShare: number
}

/** Computes how many users of a population a share from 0 to 1 is. The arithmetic is decimal: 0.07 of 100 users is 7. */
export async function countShare(sql: Sql, share: number, population: Population): Promise<Sampling> {
  const [{ users, goal }] = await sql<[{ users: number; goal: number }]>`
    select
      count(*)::double precision as users,
      ceil(${String(share)}::text::numeric * count(*))::double precision as goal
    from (${populationUsers(sql, population)}) users`
  return { population, goal, candidateShare: chooseCandidateShare(goal, users) }
}

/** Counts the users of a population who are in none of the segments at a time. */
export async function countFree(
  sql: Sql,
  population: Population,
  segmentIds: readonly number[],
  at: Time
): Promise<number> {
  const [{ users }] = await sql<[{ users: number }]>`
    select count(*)::double precision as users
    from (${populationUsers(sql, population)}) users
    where ${isFree(sql, segmentIds, at)}`
  return users
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
export function sampleUsers(sql: Sql, { population, goal, candidateShare }: Sampling) {
  return sql`
    select id
    from (${populationUsers(sql, population)}) users
    where random() < ${candidateShare}
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
  { population, goal, candidateShare }: Sampling,
  segmentIds: readonly number[],
  at: Time
) {
  return sql`
    select id
    from (${populationUsers(sql, population)}) users
    where random() < ${candidateShare}
      and ${isFree(sql, segmentIds, at)}
    order by random()
    limit ${goal}`
}
