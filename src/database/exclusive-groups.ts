/**
 * Exclusive groups of segments: a user is in at most one segment of a group at any moment.
 *
 * A change of many members of one segment, and a change of a group, lock the group and all of its segments exclusively.
 * Nobody joins or leaves these segments meanwhile, so what is read after the locks were taken stays true. A change of one
 * user locks the segment to add, shared, and the user (see `migrations/functions/change_user_segments.sql`).
 */
import type { Slug, Time } from '../../schemas/common.ts'
import { formatTime, type Sql } from './connect.ts'
import { ConcurrentChange } from './faults.ts'
import { lockGroup, lockSegments } from './locks.ts'
import { toTimestamp } from './times.ts'

/** A segment of the same group, which is not deleted. */
export type Rival = { id: number; slug: Slug }

/** Reads the group of a segment; null if it is in none. */
export async function selectGroupId(sql: Sql, segmentId: number): Promise<number | null> {
  const [segment] = await sql<{ group_id: number | null }[]>`
    select group_id
    from segments
    where id = ${segmentId}`
  return segment?.group_id ?? null
}

/** Reads the id of a group that is not deleted. */
export async function findGroup(sql: Sql, slug: Slug): Promise<number | undefined> {
  const [group] = await sql<{ id: number }[]>`
    select id
    from exclusive_groups
    where slug = ${slug}
      and deleted_at is null`
  return group?.id
}

/** Lists the segments of groups that are not deleted. */
export async function listGroupSegments(sql: Sql, groupIds: readonly number[]): Promise<Rival[]> {
  return sql<Rival[]>`
    select id, slug
    from segments
    where group_id = any (${groupIds as number[]}::bigint[])
      and deleted_at is null
    order by segments.id`
}

type Locks = {
  /** A segment whose memberships change. Its group is locked too. */
  segmentId?: number | null
  /** Further groups to lock. */
  groupIds?: readonly number[]
  /** Segments to lock shared. */
  shared?: readonly number[]
}

/**
 * Takes the locks of groups, exclusively, of all their segments and of a segment that may be in a group.
 *
 * @returns the group of the segment; null if it is in none.
 * @throws {ConcurrentChange} if the segment has joined or left a group before it was locked.
 */
export async function lockGroups(
  sql: Sql,
  { segmentId = null, groupIds = [], shared = [] }: Locks
): Promise<number | null> {
  const groupId = segmentId === null ? null : await selectGroupId(sql, segmentId)
  const locked = new Set(groupId === null ? groupIds : [groupId, ...groupIds])
  const ordered = [...locked].sort((a, b) => a - b)
  for (const id of ordered) await lockGroup(sql, id)
  const members = ordered.length === 0 ? [] : await listGroupSegments(sql, ordered)
  const exclusive = members.map(({ id }) => id)
  if (segmentId !== null) exclusive.push(segmentId)
  await lockSegments(sql, exclusive, shared)
  if (segmentId !== null && (await selectGroupId(sql, segmentId)) !== groupId)
    throw new ConcurrentChange('the segment has joined or left a group')
  return groupId
}

/** Lists the segments of a group except one; none if there is no group. */
export async function listRivals(sql: Sql, groupId: number | null, segmentId: number): Promise<Rival[]> {
  if (groupId === null) return []
  return (await listGroupSegments(sql, [groupId])).filter(({ id }) => id !== segmentId)
}

/**
 * Returns the earliest time, from `from` on, at which members may be added to a segment of the group: later than all
 * removals from its segments, even if the server's clock has gone back. The caller holds the locks of the group.
 *
 * @param from null: now.
 */
export async function nextMomentOfGroup(sql: Sql, groupId: number, from: Time | null): Promise<Time> {
  const segments = await listGroupSegments(sql, [groupId])
  const [{ deleted_at }] = await sql<[{ deleted_at: Time | null }]>`
    select ${formatTime(sql, 'deleted_at')} as deleted_at
    from (
      select max(deleted_at) + interval '1 microsecond' as deleted_at
      from segments
      where group_id = ${groupId}
    ) deletions`
  const [{ moment }] = await sql<[{ moment: Time }]>`
    select ${formatTime(sql, 'moment')} as moment
    from (
      select greatest(
        coalesce(${toTimestamp(sql, from)}, clock_timestamp()),
        ${toTimestamp(sql, deleted_at)},
        max(next_moment(id::integer, coalesce(${toTimestamp(sql, from)}, clock_timestamp())))
      ) as moment
      from unnest(${segments.map(({ id }) => id)}::bigint[]) as id
    ) moments`
  return moment
}

/** A condition on rows of `memberships`: the membership is in one of the segments, and active at a time. */
export function isActiveIn(sql: Sql, segmentIds: readonly number[], at: Time) {
  return sql`(
    memberships.segment_id = any (${segmentIds as number[]}::bigint[])
    and memberships.removed_at is null
    and (memberships.expires_at is null or memberships.expires_at > ${toTimestamp(sql, at)})
  )`
}

/** A condition on rows of `users`: the user is in none of the segments at a time. */
export function isFree(sql: Sql, segmentIds: readonly number[], at: Time) {
  return sql`not exists (
    select
    from memberships
    where memberships.user_id = users.id
      and ${isActiveIn(sql, segmentIds, at)}
  )`
}

/**
 * Counts the users who may be sampled for a segment of the group: who are in none of its segments at a time, less those
 * who are reserved for segments of the group that are to be filled in the background.
 *
 * @param exceptFor a segment whose own reservation does not count.
 */
export async function countFreeUsers(
  sql: Sql,
  groupId: number,
  at: Time,
  exceptFor: number | null = null
): Promise<number> {
  const segments = await listGroupSegments(sql, [groupId])
  const [{ users }] = await sql<[{ users: number }]>`select count(*)::double precision as users from users`
  const [{ members }] = await sql<[{ members: number }]>`
    select count(*)::double precision as members
    from memberships
    where ${isActiveIn(
      sql,
      segments.map(({ id }) => id),
      at
    )}`
  const [{ reserved }] = await sql<[{ reserved: number }]>`
    select coalesce(sum(target), 0)::double precision as reserved
    from assignments
    join segments on segments.id = segment_id
    where group_id = ${groupId}
      and deleted_at is null
      and status = 'queued'
      and segments.id is distinct from ${exceptFor}::integer`
  return Math.max(0, users - members - reserved)
}
