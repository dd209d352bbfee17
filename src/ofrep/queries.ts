import type { Slug } from '../../schemas/common.ts'
import type { Sql } from '../database/connect.ts'
import { MAX_BULK_FLAGS } from '../limits.ts'

/** What a flag shows: whether the user is in a segment, or in which of the segments of a group. */
export type FlagSource = 'segment' | readonly Slug[]

/** Finds which of the slugs name a segment or a group that is not deleted. */
export async function selectFlagSources(sql: Sql, slugs: readonly Slug[]): Promise<Map<Slug, FlagSource>> {
  const rows = await sql<{ slug: Slug; segments: string | null }[]>`
    select slug, null as segments
    from segments
    where slug = any (${slugs as Slug[]}::text[])
      and deleted_at is null
    union all
    select exclusive_groups.slug, coalesce(string_agg(segments.slug, ',' order by segments.id), '')
    from exclusive_groups
    left join segments on group_id = exclusive_groups.id
      and segments.deleted_at is null
    where exclusive_groups.slug = any (${slugs as Slug[]}::text[])
      and exclusive_groups.deleted_at is null
    group by exclusive_groups.slug`
  return new Map(
    rows.map(({ slug, segments }) => [slug, segments === null ? 'segment' : segments.split(',')])
  )
}

/**
 * All flags: the slugs of segments, separated by commas, and in a second line the groups, such as
 * `CHECKOUT_TEST:CHECKOUT_OLD|CHECKOUT_NEW`, separated by commas.
 */
export type FlagList = string

/**
 * Lists all segments and groups that are not deleted, in the order they were created. One text, because ten thousand rows
 * would cost this process several times as much CPU time.
 *
 * @returns at most {@link MAX_BULK_FLAGS} + 1 segments, and as many groups.
 */
export async function selectFlagList(sql: Sql): Promise<FlagList> {
  const [{ segments, groups }] = await sql<[{ segments: string; groups: string }]>`
    select
      (
        select coalesce(string_agg(slug, ',' order by id), '')
        from (
          select id, slug
          from segments
          where deleted_at is null
          order by id
          limit ${MAX_BULK_FLAGS + 1}
        ) live
      ) as segments,
      (
        select coalesce(string_agg(slug || ':' || segment_slugs, ',' order by id), '')
        from (
          select
            exclusive_groups.id,
            exclusive_groups.slug,
            coalesce(string_agg(segments.slug, '|' order by segments.id), '') as segment_slugs
          from exclusive_groups
          left join segments on group_id = exclusive_groups.id
            and segments.deleted_at is null
          where exclusive_groups.deleted_at is null
          group by exclusive_groups.id, exclusive_groups.slug
          order by exclusive_groups.id
          limit ${MAX_BULK_FLAGS + 1}
        ) live_groups
      ) as groups`
  return `${segments}\n${groups}`
}
