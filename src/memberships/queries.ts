import type { Slug, Time, UserId } from '../../schemas/common.ts'
import type { ActiveSegmentsText, SegmentsOfUsersText, TimelineEntry } from '../../schemas/memberships.ts'
import { formatTime, type Sql } from '../database/connect.ts'
import { toTimestamp } from '../database/times.ts'

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
 * The segments in which a user was at a moment, as JSON text.
 *
 * @returns undefined for an unknown user, null for a moment that is still to come.
 */
export async function selectSegmentsAt(
  sql: Sql,
  userId: UserId,
  at: Time
): Promise<ActiveSegmentsText | null | undefined> {
  const [row] = await sql<[{ is_past: boolean; segments: ActiveSegmentsText }?]>`
    select
      ${toTimestamp(sql, at)} <= now() as is_past,
      (
        select coalesce('["' || string_agg(slug, '","' order by segment_id) || '"]', '[]')
        from periods
        where user_id = users.id
          and added_at <= ${toTimestamp(sql, at)}
          and (ended_at is null or ended_at > ${toTimestamp(sql, at)})
      ) as segments
    from users
    where id = ${userId}`
  if (row && !row.is_past) return null
  return row?.segments
}

/** Where an entry stands in a timeline, by which its order is total. */
export type TimelinePosition = { micros: string; rank: string; segment_id: string }

type TimelineFilter = {
  from: Time | null
  /** Without it. */
  to: Time | null
  /** The entry behind which to begin. */
  after: TimelinePosition | null
  /** Entries at the most. */
  limit: number
}

/**
 * What happened to a user, oldest first, each with its position.
 *
 * @returns undefined for an unknown user.
 */
export async function selectTimeline(
  sql: Sql,
  userId: UserId,
  { from, to, after, limit }: TimelineFilter
): Promise<(TimelineEntry & TimelinePosition)[] | undefined> {
  const entries = await sql<(TimelineEntry & TimelinePosition)[]>`
    select
      slug,
      operation,
      ${formatTime(sql, 'happened_at')} as time,
      cause,
      actor,
      ${formatTime(sql, 'expires_at')} as expires_at,
      (extract(epoch from happened_at) * 1000000)::bigint::text as micros,
      rank::text,
      segment_id::text
    from history
    where user_id = ${userId}
      and happened_at >= coalesce(${toTimestamp(sql, from)}, '-infinity')
      and happened_at < coalesce(${toTimestamp(sql, to)}, 'infinity')
      and (happened_at, history.rank, history.segment_id) > (
        to_timestamp(0) + ${after?.micros ?? '0'}::bigint * interval '1 microsecond',
        ${after?.rank ?? '-1'}::integer,
        ${after?.segment_id ?? '0'}::bigint
      )
    order by happened_at, history.rank, history.segment_id
    limit ${limit}`
  if (entries.length > 0) return entries
  const [user] = await sql`select from users where id = ${userId}`
  return user && []
}

export type UserSegmentsChange = {
  /** Slugs in upper case; each stands once, in one of the two. */
  add: Slug[]
  remove: Slug[]
  /** When what is added ends. At the most one of these two. */
  expiresAt?: Time | undefined
  /** Seconds from now. */
  timeToLive?: number | undefined
  /** The name of the API key. */
  actor: string | null
}

/**
 * Makes the user known and changes the user's segments, all or nothing.
 *
 * @returns what is wrong, with nothing changed: a slug names no segment or a deleted one, or the expiry is not to come.
 */
export async function changeUserSegments(
  sql: Sql,
  userId: UserId,
  { add, remove, expiresAt, timeToLive, actor }: UserSegmentsChange
): Promise<'changed' | 'not_found' | 'expiry_passed'> {
  const [{ changed }] = await sql<[{ changed: boolean | null }]>`
    select change_user_segments(
      ${userId}, ${add}::text[], ${remove}::text[],
      ${toTimestamp(sql, expiresAt)}, ${timeToLive ?? null}, ${actor}
    ) as changed`
  if (changed === null) return 'expiry_passed'
  return changed ? 'changed' : 'not_found'
}
