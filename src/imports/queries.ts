/** Applies uploads, each in one transaction, after their lines have been stored in the table `import_lines`. */
import type { Slug, Time } from '../../schemas/common.ts'
import { logMemberships } from '../database/change-log.ts'
import type { Pool, Sql, Transaction } from '../database/connect.ts'
import { listRivals, lockGroups, nextMomentOfGroup, type Rival } from '../database/exclusive-groups.ts'
import { lockSegment, shareErasure, sharePopulation } from '../database/locks.ts'
import { nextMoment, readClock, toTimestamp } from '../database/times.ts'
import { transaction } from '../database/transaction.ts'
import { segmentIsHoldout } from '../http/errors.ts'
import { LARGE_IMPORT_LINES } from '../limits.ts'
import {
  type ConflictingLines,
  checkLines,
  importedUsers,
  type LateLines,
  removeConflictingLines,
  type StoredLines
} from './line-queries.ts'

/**
 * Sorts and joins have as many rows as the upload, so they get more memory. An import, and often its segment, are newer than
 * the statistics, so the planner would expect a single row of each and might compare each user with all others. A generic
 * plan expects as many as others have; that may still be few, so for a large upload it must not look up users one by one.
 */
function chooseOptions({ stored }: StoredLines) {
  const enable_nestloop = stored < LARGE_IMPORT_LINES ? 'on' : 'off'
  return { genericPlans: true, settings: { work_mem: '64MB', jit: 'off', enable_nestloop } }
}

/** The segment of an upload. */
type TargetSegment = { id: number; group_id: number | null; is_holdout: boolean }

/** Reads a segment that is not deleted. */
export async function findSegment(sql: Sql, slug: Slug): Promise<TargetSegment | undefined> {
  const [segment] = await sql<TargetSegment[]>`
    select id, group_id, is_holdout
    from segments
    where slug = ${slug}
      and deleted_at is null`
  return segment
}

/** How to apply an upload. */
export type ImportOptions = StoredLines & {
  /** Only count what would change; change nothing. */
  countOnly: boolean
  /** Skip lines whose expiry has passed. If false, one such line means that nothing is changed. */
  skip: boolean
  /** The name of the API key. */
  actor: string | null
}

export type ImportedMembers = {
  added: number
  newUsers: number
  late: LateLines
  conflicting: ConflictingLines
}

/**
 * Adds the users of an upload to a segment, all at one moment. It does for many users what `change_user_segments` does
 * for one. Lines whose user is in another segment of the group are rejected.
 *
 * @param shown the maximum number of late and of conflicting lines to return.
 * @returns undefined if the segment does not exist or is deleted; then nothing has changed.
 * @throws {LinesLost}
 * @throws {ApiError} SEGMENT_IS_HOLDOUT.
 */
export function importMembers(
  db: Pool | Transaction,
  slug: Slug,
  options: ImportOptions,
  shown: number
): Promise<ImportedMembers | undefined> {
  const { importId, countOnly, skip } = options
  return transaction(
    db,
    async (sql) => {
      const named = await findSegment(sql, slug)
      if (!named) return undefined
      const { id: segmentId } = named
      const enrollingIds = countOnly ? undefined : await lockForImport(sql, importId, segmentId)
      // Read again: the segment may have been changed or deleted before it was locked.
      const segment = await findSegment(sql, slug)
      if (!segment) return undefined
      if (segment.is_holdout) throw segmentIsHoldout(slug)

      const rivals = await listRivals(sql, segment.group_id, segmentId)
      const at = await chooseMoment(sql, segment)
      const late = await checkLines(sql, options, at, shown)
      const conflicting = await removeConflictingLines(sql, options, rivals, at, shown)
      if (countOnly || (late.count + conflicting.count > 0 && !skip))
        return { ...(await countChanges(sql, options, segmentId, at)), late, conflicting }
      const newUsers = enrollingIds ? await makeUsersKnown(sql, options, except(enrollingIds, rivals), at) : 0
      const added = await addMembers(sql, options, segmentId, at)
      await exceptUsers(sql, options, segmentId, at)
      return { added, newUsers, late, conflicting }
    },
    chooseOptions(options)
  )
}

/** When an upload takes effect. */
async function chooseMoment(sql: Sql, { id, group_id }: TargetSegment): Promise<Time> {
  return nextMoment(sql, id, group_id === null ? null : await nextMomentOfGroup(sql, group_id, null))
}

