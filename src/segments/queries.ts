import type { Slug, UserId } from '../../schemas/common.ts'
import type {
  ChangeSegmentBody,
  CreateSegmentBody,
  Member,
  Segment,
  SegmentChange
} from '../../schemas/segments.ts'
import { formatTime, type Sql } from '../database/connect.ts'

/**
 * Creates a segment, with as many random users in it as `selection` asks for: exactly
 * ceil(selection × number of users), in decimal arithmetic, of the users known at this moment.
 *
 * @param segment its slug in upper case; `selection` is a share from 0 to 1.
 * @param later whether the users are put in by and by, after this (see `continueAssignment`), not with the segment.
 * @param actor the name of the API key.
 * @returns false where the slug is taken, by a deleted segment too.
 */
export async function createSegment(
  sql: Sql,
  { slug, selection, description, enroll_new_users = false }: CreateSegmentBody,
  later: boolean,
  actor: string | null
): Promise<boolean> {
  const share = selection === undefined ? null : String(selection)
  const [row] = await sql<[{ created: boolean }]>`
    select create_segment(
      ${slug}, ${share}::numeric, ${later}, ${description ?? null}, ${enroll_new_users}, ${actor}
    ) as created`
  return row.created
}

/**
 * Changes a segment, and with a new share its members: at random, users are put in or those taken out who were put in
 * by chance, until there are exactly ceil(selection × number of users) of these. No request's decision is touched.
 *
 * @param change null as the description takes it away; what is not named stays.
 * @returns how many users were put in and taken out, or why nothing has changed.
 */
export async function changeSegment(
  sql: Sql,
  slug: Slug,
  { selection, description, enroll_new_users }: ChangeSegmentBody,
  actor: string | null
): Promise<SegmentChange | 'not_found' | 'no_selection' | 'filling'> {
  const share = selection === undefined ? null : String(selection)
  const text = description === null ? '' : (description ?? null)
  const [row] = await sql<
    [SegmentChange & { outcome: 'changed' | 'not_found' | 'no_selection' | 'filling' }]
  >`
    select outcome, added::double precision, removed::double precision
    from change_segment(${slug}, ${share}::numeric, ${text}, ${enroll_new_users ?? null}, ${actor})`
  const { outcome, added, removed } = row
  return outcome === 'changed' ? { added, removed } : outcome
}

/** What is answered of a segment, but for its members. */
function segmentColumns(sql: Sql) {
  return sql`
    slug,
    selection::double precision,
    description,
    enroll_new_users,
    ${formatTime(sql, 'created_at')} as created_at,
    ${formatTime(sql, 'deleted_at')} as deleted_at,
    (
      select json_build_object('status', status, 'assigned', assigned, 'target', target)
      from assignments
      where segment_id = segments.id
    ) as assignment`
}

/** How many members a segment has now. They are counted one by one, ten million in 2 to 3 s. */
function countMembers(sql: Sql) {
  return sql`(select count(*) from open_periods where segment_id = segments.id and active)::double precision`
}

/** The segment of a slug, a deleted one too. */
export async function selectSegment(sql: Sql, slug: Slug): Promise<Segment | undefined> {
  const [segment] = await sql<Segment[]>`
    select ${segmentColumns(sql)}, ${countMembers(sql)} as members
    from segments
    where slug = ${slug}`
  return segment
}

type SegmentFilter = {
  /** The slug behind which to begin. */
  after: Slug
  /** What their slug or description has in it, in upper or lower case. */
  text: string
  includeDeleted: boolean
  /** Segments at the most. */
  limit: number
}

/** A segment of a list; without the number of its members where no time was left to count them. */
type ListedSegment = Omit<Segment, 'members'> & { members: number | null }

/** Milliseconds after which the members of no other segment are counted for a list. */
const COUNTING_TIME_MS = 3_000

/**
 * Segments by their slugs, in the order of their characters' codes.
 *
 * @returns at least the first one with the number of its members; null instead of it where no time was left.
 */
