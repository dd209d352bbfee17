import type { Slug, Time, UserId } from '../../schemas/common.ts'
import type { ActiveSegmentsText, SegmentsOfUsersText, TimelineEntry } from '../../schemas/memberships.ts'
import { selectChangeCursor } from '../database/change-states.ts'
import { formatTime, type Pool, type Sql } from '../database/connect.ts'
import { normalizeTime, toTimestamp, wasActive } from '../database/times.ts'
import { transaction } from '../database/transaction.ts'
import { type WriteToken, writeToken } from '../database/write-tokens.ts'

/**
 * Reads the active segments of many users as JSON text, which the API sends unchanged. Slugs need no escaping.
 *
 * The ids are given twice: Citus finds the shards of each table by its own condition, and PostgreSQL reads the periods of
 * these users alone, whatever the statistics say.
 *
 * @returns the text for each known user of `userIds`.
 */
export async function selectActiveSegments(
  sql: Sql,
  userIds: readonly UserId[]
): Promise<Map<UserId, ActiveSegmentsText>> {
  const rows = await sql<{ user_id: UserId; segments: ActiveSegmentsText }[]>`
    select users.id as user_id, coalesce(segments, '[]') as segments
    from users
    left join (
      select user_id, '["' || string_agg(slug, '","' order by segment_id) || '"]' as segments
      from open_periods
      where user_id = any (${userIds as UserId[]}::bigint[])
        and active
      group by user_id
    ) active_periods on active_periods.user_id = users.id
    where users.id = any (${userIds as UserId[]}::bigint[])`
  return new Map(rows.map(({ user_id, segments }) => [user_id, segments]))
}

/**
 * Reads the active segments of many users at one moment, and which of them are unknown, as one JSON text.
 *
 * @param userIds must not contain duplicates.
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
 * Reads the same as {@link selectSegmentsOfUsers}, and the cursor of the change feed for that moment. The primary has to answer:
 * other servers have snapshots of their own. On Citus, the memberships are read after that moment.
 */
export function selectWithCursor(
  pool: Pool,
  userIds: UserId[]
): Promise<{ cursor: string; segments: SegmentsOfUsersText }> {
  return transaction(
    pool,
    async (sql) => ({
      cursor: await selectChangeCursor(sql),
      segments: await selectSegmentsOfUsers(sql, userIds)
    }),
    { isolation: 'repeatable read' }
  )
}

/**
 * Reads the segments that a user was in at a given time, as JSON text.
 *
 * @returns undefined for an unknown user, null for a time in the future.
 */
export async function selectSegmentsAt(
  sql: Sql,
  userId: UserId,
  at: Time
): Promise<ActiveSegmentsText | null | undefined> {
  const [row] = await sql<[{ is_past: boolean; segments: ActiveSegmentsText }?]>`
    select
      ${toTimestamp(sql, at)} <= now() as is_past,
      coalesce('["' || string_agg(slug, '","' order by segment_id) || '"]', '[]') as segments
    from users
    left join periods on user_id = users.id
      and ${wasActive(sql, toTimestamp(sql, at))}
    where users.id = ${userId}
    group by users.id`
  if (row && !row.is_past) return null
  return row?.segments
}

/** The sort key of a timeline entry. It is unique for a user. */
export type TimelinePosition = { micros: string; rank: string; segment_id: string }

type TimelineFilter = {
  /** Inclusive. */
  from: Time | null
  /** Exclusive. */
  to: Time | null
  /** Returns only entries after this one. */
  after: TimelinePosition | null
  /** The maximum number of entries. */
  limit: number
}

/**
 * Reads a user's history, oldest first, with the position of each entry.
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
  /** Slugs in upper case. Each appears once, either here or in `remove`. */
  add: AddedSegment[]
  remove: Slug[]
  /** Whether the user leaves other segments of the exclusive groups of `add`. */
  move?: boolean
  /** The name of the API key. */
  actor: string | null
}

export type AddedSegment = {
  slug: Slug
  /** When the membership expires. Never together with `timeToLive`. */
  expiresAt?: Time | undefined
  /** Seconds after which the membership expires. */
  timeToLive?: number | undefined
}

/** Why the segments of a user were not changed. */
export type ChangeRefusal =
  /** A slug names no segment, or a deleted one. */
  | { reason: 'not_found' }
  /** An expiry is not in the future. */
  | { reason: 'expiry_passed' }
  /** A segment to add is a holdout. */
  | { reason: 'holdout'; segment: Slug }
  /** The user would be in two segments of an exclusive group. */
  | { reason: 'conflict'; segment: Slug; other: Slug; group: Slug }

/** Parses the result of `change_user_segments`. */
function parseRefusal(text: string): ChangeRefusal {
  const [reason, segment = '', other = '', group = ''] = text.split(' ')
  if (reason === 'holdout') return { reason, segment }
  if (reason === 'conflict') return { reason, segment, other, group }
  return { reason: reason === 'not_found' ? reason : 'expiry_passed' }
}

/**
 * Adds a user to segments and removes the user from others, all or nothing. An unknown user becomes known.
 *
 * @returns the token of the write, or why nothing has changed.
 */
export async function changeUserSegments(
  sql: Sql,
  userId: UserId,
  { add, remove, move = false, actor }: UserSegmentsChange
): Promise<{ token: WriteToken } | ChangeRefusal> {
  const expire = add.some(({ expiresAt, timeToLive }) => (expiresAt ?? timeToLive) !== undefined)
  // `coalesce` calls the function before it reads the token.
  const [{ outcome }] = await sql<[{ outcome: string }]>`
    select
      coalesce(
        change_user_segments(
          ${userId},
          ${add.map(({ slug }) => slug)}::text[],
          ${remove}::text[],
          ${expire ? add.map(({ expiresAt }) => (expiresAt && normalizeTime(expiresAt)) ?? null) : null}::text[]::timestamptz[],
          ${expire ? add.map(({ timeToLive }) => timeToLive?.toString() ?? null) : null}::text[]::integer[],
          ${actor},
          ${move}
        ),
        '=' || ${writeToken(sql)}
      ) as outcome`
  return outcome.startsWith('=') ? { token: outcome.slice(1) } : parseRefusal(outcome)
}
