/** Creates segments with a random share of the users, and changes the share of a segment. */
import type { Slug, Time } from '../../schemas/common.ts'
import type { ChangeSegmentBody, CreateSegmentBody, SegmentChange } from '../../schemas/segments.ts'
import { logMemberships } from '../database/change-log.ts'
import { formatTime, type Pool, type Sql, type Transaction } from '../database/connect.ts'
import { lockPopulation, lockSegment, shareErasure } from '../database/locks.ts'
import { nextMoment, readClock, toTimestamp } from '../database/times.ts'
import { transaction } from '../database/transaction.ts'
import { type WriteToken, writeToken } from '../database/write-tokens.ts'
import { countShare, sampleUsers } from './sampling.ts'

/**
 * Sorts and joins may have as many rows as there are users, so they get more memory. For a segment that is newer than
 * the statistics, the planner would expect a single member and might compare each user with all members. A generic plan
 * expects as many members as an average segment has.
 */
const OPTIONS = { genericPlans: true, settings: { work_mem: '64MB', jit: 'off' } }

/**
 * Creates a segment. With `selection`, it samples exactly ceil(selection × number of users) of the users known at that
 * moment; the product is computed in decimal arithmetic.
 *
 * @param segment the slug is in upper case; `selection` is a share from 0 to 1.
 * @param later whether the users are added in the background (see `continueAssignment`) instead of in this transaction.
 * @param actor the name of the API key.
 * @returns the token of the write; undefined if the slug is taken, even by a deleted segment.
 */
export async function createSegment(
  db: Pool | Transaction,
  segment: CreateSegmentBody,
  later: boolean,
  actor: string | null
): Promise<WriteToken | undefined> {
  const share = segment.selection
  if (share === undefined) return (await insertSegment(db, segment, actor))?.token

  return transaction(
    db,
    async (sql) => {
      await shareErasure(sql)
      if (segment.enroll_new_users) await lockPopulation(sql)
      const created = await insertSegment(sql, segment, actor)
      if (!created) return undefined
      if (later) await insertAssignment(sql, created)
      else await addShare(sql, created, share, actor)
      return created.token
    },
    OPTIONS
  )
}

/** The properties of a segment that can change. Null is the same as absent. */
type SegmentProperties = {
  selection?: number | null | undefined
  description?: string | null | undefined
  enroll_new_users?: boolean | undefined
}

const NO_CHANGES = '{}'

/** The properties that differ, each with `from` and `to`, as JSON. Properties that are absent in `to` stay. */
function describeChanges(from: SegmentProperties, to: SegmentProperties): string {
  const names = ['selection', 'description', 'enroll_new_users'] as const
  const changed = names.filter((name) => to[name] !== undefined && to[name] !== (from[name] ?? null))
  return JSON.stringify(
    Object.fromEntries(changed.map((name) => [name, { from: from[name] ?? null, to: to[name] }]))
  )
}

type CreatedSegment = { id: number; created_at: Time; token: WriteToken }

async function insertSegment(
  sql: Sql,
  { slug, selection, description, enroll_new_users = false }: CreateSegmentBody,
  actor: string | null
): Promise<CreatedSegment | undefined> {
  // `not exists` comes first because every conflict would use up a value of the id's sequence.
  const properties = { selection, description, enroll_new_users: enroll_new_users || undefined }
  const [created] = await sql<CreatedSegment[]>`
    with created as (
      insert into segments (slug, selection, description, enroll_new_users, created_at, created_by)
      select
        ${slug}, ${selection === undefined ? null : String(selection)}::text::numeric, ${description ?? null},
        ${enroll_new_users}, clock_timestamp(), ${actor}
      where not exists (select from segments where slug = ${slug})
      on conflict (slug) do nothing
      returning id, created_at
    ),
    recorded as (
      insert into segment_changes (segment_id, operation, changed_at, actor, changes)
      select id, 'created', created_at, ${actor}, ${describeChanges({}, properties)}::text::jsonb
      from created
    ),
    logged as (
      insert into changes (type, segment_id, changed_at, actor, changes)
      select 'segment_created', id, created_at, ${actor}, ${describeChanges({}, properties)}::text::jsonb
      from created
    )
    select id, ${formatTime(sql, 'created_at')} as created_at, ${writeToken(sql)} as token
    from created`
  return created
}

async function insertAssignment(sql: Sql, { id, created_at }: CreatedSegment): Promise<void> {
  await sql`
    insert into assignments (segment_id, requested_at)
    values (${id}, ${toTimestamp(sql, created_at)})`
}

/** Samples the share and adds it. The memberships begin when the segment is created. */
async function addShare(
  sql: Sql,
  { id, created_at }: CreatedSegment,
  share: number,
  actor: string | null
): Promise<void> {
  const sampling = await countShare(sql, share)
  // Sorted by id, so that the indexes grow in order.
  const [{ count }] = await sql<[{ count: number }]>`
    with changed as (
      insert into memberships (user_id, segment_id, added_at)
      select id, ${id}, ${toTimestamp(sql, created_at)}
      from (${sampleUsers(sql, sampling)}) sampled
      order by id
      returning user_id, segment_id, added_at as changed_at, expires_at
    ),
    logged as (${logMemberships(sql, { type: 'membership_added', cause: 'selection', actor })})
    select count(*)::double precision from changed`
  if (count !== sampling.goal) throw new Error(`sampled ${count} instead of ${sampling.goal} users`)
  await sql`
    insert into assignments (segment_id, requested_at, status, target, assigned)
    values (${id}, ${toTimestamp(sql, created_at)}, 'done', ${count}, ${count})`
  await sql`
    update segment_changes
    set added = ${count}
    where segment_id = ${id}`
}

