import type { Slug, Time, UserId } from '../../schemas/common.ts'
import type { Member, Segment, SegmentEntry } from '../../schemas/segments.ts'
import { formatTime, type Sql } from '../database/connect.ts'
import { selectSegmentId } from '../database/segment-slugs.ts'
import { toTimestamp, wasActive } from '../database/times.ts'
import { COUNTING_TIMEOUT_MS } from '../limits.ts'

/** A segment as the API returns it, without the number of members. */
type SegmentRow = Omit<Segment, 'members'> & { id: number }

function segmentColumns(sql: Sql) {
  return sql`
    segments.id,
    segments.slug,
    selection::double precision,
    composition as from,
    segments.description,
    enroll_new_users,
    exclusive_groups.slug as group,
    is_holdout as holdout,
    ${formatTime(sql, 'segments.created_at')} as created_at,
    ${formatTime(sql, 'segments.deleted_at')} as deleted_at,
    case
      when status is not null then json_build_object('status', status, 'assigned', assigned, 'target', target)
    end as assignment`
}

/** Counts the members that a segment has now. This is an index-only scan: ten million members take 2 to 3 s. */
export async function countMembers(sql: Sql, segmentId: number): Promise<number> {
  const [row] = await sql<[{ members: number }]>`
    select count(*)::double precision as members
    from open_periods
    where segment_id = ${segmentId}
      and active`
  return row.members
}

/** Reads a segment by its slug, even a deleted one. */
export async function selectSegment(sql: Sql, slug: Slug): Promise<Segment | undefined> {
  const [row] = await sql<SegmentRow[]>`
    select ${segmentColumns(sql)}
    from segments
    left join assignments on segment_id = segments.id
    left join exclusive_groups on exclusive_groups.id = group_id
    where segments.slug = ${slug}`
  if (!row) return undefined
  const { id, ...segment } = row
  return { ...segment, members: await countMembers(sql, id) }
}

/** Returns when the segment with this slug was deleted, if it was. */
export async function selectDeletion(sql: Sql, slug: Slug): Promise<{ deleted_at?: Time }> {
  const [row] = await sql<{ deleted_at: Time }[]>`
    select ${formatTime(sql, 'deleted_at')} as deleted_at
    from segments
    where slug = ${slug}
      and deleted_at is not null`
  return { ...row }
}

type SegmentFilter = {
  /** Returns only slugs after this one. */
  after: Slug
  /** A text that the slug or the description contains; case does not matter. */
  text: string
  includeDeleted: boolean
  /** The maximum number of segments. */
  limit: number
}

/** Converts ASCII letters to upper case, as slugs are stored. `toUpperCase` would change other letters, such as ß to SS. */
function toSlugCase(text: string): string {
  return text.replace(/[a-z]+/g, (letters) => letters.toUpperCase())
}

/**
 * Lists segments by slug, in byte order. The case of descriptions is folded by ICU, because the locale of the database
 * may know no letters but ASCII, or Turkish rules. If counting their members takes longer than
 * {@link COUNTING_TIMEOUT_MS}, the list ends early, but contains at least one segment.
 *
 * @returns the segments, and whether there are more.
 */
export async function selectSegments(
  sql: Sql,
  { after, text, includeDeleted, limit }: SegmentFilter
): Promise<{ segments: Segment[]; hasMore: boolean }> {
  const rows = await sql<SegmentRow[]>`
    select ${segmentColumns(sql)}
    from segments
    left join assignments on segment_id = segments.id
    left join exclusive_groups on exclusive_groups.id = group_id
    where segments.slug collate "C" > ${after}
      and (${includeDeleted} or segments.deleted_at is null)
      and (
        strpos(segments.slug, ${toSlugCase(text)}) > 0
        or strpos(lower(segments.description collate "und-x-icu"), lower(${text} collate "und-x-icu")) > 0
      )
    order by segments.slug collate "C"
    limit ${limit + 1}`
  const deadline = performance.now() + COUNTING_TIMEOUT_MS
  const segments: Segment[] = []
  for (const { id, ...segment } of rows.slice(0, limit)) {
    if (segments.length > 0 && performance.now() > deadline) break
    segments.push({ ...segment, members: await countMembers(sql, id) })
  }
  return { segments, hasMore: rows.length > segments.length }
}

/** Whether the time is not in the future. */
export async function isPast(sql: Sql, time: Time): Promise<boolean> {
  const [row] = await sql<[{ is_past: boolean }]>`select ${toTimestamp(sql, time)} <= now() as is_past`
  return row.is_past
}

/** Which members of a segment to read. */
export type MemberFilter = {
  segmentId: number
  /** The members at this time, which must not be in the future; null: now. */
  at: Time | null
  /** Reads only ids after this one. */
  after: UserId
  /** The maximum number of members. */
  limit: number
}

