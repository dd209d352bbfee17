import type { Slug } from '../../../schemas/common.ts'
import type { Sql } from '../../database.ts'

/**
 * Creates a segment, with as many random users in it as `selection` asks for: exactly
 * ceil(selection × number of users), in decimal arithmetic, of the users known when the statement began.
 * The users are sorted before they are inserted, so that the indexes fill in order.
 *
 * @param selection a share from 0 to 1.
 * @returns false where the slug is taken, by a deleted segment too.
 */
export async function insertSegment(sql: Sql, slug: Slug, selection: number | undefined): Promise<boolean> {
  const share = selection === undefined ? null : String(selection)
  const created = await sql`
    with created as (
      insert into segments (slug, selection)
      values (${slug}, ${share}::numeric)
      on conflict (slug) do nothing
      returning id
    ),
    sampled as (
      select id
      from users
      order by random()
      limit ceil(coalesce(${share}::numeric, 0) * (select count(*) from users))
    ),
    assigned as (
      insert into memberships (user_id, segment_id)
      select sampled.id, created.id
      from created, sampled
      order by sampled.id
    )
    select id from created`
  return created.length > 0
}

/**
 * Ends a segment, and with it every membership in it: one row's update, however many members it has.
 *
 * @returns false where there is no such segment, or it is deleted already.
 */
export async function deleteSegment(sql: Sql, slug: Slug): Promise<boolean> {
  const [row] = await sql<[{ deleted: boolean }]>`select delete_segment(${slug}) as deleted`
  return row.deleted
}