/** Users who are added to a segment by name are not enrolled into others of its group. */
function except(ids: readonly number[], rivals: readonly Rival[]): number[] {
  return ids.filter((id) => !rivals.some((rival) => rival.id === id))
}

/**
 * Removes the users of an upload from a segment, all at one moment.
 *
 * @returns how many of them were members; undefined if the segment does not exist or is deleted, and nothing has
 * changed.
 * @throws {LinesLost}
 */
export function importRemovals(
  db: Pool | Transaction,
  slug: Slug,
  options: ImportOptions
): Promise<number | undefined> {
  const { importId, countOnly, actor } = options
  return transaction(
    db,
    async (sql) => {
      const segmentId = (await findSegment(sql, slug))?.id
      if (segmentId === undefined) return undefined
      if (!countOnly) {
        await shareErasure(sql)
        await lockSegment(sql, segmentId)
      }
      if (!(await findSegment(sql, slug))) return undefined

      const at = await nextMoment(sql, segmentId)
      await checkLines(sql, options, at, 0)
      if (countOnly) return countMembers(sql, options, segmentId, at)
      const [removed] = await sql<[{ users: number }]>`
        with changed as (
          update memberships
          set removed_at = greatest(added_at, ${toTimestamp(sql, at)}),
            removed_cause = 'import',
            removed_by = ${actor}
          from import_lines
          where import_id = ${importId}
            and segment_id = ${segmentId}
            and memberships.user_id = import_lines.user_id
            and removed_at is null
            and (memberships.expires_at is null or memberships.expires_at > ${toTimestamp(sql, at)})
          returning memberships.user_id, segment_id, removed_at as changed_at, null::timestamptz as expires_at
        ),
        logged as (${logMemberships(sql, { type: 'membership_removed', cause: 'import', actor })})
        select count(*)::double precision as users from changed`
      await exceptUsers(sql, options, segmentId, at)
      return removed.users
    },
    chooseOptions(options)
  )
}

/**
 * Makes the users of an upload known.
 *
 * @returns how many of them were new.
 * @throws {LinesLost}
 */
export function importUsers(db: Pool | Transaction, options: ImportOptions): Promise<number> {
  const { importId, countOnly } = options
  return transaction(
    db,
    async (sql) => {
      const enrollingIds = countOnly ? undefined : await lockForImport(sql, importId, null)
      const at = await readClock(sql)
      await checkLines(sql, options, at, 0)
      if (countOnly) return countNewUsers(sql, options, at)
      return enrollingIds ? makeUsersKnown(sql, options, enrollingIds, at) : 0
    },
    chooseOptions(options)
  )
}

/**
 * Takes the locks of an import: no user is erased, its segment and the group of that exclusively and, if it has new users,
 * every segment that enrolls new users, shared.
 *
 * @returns the segments that enroll new users, except the import's own; undefined if the import has no new users.
 */
