import type { Slug, UserId } from '../../../schemas/common.ts'
import type { ActiveSegmentsText, SegmentsOfUsersText } from '../../../schemas/memberships.ts'
import type { Sql } from '../../database.ts'

/**
 * The active segments of many users as JSON text, which is handed on as it is: slugs need no escaping.
 *
 * @returns for each of `userIds` the text; undefined for an unknown user.
 */
export async function selectActiveSegments(
  sql: Sql,
  userIds: readonly UserId[]
): Promise<Map<UserId, ActiveSegmentsText | undefined>> {
  const rows = await sql<{ user_id: UserId; segments: ActiveSegmentsText | null }[]>`
    select
      asked.id as user_id,
      coalesce(
        (
          select '["' || string_agg(slug, '","' order by segment_id) || '"]'
          from periods
          where user_id = asked.id
            and active
        ),
        (select '[]' from users where users.id = asked.id)
      ) as segments
    from unnest(${userIds as UserId[]}::bigint[]) as asked (id)`
  return new Map(rows.map(({ user_id, segments }) => [user_id, segments ?? undefined]))
}

/**
 * The active segments of many users, all at one moment, and who of them is unknown, as one JSON text.
 *
 * @param userIds each once.
 */
export async function selectSegmentsOfUsers(sql: Sql, userIds: UserId[]): Promise<SegmentsOfUsersText> {
  const segmentsOfUsers = await selectActiveSegments(sql, userIds)
  const known: string[] = []
  const unknown: UserId[] = []
  for (const userId of userIds) {
    const segments = segmentsOfUsers.get(userId)
    if (segments === undefined) unknown.push(userId)
    else known.push(`"${userId}":${segments}`)
  }
  return `{"segments":{${known.join()}},"unknown":${JSON.stringify(unknown)}}`
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
