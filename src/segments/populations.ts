/** The users of whom a share is sampled: all known users, or a composition of segments. */
import type { Slug, Time } from '../../schemas/common.ts'
import type { RecordedComposition } from '../../schemas/compositions.ts'
import { formatTime, type Pool, type Sql } from '../database/connect.ts'
import { lockPopulation, lockSegments } from '../database/locks.ts'
import { selectSegmentIds } from '../database/segment-slugs.ts'
import { toTimestamp, wasActive } from '../database/times.ts'
import { transaction } from '../database/transaction.ts'
import { invalidRequest, segmentsNotFound } from '../http/errors.ts'

/** The users who were in all of the segments `all`, in one of `any`, unless it is empty, and in none of `none`. */
export type Population = {
  /** Ids of segments. Each is in one of the lists. */
  all: readonly number[]
  any: readonly number[]
  none: readonly number[]
  /** The moment to which this refers. Null, only without segments: now. */
  at: Time | null
}

/** All users who are known, or were known at a time. */
export const everybody = (knownAt: Time | null): Population => ({ all: [], any: [], none: [], at: knownAt })

export const isEverybody = ({ all, any, none }: Population) => all.length + any.length + none.length === 0

/** A subquery for the `id`s of a population. It reads the periods in these segments once, and never user by user. */
export function populationUsers(sql: Sql, { all, any, none, at }: Population) {
  const moment = toTimestamp(sql, at)
  // A user has at most one active period in a segment.
  const isInAll = sql`count(*) filter (where segment_id = any (${all as number[]}::bigint[])) = ${all.length}`
  const isInAny = sql`bool_or(segment_id = any (${any as number[]}::bigint[]))`
  const isInNone = sql`bool_or(segment_id = any (${none as number[]}::bigint[]))`
  if (all.length + any.length > 0)
    return sql`
      select user_id as id
      from period_starts
      where segment_id = any (${[...all, ...any, ...none]}::bigint[])
        and ${wasActive(sql, moment)}
      group by user_id
      having ${isInAll}
        and not ${isInNone}
        ${any.length > 0 ? sql`and ${isInAny}` : sql``}`
  const isOutside = sql`
    and not exists (
      select
      from period_starts
      where user_id = users.id
        and segment_id = any (${none as number[]}::bigint[])
        and ${wasActive(sql, moment)}
    )`
  return sql`
    select id
    from users
    where created_at <= coalesce(${moment}, 'infinity')
      ${none.length > 0 ? isOutside : sql``}`
}

/** Counts the users of a population. */
export async function countUsersOf(sql: Sql, population: Population): Promise<number> {
  const [row] = await sql<[{ users: number }]>`
    select count(*)::double precision as users
    from (${populationUsers(sql, population)}) users`
  return row.users
}

/**
 * Finds the segments of a composition.
 *
 * @throws {ApiError} SEGMENTS_NOT_FOUND with the slugs that name no segment, or one that was deleted at that moment.
 */
export async function findPopulation(
  sql: Sql,
  { all, any, none, at }: RecordedComposition
): Promise<Population> {
  const slugs = [...all, ...any, ...none]
  const rows = await sql<{ id: number; slug: Slug }[]>`
    select id, slug
    from segments
    where slug = any (${slugs}::text[])
      and (deleted_at is null or deleted_at > ${toTimestamp(sql, at)})`
  const ids = new Map(rows.map(({ id, slug }) => [slug, id]))
  const missing = slugs.filter((slug) => !ids.has(slug))
  if (missing.length > 0) throw segmentsNotFound(missing)
  const toIds = (list: readonly Slug[]) => list.flatMap((slug) => ids.get(slug) ?? [])
  return { all: toIds(all), any: toIds(any), none: toIds(none), at }
}

/** The population of a segment. @param knownAt when its users were known, unless it has a composition; null: now. */
export async function populationOf(
  sql: Sql,
  composition: RecordedComposition | null,
  knownAt: Time | null
): Promise<Population> {
  return composition === null ? everybody(knownAt) : findPopulation(sql, composition)
}

/** A composition whose moment is not fixed yet: null means now. */
export type OpenComposition = Omit<RecordedComposition, 'at'> & { at: Time | null }

/** The part of a new segment that {@link fixComposition} decides. */
export type FixedComposition = { from: RecordedComposition; createdAt: Time }

/**
 * Fixes the moment of a composition, by default now. It takes the locks of what it refers to, and gives them back: changes
 * that are dated before the moment have been committed then, and later ones are dated after it. So the same users are read
 * at any later time, without a lock.
 *
 * @throws {ApiError} if the moment is in the future.
 */
export function fixComposition(
  pool: Pool,
  { all, any, none, at }: OpenComposition
): Promise<FixedComposition> {
  return transaction(pool, async (sql) => {
    if (all.length + any.length === 0) await lockPopulation(sql)
    await lockSegments(sql, await selectSegmentIds(sql, [...all, ...any, ...none]))
    const { moment, now } = await readMoment(sql, at)
    return { from: { all, any, none, at: moment }, createdAt: now }
  })
}

/**
 * Reads the moment of a composition, by default now, and the time now.
 *
 * @throws {ApiError} if the moment is in the future.
 */
export async function readMoment(sql: Sql, at: Time | null): Promise<{ moment: Time; now: Time }> {
  const [row] = await sql<[{ moment: Time; now: Time; is_past: boolean }]>`
    select
      ${formatTime(sql, 'moment')} as moment,
      ${formatTime(sql, 'now')} as now,
      moment <= now as is_past
    from (
      select coalesce(${toTimestamp(sql, at)}, now) as moment, now
      from clock_timestamp() as now
    ) moments`
  if (!row.is_past) throw invalidRequest('body field (from.at) must not be in the future')
  return row
}
