/** Finds segments by their slugs, which are in upper case. */
import type { Slug } from '../../schemas/common.ts'
import type { Sql } from './connect.ts'

/** Reads the id of a segment, even of a deleted one. */
export async function selectSegmentId(sql: Sql, slug: Slug): Promise<number | undefined> {
  const [segment] = await sql<{ id: number }[]>`select id from segments where slug = ${slug}`
  return segment?.id
}

/** Reads the ids of segments, even of deleted ones. */
export async function selectSegmentIds(sql: Sql, slugs: Slug[]): Promise<number[]> {
  const rows = await sql<{ id: number }[]>`
    select id
    from segments
    where slug = any (${slugs}::text[])`
  return rows.map(({ id }) => id)
}

/** Finds which of the slugs name no segment or a deleted one. */
export async function selectMissingSlugs(sql: Sql, slugs: Slug[]): Promise<Slug[]> {
  const rows = await sql<{ slug: Slug }[]>`
    select slug
    from segments
    where slug = any (${slugs}::text[])
      and deleted_at is null`
  const live = new Set(rows.map(({ slug }) => slug))
  return slugs.filter((slug) => !live.has(slug))
}
