import type { Slug } from '../../schemas/common.ts'
import type { Sql } from '../database/connect.ts'
import { MAX_BULK_FLAGS } from '../limits.ts'

/** Finds which of the slugs name a segment that is not deleted. */
export async function selectLiveSlugs(sql: Sql, slugs: readonly Slug[]): Promise<Map<Slug, true>> {
  const rows = await sql<{ slug: Slug }[]>`
    select slug
    from segments
    where slug = any (${slugs as Slug[]}::text[])
      and deleted_at is null`
  return new Map(rows.map(({ slug }) => [slug, true]))
}

/** All slugs, separated by commas. */
export type SlugList = string

/**
 * Lists the slugs of all segments that are not deleted, in the order the segments were created. One text, because ten
 * thousand rows would cost this process several times as much CPU time.
 *
 * @returns at most {@link MAX_BULK_FLAGS} + 1 slugs.
 */
export async function selectSlugList(sql: Sql): Promise<SlugList> {
  const [{ slugs }] = await sql<[{ slugs: SlugList }]>`
    select coalesce(string_agg(slug, ',' order by id), '') as slugs
    from (
      select id, slug
      from segments
      where deleted_at is null
      order by id
      limit ${MAX_BULK_FLAGS + 1}
    ) live`
  return slugs
}