/** The periods of the members, as a part of a statement. */
function periodsOfMembers(sql: Sql, { segmentId, at, after, limit }: MemberFilter) {
  const view = at === null ? sql`open_periods` : sql`period_starts`
  const isMember = at === null ? sql`active` : wasActive(sql, toTimestamp(sql, at))
  return sql`
    ${view}
    where segment_id = ${segmentId}
      and ${isMember}
      and user_id > ${after}
    order by user_id
    limit ${limit}`
}

/**
 * Lists the members of a segment by user id, each as it was recorded at that time: an expiry that was set again later is
 * not shown. A deleted segment has no members now.
 */
export async function selectMembers(sql: Sql, filter: MemberFilter): Promise<Member[]> {
  const { segmentId, at } = filter
  const rows = await sql<(Member & { is_set_again: boolean })[]>`
    select
      user_id::text,
      ${formatTime(sql, 'added_at')} as added_at,
      ${formatTime(sql, at === null ? 'expires_at' : 'initial_expires_at')} as expires_at,
      expires_at is distinct from initial_expires_at as is_set_again
    from (select * from ${periodsOfMembers(sql, filter)}) members
    order by members.user_id`
  const members = rows.map(({ is_set_again: _, ...member }) => member)
  if (at === null) return members
  const changed = rows.filter(({ is_set_again }) => is_set_again).map(({ user_id }) => user_id)
  if (changed.length === 0) return members
  const expiries = await selectExpiries(sql, segmentId, changed, at)
  return members.map((member) => {
    const last = expiries.get(member.user_id)
    return last && last.set_at >= member.added_at ? { ...member, expires_at: last.expires_at } : member
  })
}

type SetExpiry = { set_at: Time; expires_at: Time | null }

/** Reads the last expiry that was set again for each user until the given time. */
async function selectExpiries(
  sql: Sql,
  segmentId: number,
  userIds: UserId[],
  at: Time
): Promise<Map<UserId, SetExpiry>> {
  const rows = await sql<(SetExpiry & { user_id: UserId })[]>`
    select distinct on (expiry_changes.user_id)
      user_id::text,
      ${formatTime(sql, 'set_at')} as set_at,
      ${formatTime(sql, 'expires_at')} as expires_at
    from expiry_changes
    where segment_id = ${segmentId}
      and user_id = any (${userIds}::bigint[])
      and set_at <= ${toTimestamp(sql, at)}
    order by expiry_changes.user_id, expiry_changes.set_at desc`
  return new Map(rows.map(({ user_id, ...expiry }) => [user_id, expiry]))
}

/** Lines of a CSV file, and the last id in them. */
type MemberLines = { lines: string; upto: UserId }

/**
 * Reads a page of a segment's members, ascending by id, as one text with one id a line, and its expiry if it is asked for.
 * PostgreSQL builds the text, because one row per id would cost this process eight times as much CPU time.
 *
 * @returns undefined if there are none.
 */
export async function selectMemberLines(
  sql: Sql,
  filter: MemberFilter,
  hasExpiries: boolean
): Promise<MemberLines | undefined> {
  if (hasExpiries && filter.at !== null) return toLines(await selectMembers(sql, filter))
  const line = hasExpiries
    ? sql`user_id::text || ',' || coalesce(${formatTime(sql, 'expires_at')}, '')`
    : sql`user_id::text`
  const [page] = await sql<{ lines: string | null; upto: UserId }[]>`
    select string_agg(${line}, E'\n' order by user_id) || E'\n' as lines, max(user_id) as upto
    from (select user_id, expires_at from ${periodsOfMembers(sql, filter)}) page`
  return page?.lines ? { lines: page.lines, upto: page.upto } : undefined
}

function toLines(members: Member[]): MemberLines | undefined {
  const last = members.at(-1)
  if (!last) return undefined
  const lines = members.map(({ user_id, expires_at }) => `${user_id},${expires_at ?? ''}\n`).join('')
  return { lines, upto: last.user_id }
}

/**
 * Lists what happened to a segment, oldest first, with the position of each entry.
 *
 * @param after returns only entries after this position.
 * @param limit the maximum number of entries.
 * @returns undefined if the segment never existed.
 */
export async function selectSegmentHistory(
  sql: Sql,
  slug: Slug,
  after: string,
  limit: number
): Promise<(SegmentEntry & { id: string })[] | undefined> {
  const segmentId = await selectSegmentId(sql, slug)
  if (segmentId === undefined) return undefined
  return sql<(SegmentEntry & { id: string })[]>`
    select
      id::text,
      operation,
      ${formatTime(sql, 'changed_at')} as time,
      actor,
      changes,
      added::double precision,
      removed::double precision
    from segment_changes
    where segment_id = ${segmentId}
      and id > ${after}
    order by segment_changes.id
    limit ${limit}`
}
