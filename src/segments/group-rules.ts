/** How segments enter exclusive groups, and what has to be true of them there. The callers hold the locks of the groups. */
import type { Slug, Time } from '../../schemas/common.ts'
import type { Sql } from '../database/connect.ts'
import { findGroup, isActiveIn, listGroupSegments, lockGroups } from '../database/exclusive-groups.ts'
import { toTimestamp } from '../database/times.ts'
import { enrollmentExhausted, groupFull, groupNotFound, groupOverlap } from '../http/errors.ts'
import { MAX_GROUP_SEGMENTS } from '../limits.ts'

/**
 * Locks a group that a segment is to enter, with all of its segments.
 *
 * @param segmentId the segment, which is locked too, with its own group; null if it is still to be created.
 * @returns the id of the group.
 * @throws {ApiError} GROUP_NOT_FOUND or GROUP_FULL.
 */
export async function enterGroup(sql: Sql, slug: Slug, segmentId: number | null): Promise<number> {
  const groupId = await findGroup(sql, slug)
  if (groupId === undefined) throw groupNotFound(slug)
  const current = await lockGroups(sql, { segmentId, groupIds: [groupId] })
  // It may have been deleted before it was locked.
  if ((await findGroup(sql, slug)) === undefined) throw groupNotFound(slug)
  if (current === groupId) return groupId
  const segments = await listGroupSegments(sql, [groupId])
  if (segments.length >= MAX_GROUP_SEGMENTS) throw groupFull(slug, MAX_GROUP_SEGMENTS)
  return groupId
}

/**
 * Checks that no member of a segment is in a segment of the group.
 *
 * @throws {ApiError} GROUP_CONFLICT with the number of such users.
 */
export async function checkOverlap(
  sql: Sql,
  segment: { id: number; slug: Slug },
  group: { id: number; slug: Slug },
  at: Time
): Promise<void> {
  const others = (await listGroupSegments(sql, [group.id])).map(({ id }) => id)
  const [{ users }] = await sql<[{ users: number }]>`
    select count(*)::double precision as users
    from memberships
    join memberships own on own.user_id = memberships.user_id
    where ${isActiveIn(sql, others, at)}
      and own.segment_id = ${segment.id}
      and own.removed_at is null
      and (own.expires_at is null or own.expires_at > ${toTimestamp(sql, at)})`
  if (users > 0) throw groupOverlap(segment.slug, group.slug, users)
}

/**
 * Checks that the shares by which the segments of a group enroll new users are at most 1 together.
 *
 * @throws {ApiError} GROUP_EXHAUSTED.
 */
export async function checkEnrollment(sql: Sql, group: { id: number; slug: Slug }): Promise<void> {
  const [{ share, is_too_large }] = await sql<[{ share: string; is_too_large: boolean }]>`
    select
      coalesce(sum(selection), 0)::text as share,
      coalesce(sum(selection), 0) > 1 as is_too_large
    from segments
    where group_id = ${group.id}
      and enroll_new_users
      and deleted_at is null`
  if (is_too_large) throw enrollmentExhausted(group.slug, share)
}
