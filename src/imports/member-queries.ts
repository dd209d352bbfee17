/** What an upload changes: the users who become known, and the memberships in its segment. */
import type { Time } from '../../schemas/common.ts'
import { logMemberships } from '../database/change-log.ts'
import type { Sql } from '../database/connect.ts'
import { toTimestamp } from '../database/times.ts'
import { importedUsers, type StoredLines } from './line-queries.ts'

/** Counts the users who would be added, and those who would become known. */
export async function countChanges(
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
export async function countMembers(
  sql: Sql,
  lines: StoredLines,
  segmentId: number,
  at: Time
): Promise<number> {
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
export async function countNewUsers(sql: Sql, lines: StoredLines, at: Time): Promise<number> {
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
export async function makeUsersKnown(
  sql: Sql,
  lines: StoredLines,
  enrollingIds: number[],
  at: Time,
  actor: string | null
): Promise<number> {
  const [row] = await sql<[{ users: number }]>`
    with new_users as (
      insert into users (id, created_at)
      select user_id, ${toTimestamp(sql, at)}
      from (${importedUsers(sql, lines, at)}) imported
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
      select user_id, segment_id, ${toTimestamp(sql, at)}, 'enrollment', ${actor}
      from numbers
      join enrolling_segments using (draw)
      where segment_id = any (${enrollingIds}::bigint[])
        and number >= lower
        and number < upper
      order by segment_id, user_id
      returning user_id, segment_id, added_at as changed_at, expires_at
    ),
    logged as (${logMemberships(sql, { type: 'membership_added', cause: 'enrollment', actor })})
    select count(*)::double precision as users from new_users`
  return row.users
}

/**
 * Writes the ends of the expired memberships of an import's users: such a membership stays open until then, and would block
 * a new one.
 */
export async function closeExpired(
  sql: Sql,
  { importId }: StoredLines,
  segmentId: number,
  at: Time
): Promise<void> {
  await sql`
    update memberships
    set removed_at = greatest(added_at, memberships.expires_at)
    from import_lines
    where import_id = ${importId}
      and segment_id = ${segmentId}
      and memberships.user_id = import_lines.user_id
      and removed_at is null
      and memberships.expires_at <= ${toTimestamp(sql, at)}`
}

/**
 * Adds the users who are not in the segment. Sets the expiry of the others if the import gives one.
 *
 * @param at decides which lines count, and who is a member.
 * @param addedAt when it takes effect: `at`, or later, as the new memberships begin after those that have been closed.
 */
export async function addMembers(
  sql: Sql,
  lines: StoredLines,
  segmentId: number,
  at: Time,
  addedAt: Time,
  actor: string | null
): Promise<number> {
  if (lines.hasExpiries)
    await sql`
      with renewed as (
        update memberships
        set expires_at = imported.expires_at,
          initial_expires_at = coalesce(initial_expires_at, memberships.expires_at, 'infinity')
        from (${importedUsers(sql, lines, at)}) imported
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
      from (${importedUsers(sql, lines, at)}) imported
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

/** Removes the users of an import from the segment. @returns how many of them were members. */
export async function removeMembers(
  sql: Sql,
  { importId }: Pick<StoredLines, 'importId'>,
  segmentId: number,
  at: Time,
  actor: string | null
): Promise<number> {
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
  return removed.users
}

/** If the segment is being filled, makes the filling skip the users of the import: an explicit change wins. */
export async function exceptUsers(sql: Sql, lines: StoredLines, segmentId: number, at: Time): Promise<void> {
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