/** Why a segment was not changed. */
type Refusal = 'not_found' | 'no_selection' | 'filling'

/**
 * Changes a segment. With a new share, it also changes the members, until exactly ceil(selection × number of users) of
 * them are sampled or enrolled:
 *
 * - If there are too few, random users are added. Explicitly removed users are never sampled again.
 * - If there are too many and the share was lowered, random sampled or enrolled members are removed. Explicitly added
 *   members stay. If the share was raised or repeated, nobody is removed, even if enrollment has added more users than
 *   the share asks for.
 *
 * All of this refers to one moment, which is read under the segment's lock: it decides who is a member, and the change
 * takes effect at it.
 *
 * @param change fields that are undefined stay as they are. A `description` of null removes the description.
 * @returns how many users were added and removed, or why nothing has changed.
 */
export function changeSegment(
  db: Pool | Transaction,
  slug: Slug,
  { selection, description, enroll_new_users }: ChangeSegmentBody,
  actor: string | null
): Promise<SegmentChange | Refusal> {
  const share = selection === undefined ? null : String(selection)
  return transaction(
    db,
    async (sql) => {
      if (selection !== undefined) await shareErasure(sql)
      if (enroll_new_users) await lockPopulation(sql)
      const [named] = await sql<{ id: number }[]>`select id from segments where slug = ${slug}`
      if (!named) return 'not_found'
      const { id } = named
      await lockSegment(sql, id)
      const [current] = await sql<
        (SegmentProperties & { is_filling: boolean; is_lowered: boolean | null })[]
      >`
        select
          selection::double precision,
          description,
          enroll_new_users,
          status in ('queued', 'running') as is_filling,
          ${share}::text::numeric < selection as is_lowered
        from segments
        left join assignments on segment_id = segments.id
        where segments.id = ${id}
          and deleted_at is null`
      if (!current) return 'not_found'
      if (enroll_new_users && selection === undefined && current.selection === null) return 'no_selection'
      if (selection !== undefined && current.is_filling) return 'filling'

      await sql`
        update segments
        set selection = coalesce(${share}::text::numeric, selection),
          description = case when ${description !== undefined} then ${description ?? null} else description end,
          enroll_new_users = coalesce(${enroll_new_users ?? null}, enroll_new_users)
        where id = ${id}`
      const at = selection === undefined ? await readClock(sql) : await nextMoment(sql, id)
      const change =
        selection === undefined
          ? { added: 0, removed: 0 }
          : await changeShare(sql, id, selection, current.is_lowered === true, at, actor)
      const changes = describeChanges(current, { selection, description, enroll_new_users })
      if (changes !== NO_CHANGES)
        await sql`
          insert into changes (type, segment_id, changed_at, actor, changes)
          values ('segment_changed', ${id}, ${toTimestamp(sql, at)}, ${actor}, ${changes}::text::jsonb)`
      if (changes !== NO_CHANGES || change.added + change.removed > 0)
        await sql`
          insert into segment_changes (segment_id, operation, changed_at, actor, changes, added, removed)
          values (
            ${id}, 'changed', ${toTimestamp(sql, at)}, ${actor}, ${changes}::text::jsonb,
            ${change.added}, ${change.removed}
          )`
      return change
    },
    OPTIONS
  )
}

/**
 * Adds or removes random members until the segment has the share, and records the result as the segment's assignment.
 *
 * @param isLowered whether the share is lower than before; only then may members be removed.
 */
async function changeShare(
  sql: Sql,
  segmentId: number,
  share: number,
  isLowered: boolean,
  at: Time,
  actor: string | null
): Promise<SegmentChange> {
  const { sampled, goal } = await countSampled(sql, segmentId, share, at)
  const surplus = sampled - goal
  const added = surplus < 0 ? await addRandomMembers(sql, segmentId, -surplus, at, actor) : 0
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

/** The members at a given time who were sampled or enrolled. */
function sampledMembers(sql: Sql, segmentId: number, at: Time) {
  return sql`
    open_periods
    where segment_id = ${segmentId}
      and (expires_at is null or expires_at > ${toTimestamp(sql, at)})
      and added_cause in ('selection', 'enrollment')`
}

/** Counts the members who were sampled or enrolled, and how many the share asks for. */
async function countSampled(
  sql: Sql,
  segmentId: number,
  share: number,
  at: Time
): Promise<{ sampled: number; goal: number }> {
  const [{ sampled }] = await sql<[{ sampled: number }]>`
    select count(*)::double precision as sampled
    from ${sampledMembers(sql, segmentId, at)}`
  const { goal } = await countShare(sql, share)
  return { sampled, goal }
}

/**
 * Adds random users who are not members at the given time and were never explicitly removed.
 *
 * @returns how many were added: `count`, or fewer if there are not enough such users.
 */
async function addRandomMembers(
  sql: Sql,
  segmentId: number,
  count: number,
  at: Time,
  actor: string | null
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
        from users
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
async function removeRandomMembers(
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
