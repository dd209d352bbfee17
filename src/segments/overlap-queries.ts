/** Counts the users that segments share. */
import type { Slug, Time } from '../../schemas/common.ts'
import type { Overlaps } from '../../schemas/groups.ts'
import type { Pool, Sql } from '../database/connect.ts'
import { findGroup, isActiveIn, listGroupSegments } from '../database/exclusive-groups.ts'
import { selectMissingSlugs } from '../database/segment-slugs.ts'
import { readClock } from '../database/times.ts'
import { transaction } from '../database/transaction.ts'
import { groupNotFound, segmentsNotFound } from '../http/errors.ts'

type ComparedSegment = { id: number; slug: Slug }

/**
 * Counts how many users each two segments share, all at one moment.
 *
 * @param group the slug of a group.
 * @param slugs the segments, each once; null: those of the group.
 * @throws {ApiError} GROUP_NOT_FOUND or SEGMENTS_NOT_FOUND.
 */
export function selectOverlaps(pool: Pool, group: Slug, slugs: readonly Slug[] | null): Promise<Overlaps> {
  return transaction(
    pool,
    async (sql) => {
      const at = await readClock(sql)
      const groupId = await findGroup(sql, group)
      if (groupId === undefined) throw groupNotFound(group)
      const compared =
        slugs === null ? await listGroupSegments(sql, [groupId]) : await findSegments(sql, slugs)
      const counts = await countShared(sql, compared, at)
      const count = (one: ComparedSegment, other: ComparedSegment) =>
        counts.get(pairOf(one.id, other.id)) ?? 0
      const segments = compared.map((segment) => ({ slug: segment.slug, members: count(segment, segment) }))
      const overlaps = compared.flatMap((one, index) =>
        compared
          .slice(index + 1)
          .map((other) => ({ segments: [one.slug, other.slug], users: count(one, other) }))
      )
      return { segments, overlaps, as_of: at }
    },
    { isolation: 'repeatable read' }
  )
}

/** Finds segments that are not deleted, in the order of their slugs. */
async function findSegments(sql: Sql, slugs: readonly Slug[]): Promise<ComparedSegment[]> {
  const segments = await sql<ComparedSegment[]>`
    select id, slug
    from segments
    where slug = any (${slugs as Slug[]}::text[])
      and deleted_at is null
    order by array_position(${slugs as Slug[]}::text[], slug)`
  if (segments.length < slugs.length) throw segmentsNotFound(await selectMissingSlugs(sql, slugs as Slug[]))
  return segments
}

/** The key of a pair in the counts. The smaller id comes first. */
const pairOf = (one: number, other: number) => `${Math.min(one, other)}/${Math.max(one, other)}`

/**
 * Counts the users who are in both segments of each pair; a segment is also paired with itself. A pair without users is
 * missing.
 *
 * The memberships are grouped once, by user: each user has a set of segments, and there are far fewer different sets than
 * users. Only these are taken apart into pairs. A join of the memberships with themselves would take time for each pair.
 */
async function countShared(
  sql: Sql,
  compared: readonly ComparedSegment[],
  at: Time
): Promise<Map<string, number>> {
  const ids = compared.map(({ id }) => id)
  const rows = await sql<{ one: number; other: number; users: number }[]>`
    select one, other, sum(users)::double precision as users
    from (
      select segments, count(*) as users
      from (
        select array_agg(segment_id) as segments
        from memberships
        where ${isActiveIn(sql, ids, at)}
        group by user_id
      ) of_users
      group by segments
    ) sets
    cross join unnest(segments) as one
    cross join unnest(segments) as other
    where one <= other
    group by one, other`
  return new Map(rows.map(({ one, other, users }) => [pairOf(one, other), users]))
}
