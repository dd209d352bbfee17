import type { Sql } from '../../../src/database/connect.ts'

/** An acknowledged wish for a user and a segment that others change too, and the milliseconds it was in work. */
type Wish = { userId: number; slug: string; operation: 'add' | 'delete'; begun: number; ended: number }

/** What was acknowledged to all clients together. */
export class Journal {
  /** What must not have happened; the first ones. */
  readonly violations: string[] = []
  operations = 0
  /** Milliseconds. */
  longest = 0
  /** Users in one of the two segments that exclude each other, for ever. */
  readonly crossed = new Set<number>()
  /** How often the creation and the deletion of a segment were acknowledged, by slug. */
  readonly creations = new Map<string, number>()
  readonly deletions = new Map<string, number>()
  /** The share that a segment was created with, by slug, where it was, and whether its users were put in later. */
  readonly shares = new Map<string, { share: number; later: boolean }>()
  readonly wishes: Wish[] = []

  complain(violation: string): void {
    if (this.violations.length < 10) this.violations.push(violation)
  }
}

/** The acknowledged wishes that no moment of the time in which they were in work fulfils. */
export async function findUnfulfilledWishes(sql: Sql, wishes: readonly Wish[]) {
  return await sql`
    with wishes as (
      select *
      from unnest(
        ${wishes.map(({ userId }) => userId)}::bigint[],
        ${wishes.map(({ slug }) => slug)}::text[],
        ${wishes.map(({ operation }) => operation)}::text[],
        ${wishes.map(({ begun }) => new Date(begun).toISOString())}::timestamptz[],
        ${wishes.map(({ ended }) => new Date(ended).toISOString())}::timestamptz[]
      ) as wish (user_id, slug, operation, begun, ended)
    )
    select *
    from wishes w
    where operation = 'add' and not exists (
      select from periods p
      where p.user_id = w.user_id
        and p.slug = w.slug
        and p.added_at <= w.ended
        and (p.ended_at is null or p.ended_at >= w.begun)
    )
    or operation = 'delete' and exists (
      select from periods p
      where p.user_id = w.user_id
        and p.slug = w.slug
        and p.added_at <= w.begun
        and (p.ended_at is null or p.ended_at > w.ended)
    )
    limit 5`
}

/** Periods of one user and segment that lie on another. */
export async function findOverlaps(sql: Sql) {
  return await sql`
    select user_id, slug, added_at, previous_end
    from (
      select
        user_id,
        slug,
        added_at,
        lag(coalesce(ended_at, 'infinity')) over (partition by user_id, segment_id order by added_at) as previous_end
      from periods
    ) p
    where previous_end > added_at
    limit 5`
}

/** Periods of deleted segments that go on, or end or even begin after the deletion. */
export async function findSurvivors(sql: Sql) {
  return await sql`
    select p.user_id, p.slug, p.added_at, p.ended_at, s.deleted_at
    from periods p
    join segments s on s.id = p.segment_id
    where s.deleted_at is not null
      and (p.active or p.ended_at is null or p.ended_at > s.deleted_at or p.added_at > s.deleted_at)
    limit 5`
}

/** How many there are of each segment, as it was acknowledged, and as it is. */
export async function compareSegments(sql: Sql, { creations, deletions }: Journal): Promise<string[]> {
  const rows = await sql<{ slug: string; deleted: number }[]>`
    select slug, (deleted_at is not null)::integer as deleted from segments where slug like 'BRIEF%'`
  const found = new Map(rows.map(({ slug, deleted }) => [slug, deleted]))
  const slugs = new Set([...creations.keys(), ...found.keys()])
  return [...slugs].flatMap((slug) => {
    const acknowledged = [creations.get(slug) ?? 0, deletions.get(slug) ?? 0]
    const actual = [found.has(slug) ? 1 : 0, found.get(slug) ?? 0]
    return acknowledged.join() === actual.join()
      ? []
      : [`${slug}: created ${acknowledged[0]} and deleted ${acknowledged[1]} times, there are ${actual}`]
  })
}

/** Segments whose share of the users is not the exact one, or was not put in whole. */
export async function findWrongShares(sql: Sql, { shares }: Journal, users: number) {
  const asked = [...shares.values()]
  return await sql`
    select slug, share, put_in, a.*, count
    from unnest(
      ${[...shares.keys()]}::text[],
      ${asked.map(({ share }) => share)}::numeric[],
      ${asked.map(({ later }) => (later ? 'later' : 'at once'))}::text[]
    ) as asked (slug, share, put_in)
    join segments s using (slug)
    left join assignments a on a.segment_id = s.id
    cross join lateral (
      select count(*)
      from memberships m
      where m.segment_id = s.id
        and m.added_at = s.created_at
    ) with_it
    where a.status is null
      or a.status not in ('done', 'cancelled')
      or a.status = 'cancelled' and (put_in = 'at once' or s.deleted_at is null)
      or a.status = 'done' and (a.target <> ceil(share * ${users}) or a.assigned <> a.target)
      or count <> case when put_in = 'later' then 0 else a.target end
    limit 5`
}