async function lockForImport(
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

/** Counts the users who would be added, and those who would become known. */
async function countChanges(
  sql: Sql,
  lines: StoredLines,
  segmentId: number,
  at: Time
): Promise<{ added: number; newUsers: number }> {
  const [{ users }] = await sql<[{ users: number }]>`
    select count(*)::double precision as users
    from (${importedUsers(sql, lines, at)}) imported`
  return {
    added: users - (await countMembers(sql, lines, segmentId, at)),
    newUsers: await countNewUsers(sql, lines, at)
  }
}

/** Counts the users of an import who are members of a segment at a given time. */
async function countMembers(sql: Sql, lines: StoredLines, segmentId: number, at: Time): Promise<number> {
  const [row] = await sql<[{ members: number }]>`
    select count(*)::double precision as members
    from (${importedUsers(sql, lines, at)}) imported
    join memberships on memberships.user_id = imported.user_id
    where segment_id = ${segmentId}
      and removed_at is null
      and (memberships.expires_at is null or memberships.expires_at > ${toTimestamp(sql, at)})`
  return row.members
}

/** Counts the users of an import who are not known. */
async function countNewUsers(sql: Sql, lines: StoredLines, at: Time): Promise<number> {
  const [row] = await sql<[{ users: number }]>`
    select count(*)::double precision as users
    from (${importedUsers(sql, lines, at)}) imported
    where not exists (select from users where id = user_id)`
  return row.users
}

/**
 * Makes the users of an import known, and enrolls the new ones. Rows are inserted in the order of the ids: two imports
 * can't deadlock, and the indexes grow in order.
 *
 * @returns how many users were new.
 */
async function makeUsersKnown(
  sql: Sql,
  options: ImportOptions,
  enrollingIds: number[],
  at: Time
): Promise<number> {
  const [row] = await sql<[{ users: number }]>`
    with new_users as (
      insert into users (id, created_at)
      select user_id, ${toTimestamp(sql, at)}
      from (${importedUsers(sql, options, at)}) imported
      where not exists (select from users where id = user_id)
      order by user_id
      on conflict do nothing
      returning id
    ),
    -- A subquery would get other numbers each time that a nested loop reads it.
    numbers as materialized (
      select new_users.id as user_id, draw, random() as number
      from new_users
      cross join (
        select distinct draw
        from enrolling_segments
        where segment_id = any (${enrollingIds}::bigint[])
      ) draws
    ),
    changed as (
      insert into memberships (user_id, segment_id, added_at, added_cause, added_by)
      select user_id, segment_id, ${toTimestamp(sql, at)}, 'enrollment', ${options.actor}
      from numbers
      join enrolling_segments using (draw)
      where segment_id = any (${enrollingIds}::bigint[])
        and number >= lower
        and number < upper
      order by segment_id, user_id
      returning user_id, segment_id, added_at as changed_at, expires_at
    ),
    logged as (${logMemberships(sql, { type: 'membership_added', cause: 'enrollment', actor: options.actor })})
    select count(*)::double precision as users from new_users`
  return row.users
}

/** Adds the users who are not in the segment. Sets the expiry of the others if the import gives one. */
async function addMembers(sql: Sql, options: ImportOptions, segmentId: number, at: Time): Promise<number> {
  const { actor } = options
  // An expired membership stays open until its end is written, and would block a new one.
  await sql`
    update memberships
    set removed_at = greatest(added_at, memberships.expires_at)
    from import_lines
    where import_id = ${options.importId}
      and segment_id = ${segmentId}
      and memberships.user_id = import_lines.user_id
      and removed_at is null
      and memberships.expires_at <= ${toTimestamp(sql, at)}`
  // If the clock has gone back, an expired membership may have begun, and so ended, after `at`. The new ones begin
  // later, and the expiries are set at the same moment.
  const addedAt = await nextMoment(sql, segmentId, at)
  if (options.hasExpiries)
    await sql`
      with renewed as (
        update memberships
        set expires_at = imported.expires_at,
          initial_expires_at = coalesce(initial_expires_at, memberships.expires_at, 'infinity')
        from (${importedUsers(sql, options, at)}) imported
        where segment_id = ${segmentId}
          and memberships.user_id = imported.user_id
          and removed_at is null
          and imported.expires_at is not null
          and memberships.expires_at is distinct from imported.expires_at
        returning memberships.user_id, added_at, memberships.expires_at
      ),
      changed as (
        insert into expiry_changes (user_id, segment_id, set_at, expires_at, cause, actor)
        select user_id, ${segmentId}, greatest(added_at, ${toTimestamp(sql, addedAt)}), expires_at, 'import', ${actor}
        from renewed
        returning user_id, segment_id, set_at as changed_at, expires_at
      )
      ${logMemberships(sql, { type: 'expiry_set', cause: 'import', actor })}`
  const [added] = await sql<[{ users: number }]>`
    with changed as (
      insert into memberships (user_id, segment_id, added_at, expires_at, added_cause, added_by)
      select user_id, ${segmentId}, ${toTimestamp(sql, addedAt)}, expires_at, 'import', ${actor}
      from (${importedUsers(sql, options, at)}) imported
      where not exists (
        select
        from memberships
        where segment_id = ${segmentId}
          and memberships.user_id = imported.user_id
          and removed_at is null
      )
      order by user_id
      returning user_id, segment_id, added_at as changed_at, expires_at
    ),
    logged as (${logMemberships(sql, { type: 'membership_added', cause: 'import', actor })})
    select count(*)::double precision as users from changed`
  return added.users
}

/** If the segment is being filled, makes the filling skip the users of the import: an explicit change wins. */
async function exceptUsers(sql: Sql, lines: StoredLines, segmentId: number, at: Time): Promise<void> {
  const filling = await sql`
    select
    from assignments
    where segment_id = ${segmentId}
      and status in ('queued', 'running')`
  if (filling.length === 0) return
  await sql`
    insert into assignment_exceptions (segment_id, user_id)
    select ${segmentId}, user_id
    from (${importedUsers(sql, lines, at)}) imported
    on conflict do nothing`
}
