/** Changes segments: their properties, their share of the users, and their exclusive group. */
import type { Slug, Time } from '../../schemas/common.ts'
import type { RecordedComposition } from '../../schemas/compositions.ts'
import type { ChangeSegmentBody, SegmentChange } from '../../schemas/segments.ts'
import type { Pool, Sql, Transaction } from '../database/connect.ts'
import { countFreeUsers, listRivals, lockGroups, nextMomentOfGroup } from '../database/exclusive-groups.ts'
import { lockPopulation, lockSegment, shareErasure } from '../database/locks.ts'
import { selectSegmentId } from '../database/segment-slugs.ts'
import { nextMoment, readClock, toTimestamp } from '../database/times.ts'
import { transaction } from '../database/transaction.ts'
import { groupExhausted, holdoutWithoutGroup } from '../http/errors.ts'
import { checkEnrollment, checkOverlap, enterGroup } from './group-rules.ts'
import { type Population, populationOf } from './populations.ts'
import { describeChanges, recordChange, type SegmentProperties } from './properties.ts'
import { addRandomMembers, countSampled, MEMBER_OPTIONS, removeRandomMembers } from './sampled-members.ts'

/** Why a segment was not changed. */
type Refusal = 'not_found' | 'no_selection' | 'composed' | 'filling'

/**
 * Changes a segment. With a new share, it also changes the members, until exactly ceil(selection × number of users) of
 * them are sampled or enrolled. If the segment was created from a composition, these are its users at its moment.
 *
 * - If there are too few, random users are added. Explicitly removed users are never sampled again.
 * - If there are too many and the share was lowered, random sampled or enrolled members are removed. Explicitly added
 *   members stay. If the share was raised or repeated, nobody is removed, even if enrollment has added more users than
 *   the share asks for.
 *
 * All of this refers to one moment, which is read under the segment's lock: it decides who is a member, and the change
 * takes effect at it.
 *
 * Nothing of this happens to users who are in another segment of the exclusive group: they are not sampled.
 *
 * @param change fields that are undefined stay as they are. A `description` or a `group` of null removes it. The slug of
 * the group is in upper case.
 * @returns how many users were added and removed, or why nothing has changed.
 * @throws {ApiError} GROUP_NOT_FOUND, GROUP_FULL, GROUP_CONFLICT if users would be in two segments of the group, or
 * GROUP_EXHAUSTED if too few users are free.
 */
export function changeSegment(
  db: Pool | Transaction,
  slug: Slug,
  change: ChangeSegmentBody,
  actor: string | null
): Promise<SegmentChange | Refusal> {
  const { selection, description, enroll_new_users } = change
  const share = selection === undefined ? null : String(selection)
  return transaction(
    db,
    async (sql) => {
      if (selection !== undefined) await shareErasure(sql)
      if (enroll_new_users) await lockPopulation(sql)
      const id = await selectSegmentId(sql, slug)
      if (id === undefined) return 'not_found'
      const enteredId = await lockForChange(sql, id, change)
      const current = await selectProperties(sql, id, share)
      if (!current) return 'not_found'
      if (enroll_new_users && current.composition !== null) return 'composed'
      const group = chooseGroup(current, change, enteredId)
      const hasMoved = group?.id !== current.group_id && (group !== null || current.group_id !== null)
      if (enroll_new_users && selection === undefined && current.selection === null) return 'no_selection'
      if ((selection !== undefined || hasMoved) && current.is_filling) return 'filling'
      if (change.holdout && group === null) throw holdoutWithoutGroup()
      const holdout = group !== null && (change.holdout ?? current.holdout)

      const rivals = group && (selection !== undefined || hasMoved) ? await listRivals(sql, group.id, id) : []
      const at = await chooseMoment(sql, id, group, selection !== undefined || hasMoved)
      if (group && hasMoved) await checkOverlap(sql, { id, slug }, group, at)
      await sql`
        update segments
        set selection = coalesce(${share}::text::numeric, selection),
          description = case when ${description !== undefined} then ${description ?? null} else description end,
          enroll_new_users = coalesce(${enroll_new_users ?? null}, enroll_new_users),
          group_id = ${group?.id ?? null},
          is_holdout = ${holdout}
        where id = ${id}`
      if (group && (selection !== undefined || enroll_new_users || hasMoved))
        await checkEnrollment(sql, group)
      const isLowered = current.is_lowered === true
      const members =
        selection === undefined
          ? { added: 0, removed: 0 }
          : await changeShare(
              sql,
              {
                id,
                group,
                rivals: rivals.map((rival) => rival.id),
                population: await populationOf(sql, current.composition, null)
              },
              selection,
              isLowered,
              at,
              actor
            )
      const changed = { selection, description, enroll_new_users, group: group?.slug ?? null, holdout }
      await recordChange(sql, id, describeChanges(current, changed), members, at, actor)
      return members
    },
    MEMBER_OPTIONS
  )
}

