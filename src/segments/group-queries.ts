/** Creates, reads and deletes exclusive groups of segments. */
import type { Slug, Time } from '../../schemas/common.ts'
import type { CreateGroupBody, Group, GroupReport } from '../../schemas/groups.ts'
import { formatTime, type Pool, type Sql, type Transaction } from '../database/connect.ts'
import { findGroup, lockGroups, nextMomentOfGroup } from '../database/exclusive-groups.ts'
import { toTimestamp } from '../database/times.ts'
import { transaction } from '../database/transaction.ts'
import { type WriteToken, writeToken } from '../database/write-tokens.ts'
import { describeChanges, recordChange } from './properties.ts'
import { countMembers } from './queries.ts'
import { countUsers } from './size-queries.ts'

function groupColumns(sql: Sql) {
  return sql`
    slug,
    description,
    ${formatTime(sql, 'created_at')} as created_at,
    created_by`
}

/**
 * Creates a group.
 *
 * @param group the slug is in upper case.
 * @param actor the name of the API key.
 * @returns the token of the write; undefined if the slug is taken by a group or a segment, even by a deleted one.
 */
export function createGroup(
  db: Pool | Transaction,
  { slug, description }: CreateGroupBody,
  actor: string | null
): Promise<WriteToken | undefined> {
  return transaction(db, async (sql) => {
    // Waits for segments that are being created, and keeps others from being created: one might have the same slug.
    await sql`lock table segments in share mode`
    // Citus evaluates what an insert returns on other nodes, which do not know the token.
    const [created] = await sql<{ token: WriteToken }[]>`
      with created as (
        insert into exclusive_groups (slug, description, created_at, created_by)
        select ${slug}, ${description ?? null}, clock_timestamp(), ${actor}
        where not exists (select from segments where slug = ${slug})
          and not exists (select from exclusive_groups where slug = ${slug})
        on conflict (slug) do nothing
        returning id
      )
      select ${writeToken(sql)} as token
      from created`
    return created?.token
  })
}

/** Whether a group has this slug, and when it was deleted, if it was. */
export async function selectGroupDeletion(
  sql: Sql,
  slug: Slug
): Promise<{ deleted_at: Time | null } | undefined> {
  const [group] = await sql<{ deleted_at: Time | null }[]>`
    select ${formatTime(sql, 'deleted_at')} as deleted_at
    from exclusive_groups
    where slug = ${slug}`
  return group
}

/**
 * Deletes a group. Its segments, and their members, stay.
 *
 * @returns false if the group does not exist or is already deleted.
 */
export function deleteGroup(db: Pool | Transaction, slug: Slug, actor: string | null): Promise<boolean> {
  return transaction(db, async (sql) => {
    const groupId = await findGroup(sql, slug)
    if (groupId === undefined) return false
    await lockGroups(sql, { groupIds: [groupId] })
    if ((await findGroup(sql, slug)) === undefined) return false
    const at = await nextMomentOfGroup(sql, groupId, null)
    const segments = await sql<{ id: number; holdout: boolean }[]>`
      select id, is_holdout as holdout
      from segments
      where group_id = ${groupId}
        and deleted_at is null
      order by segments.id`
    await sql`
      update segments
      set group_id = null,
        is_holdout = false
      where group_id = ${groupId}
        and deleted_at is null`
    for (const { id, holdout } of segments) {
      const changes = describeChanges({ group: slug, holdout }, { group: null, holdout: false })
      await recordChange(sql, id, changes, { added: 0, removed: 0 }, at, actor)
    }
    await sql`
      update exclusive_groups
      set deleted_at = greatest(${toTimestamp(sql, at)}, created_at),
        deleted_by = ${actor}
      where id = ${groupId}`
    return true
  })
}

type GroupRow = Omit<Group, 'segments'> & Pick<GroupReport, 'deleted_at' | 'deleted_by'> & { id: number }

/** Reads a group with the numbers of its members, all at one moment. It may be deleted. */
export function selectGroupReport(pool: Pool, slug: Slug): Promise<GroupReport | undefined> {
  return transaction(
    pool,
    async (sql) => {
      const [group] = await sql<GroupRow[]>`
        select id, ${groupColumns(sql)}, ${formatTime(sql, 'deleted_at')} as deleted_at, deleted_by
        from exclusive_groups
        where slug = ${slug}`
      if (!group) return undefined
      const { id: groupId, ...properties } = group
      const rows = await sql<(Omit<GroupReport['segments'][number], 'members'> & { id: number })[]>`
        select
          id,
          slug,
          selection::double precision,
          enroll_new_users,
          is_holdout as holdout,
          case
            when status is not null then json_build_object('status', status, 'assigned', assigned, 'target', target)
          end as assignment
        from segments
        left join assignments on segment_id = id
        where group_id = ${groupId}
          and deleted_at is null
        order by segments.id`
      const segments: GroupReport['segments'] = []
      for (const { id, ...segment } of rows)
        segments.push({ ...segment, members: await countMembers(sql, id) })
      const users = await countUsers(sql)
      const members = segments.reduce((sum, segment) => sum + segment.members, 0)
      const queued = segments.filter(({ assignment }) => assignment?.status === 'queued')
      const reserved = queued.reduce((sum, { assignment }) => sum + (assignment?.target ?? 0), 0)
      return { ...properties, users, members, free_users: Math.max(0, users - members - reserved), segments }
    },
    { isolation: 'repeatable read' }
  )
}

/**
 * Lists groups that are not deleted by slug, in byte order.
 *
 * @param after returns only slugs after this one.
 * @param limit the maximum number of groups.
 */
export async function selectGroups(sql: Sql, after: Slug, limit: number): Promise<Group[]> {
  return sql<Group[]>`
    select
      ${groupColumns(sql)},
      to_json(
        array(
          select segments.slug
          from segments
          where group_id = exclusive_groups.id
            and segments.deleted_at is null
          order by segments.id
        )
      ) as segments
    from exclusive_groups
    where slug collate "C" > ${after}
      and deleted_at is null
    order by slug collate "C"
    limit ${limit}`
}
