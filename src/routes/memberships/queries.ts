import type { Slug, UserId } from '../../../schemas/common.ts'
import type { ActiveSegmentsText } from '../../../schemas/memberships.ts'
import type { Sql } from '../../database.ts'

/**
 * The active segments of many users as JSON text, which is handed on as it is: slugs need no escaping.
 *
 * @returns the known users among `userIds`, each once.
 */
export async function selectActiveSegments(
  sql: Sql,
  userIds: readonly UserId[]
): Promise<Map<UserId, ActiveSegmentsText>> {
  const rows = await sql<{ user_id: UserId; segments: ActiveSegmentsText }[]>`
    select
      users.id as user_id,
      coalesce((
        select '[' || string_agg('"' || slug || '"', ',' order by segment_id) || ']'
        from periods
        where periods.user_id = users.id
          and active
      ), '[]') as segments
    from users
    where users.id = any(${userIds as UserId[]}::bigint[])`
  return new Map(rows.map(({ user_id, segments }) => [user_id, segments]))
}

/**
 * Makes the user known and changes the user's segments, all or nothing. Slugs are in upper case, each stands once.
 *
 * @returns false, with nothing changed, where a slug names no segment or a deleted one.
 */
export async function changeUserSegments(
  sql: Sql,
  userId: UserId,
  add: Slug[],
  remove: Slug[]
): Promise<boolean> {
  const [row] = await sql<[{ changed: boolean }]>`
    select change_user_segments(${userId}, ${add}::text[], ${remove}::text[]) as changed`
  return row.changed
}
