import type { Slug, Time, UserId } from '../../schemas/common.ts'
import type { Member, Segment, SegmentEntry } from '../../schemas/segments.ts'
import { formatTime, type Sql } from '../database/connect.ts'
import { COUNTING_TIMEOUT_MS } from '../limits.ts'

/** A segment as the API returns it, without the number of members. */
type SegmentRow = Omit<Segment, 'members'> & { id: number }

function segmentColumns(sql: Sql) {
  return sql`
    segments.id,
    slug,
    selection::double precision,
    description,
    enroll_new_users,
    ${formatTime(sql, 'created_at')} as created_at,
    ${formatTime(sql, 'deleted_at')} as deleted_at,
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
    where slug = ${slug}`
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
    where slug collate "C" > ${after}
      and (${includeDeleted} or deleted_at is null)
      and (
        strpos(slug, ${toSlugCase(text)}) > 0
        or strpos(lower(description collate "und-x-icu"), lower(${text} collate "und-x-icu")) > 0
      )
    order by slug collate "C"
    limit ${limit + 1}`
  const deadline = performance.now() + COUNTING_TIMEOUT_MS
  const segments: Segment[] = []
  for (const { id, ...segment } of rows.slice(0, limit)) {
    if (segments.length > 0 && performance.now() > deadline) break
    segments.push({ ...segment, members: await countMembers(sql, id) })
  }
  return { segments, hasMore: rows.length > segments.length }
}

/** Reads the id of a segment, even of a deleted one. */
export async function selectSegmentId(sql: Sql, slug: Slug): Promise<number | undefined> {
  const [segment] = await sql<{ id: number }[]>`select id from segments where slug = ${slug}`
  return segment?.id
}

/**
 * Lists the members of a segment by user id. A deleted segment has none.
 *
 * @param after returns only ids after this one.
 * @param limit the maximum number of members.
 * @returns undefined if the segment never existed.
 */
export async function selectMembers(
  sql: Sql,
  slug: Slug,
  after: UserId,
  limit: number
): Promise<Member[] | undefined> {
  const segmentId = await selectSegmentId(sql, slug)
  if (segmentId === undefined) return undefined
  return sql<Member[]>`
    select
      user_id::text,
      ${formatTime(sql, 'added_at')} as added_at,
      ${formatTime(sql, 'expires_at')} as expires_at
    from open_periods
    where segment_id = ${segmentId}
      and active
      and user_id > ${after}
    order by open_periods.user_id
    limit ${limit}`
}

/**
 * Reads a page of a segment's members, ascending by id, as one text with one id a line, and its expiry if it is asked for.
 * PostgreSQL builds the text, because one row per id would cost this process eight times as much CPU time.
 *
 * @param after returns only ids after this one.
 * @param limit the maximum number of members.
 * @returns the lines, and the last id on the page; undefined if there are none.
 */
export async function selectMemberLines(
  sql: Sql,
  { segmentId, hasExpiries }: { segmentId: number; hasExpiries: boolean },
  after: UserId,
  limit: number
): Promise<{ lines: string; upto: UserId } | undefined> {
  const line = hasExpiries
    ? sql`user_id::text || ',' || coalesce(${formatTime(sql, 'expires_at')}, '')`
    : sql`user_id::text`
  const [page] = await sql<{ lines: string | null; upto: UserId }[]>`
    select string_agg(${line}, E'\n' order by user_id) || E'\n' as lines, max(user_id) as upto
    from (
      select user_id, expires_at
      from open_periods
      where segment_id = ${segmentId}
        and active
        and user_id > ${after}
      order by user_id
      limit ${limit}
    ) page`
  return page?.lines ? { lines: page.lines, upto: page.upto } : undefined
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