export function selectSegments(
  sql: Sql,
  { after, text, includeDeleted, limit }: SegmentFilter
): Promise<ListedSegment[]> {
  return sql<ListedSegment[]>`
    select
      ${segmentColumns(sql)},
      case
        -- The first one always, so that no page is empty before the end of the list.
        when place = 1 or clock_timestamp() < statement_timestamp() + make_interval(secs => ${COUNTING_TIME_MS / 1000})
          then ${countMembers(sql)}
      end as members
    from (
      select *, row_number() over (order by slug collate "C") as place
      from segments
      where slug collate "C" > ${after}
        and (${includeDeleted} or deleted_at is null)
        and (strpos(slug, upper(${text})) > 0 or strpos(lower(description), lower(${text})) > 0)
      order by slug collate "C"
      limit ${limit}
    ) segments
    order by slug collate "C"`
}

/** The id of a segment, a deleted one too. */
export async function selectSegmentId(sql: Sql, slug: Slug): Promise<number | undefined> {
  const [segment] = await sql<{ id: number }[]>`select id from segments where slug = ${slug}`
  return segment?.id
}

/** Periods that a page of `selectMemberLines` goes over: up to 200 kB of text. */
const MEMBERS_PAGE = 10_000

/**
 * The active members of a segment, their ids ascending, a line each: rows of one text, with the ids of a page.
 *
 * Where a page ends is taken from the key's index alone, who is active in it from the view. So the first page is there
 * at once and nothing is sorted but a page, whereas sorting all that is active takes seconds before the first row, and
 * rows of one id cost this process eight times the work.
 */
export function selectMemberLines(sql: Sql, segmentId: number) {
  // The user at whom a page ends that begins after a user.
  const pageEnd = (after: ReturnType<Sql>) => sql`
    (
      select max(user_id)
      from (
        select user_id
        from memberships
        where segment_id = ${segmentId}
          and user_id > ${after}
        order by user_id
        limit ${MEMBERS_PAGE}
      ) page
    )`
  return sql`
    with recursive pages (after, upto) as (
      select 0::bigint, ${pageEnd(sql`0`)}
      union all
      select upto, ${pageEnd(sql`upto`)}
      from pages
      where upto is not null
    )
    select lines
    from pages
    cross join lateral (
      select string_agg(user_id::text, E'\n' order by user_id) || E'\n' as lines
      from periods
      where segment_id = ${segmentId}
        and active
        and user_id > after
        and user_id <= upto
    ) page
    where lines is not null`.values()
}

/**
 * The members of a segment by their ids: none of a deleted one.
 *
 * @param after the id behind which to begin.
 * @param limit members at the most.
 * @returns undefined where there is and was no such segment.
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
 * Ends a segment, and with it every membership in it: one row's update, however many members it has.
 *
 * @returns false where there is no such segment, or it is deleted already.
 */
export async function deleteSegment(sql: Sql, slug: Slug, actor: string | null): Promise<boolean> {
  const [row] = await sql<[{ deleted: boolean }]>`select delete_segment(${slug}, ${actor}) as deleted`
  return row.deleted
}

/** One step of an assignment: of which segment, and where it failed, why, and for which time in a row. */
export type AssignmentStep = { slug: Slug; attempt: number; error: string | null }

/**
 * Takes one step of an assignment that was asked for and is not done: the users are drawn, or the next
 * `chunkSize` of them put in. A step that fails is tried again after a pause, five times in a row at the most.
 * Any number of instances may call it at any time.
 *
 * @returns undefined where there was nothing to do.
 */
export async function continueAssignment(sql: Sql, chunkSize: number): Promise<AssignmentStep | undefined> {
  const [step] = await sql<
    AssignmentStep[]
  >`select slug, attempt, error from continue_assignment(${chunkSize})`
  return step
}

/** How far the closing of the periods of deleted segments has come. */
export type ClosingPosition = { segment_id: number; user_id: string }

/**
 * Writes their end into the next `limit` periods of deleted segments. No answer changes by it.
 *
 * @returns how far it has come; undefined where there is nothing to do, or another instance is doing it.
 */
export async function closePeriods(
  sql: Sql,
  after: ClosingPosition | undefined,
  limit: number
): Promise<ClosingPosition | undefined> {
  const [position] = await sql<ClosingPosition[]>`
    select segment_id, user_id
    from close_periods(${after?.segment_id ?? 0}, ${after?.user_id ?? '0'}, ${limit})`
  return position
}