/** The exclusive group of a segment. */
type Group = { id: number; slug: Slug }

type CurrentProperties = SegmentProperties & {
  composition: RecordedComposition | null
  holdout: boolean
  group_id: number | null
  is_filling: boolean
  is_lowered: boolean | null
}

/**
 * Locks the segment and, unless only its description changes, its group and the one that it enters.
 *
 * @returns the group that it enters; undefined if it enters none.
 */
async function lockForChange(
  sql: Sql,
  id: number,
  { description: _, group, ...others }: ChangeSegmentBody
): Promise<number | undefined> {
  if (group) return enterGroup(sql, group, id)
  if (group === undefined && Object.values(others).every((value) => value === undefined))
    await lockSegment(sql, id)
  else await lockGroups(sql, { segmentId: id })
  return undefined
}

async function selectProperties(
  sql: Sql,
  id: number,
  share: string | null
): Promise<CurrentProperties | undefined> {
  const [current] = await sql<CurrentProperties[]>`
    select
      selection::double precision,
      composition,
      segments.description,
      enroll_new_users,
      group_id,
      exclusive_groups.slug as group,
      is_holdout as holdout,
      status in ('queued', 'running') as is_filling,
      ${share}::text::numeric < selection as is_lowered
    from segments
    left join assignments on segment_id = segments.id
    left join exclusive_groups on exclusive_groups.id = group_id
    where segments.id = ${id}
      and segments.deleted_at is null`
  return current
}

/** The group in which the segment is after the change. */
function chooseGroup(
  current: CurrentProperties,
  { group }: ChangeSegmentBody,
  enteredId: number | undefined
): Group | null {
  if (group === null) return null
  if (group !== undefined && enteredId !== undefined) return { id: enteredId, slug: group }
  return current.group_id === null ? null : { id: current.group_id, slug: String(current.group) }
}

/** When the change takes effect. */
async function chooseMoment(
  sql: Sql,
  id: number,
  group: Group | null,
  concernsMembers: boolean
): Promise<Time> {
  if (!concernsMembers) return readClock(sql)
  return nextMoment(sql, id, group && (await nextMomentOfGroup(sql, group.id, null)))
}

type ChangedSegment = {
  id: number
  group: Group | null
  rivals: readonly number[]
  population: Population
}

/**
 * Adds or removes random members until the segment has the share, and records the result as the segment's assignment.
 *
 * @param isLowered whether the share is lower than before; only then may members be removed.
 */
async function changeShare(
  sql: Sql,
  { id: segmentId, group, rivals, population }: ChangedSegment,
  share: number,
  isLowered: boolean,
  at: Time,
  actor: string | null
): Promise<SegmentChange> {
  const { sampled, goal } = await countSampled(sql, segmentId, share, population, at)
  const surplus = sampled - goal
  const free = group && surplus < 0 ? await countFreeUsers(sql, group.id, at) : null
  if (group && free !== null && -surplus > free) throw groupExhausted(group.slug, -surplus, free)
  const added =
    surplus < 0
      ? await addRandomMembers(sql, segmentId, { count: -surplus, at, actor, rivals, population })
      : 0
  // Users who were removed from the segment by name are free, but not sampled for it again.
  if (group && surplus < 0 && added < -surplus) throw groupExhausted(group.slug, -surplus, added)
  const removed = surplus > 0 && isLowered ? await removeRandomMembers(sql, segmentId, surplus, at, actor) : 0
  await sql`
    insert into assignments (segment_id, requested_at, status, target, assigned, added)
    values (
      ${segmentId}, ${toTimestamp(sql, at)}, 'done', ${goal}, ${Math.min(goal, sampled + added)}, ${added}
    )
    on conflict (segment_id) do update
    set requested_at = excluded.requested_at,
      status = excluded.status,
      target = excluded.target,
      assigned = excluded.assigned,
      added = excluded.added,
      attempt = 0,
      error = null`
  return { added, removed }
}
