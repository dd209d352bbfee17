/** The segment of an upload: its state, the locks of an upload to it, and the moment at which that takes effect. */
import type { Slug, Time } from '../../schemas/common.ts'
import type { Sql } from '../database/connect.ts'
import { lockGroups, nextMomentOfGroup } from '../database/exclusive-groups.ts'
import { shareErasure, sharePopulation } from '../database/locks.ts'
import { nextMoment } from '../database/times.ts'
import { segmentBeingFilled, segmentIsHoldout } from '../http/errors.ts'

/** The segment of an upload. */
export type TargetSegment = { id: number; group_id: number | null; is_holdout: boolean; is_filling: boolean }

/** Reads a segment that is not deleted. */
export async function findSegment(sql: Sql, slug: Slug): Promise<TargetSegment | undefined> {
  const [segment] = await sql<TargetSegment[]>`
    select id, group_id, is_holdout, coalesce(status in ('queued', 'running'), false) as is_filling
    from segments
    left join assignments on segment_id = segments.id
    where slug = ${slug}
      and deleted_at is null`
  return segment
}

/**
 * Checks that the members of a segment may be replaced. While it is being filled, they may not: users of the share would
 * join it afterwards.
 *
 * @throws {ApiError} SEGMENT_IS_HOLDOUT or SEGMENT_BEING_FILLED.
 */
export function checkReplaceable({ is_holdout, is_filling }: TargetSegment, slug: Slug): void {
  if (is_holdout) throw segmentIsHoldout(slug)
  if (is_filling) throw segmentBeingFilled(slug)
}

/** When an upload takes effect. */
export async function chooseMoment(sql: Sql, { id, group_id }: TargetSegment): Promise<Time> {
  return nextMoment(sql, id, group_id === null ? null : await nextMomentOfGroup(sql, group_id, null))
}

/**
 * Takes the locks of an import: no user is erased, its segment and the group of that exclusively and, if it has new users,
 * every segment that enrolls new users, shared.
 *
 * @returns the segments that enroll new users, except the import's own; undefined if the import has no new users.
 */
export async function lockForImport(
  sql: Sql,
  importId: string,
  segmentId: number | null
): Promise<number[] | undefined> {
  await shareErasure(sql)
  const newUsers = await sql`
    select
    from import_lines
    where import_id = ${importId}
      and not exists (select from users where id = user_id)
    limit 1`
  if (newUsers.length === 0) {
    await lockGroups(sql, { segmentId })
    return undefined
  }
  await sharePopulation(sql)
  const enrolling = await sql<{ id: number }[]>`
    select id
    from segments
    where enroll_new_users
      and deleted_at is null
      and id is distinct from ${segmentId}::integer`
  const ids = enrolling.map(({ id }) => id)
  await lockGroups(sql, { segmentId, shared: ids })
  return ids
}
