import type { Sql } from '../../../src/database/connect.ts'

/** An acknowledged change of a user in a shared segment, and when its request began and ended, in milliseconds. */
type AcknowledgedChange = {
  userId: number
  slug: string
  operation: 'add' | 'delete'
  begun: number
  ended: number
}

/** The acknowledged changes of all clients. */
export class Journal {
  /** The first violations. */
  readonly violations: string[] = []
  operations = 0
  /** The longest response time, in milliseconds. */
  longest = 0
  /** When a user was first in one of the two exclusive segments. */
  readonly crossed = new Set<number>()
  /** The acknowledged creations and deletions of each segment, by slug. */
  readonly creations = new Map<string, number>()
  readonly deletions = new Map<string, number>()
  /** The share of each segment that was created with one, by slug, and whether it was filled in the background. */
  readonly shares = new Map<string, { share: number; later: boolean }>()
  readonly changes: AcknowledgedChange[] = []

  complain(violation: string): void {
    if (this.violations.length < 10) this.violations.push(violation)
  }
}

/** The first acknowledged changes that did not hold at any moment during their requests. */
export async function findLostChanges(
  sql: Sql,
  changes: readonly AcknowledgedChange[]
): Promise<AcknowledgedChange[]> {
  const rows = await sql<{ user: number; slug: string; added: number; ended: number }[]>`
    select
      user_id::integer as user,
      slug,
      extract(epoch from added_at)::double precision * 1000 as added,
      coalesce(extract(epoch from ended_at)::double precision * 1000, 'infinity') as ended
    from periods`
  const found = Map.groupBy(rows, ({ user, slug }) => `${user} ${slug}`)
  const isLost = ({ userId, slug, operation, begun, ended }: AcknowledgedChange) => {
    const periods = found.get(`${userId} ${slug}`) ?? []
    return operation === 'add'
      ? !periods.some((period) => period.added <= ended && period.ended >= begun)
      : periods.some((period) => period.added <= begun && period.ended > ended)
  }
  return changes.filter(isLost).slice(0, 5)
}

/** Overlapping periods of one user in one segment. */
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

/** Periods in deleted segments that have no end, or that begin or end after the deletion. */
export async function findSurvivors(sql: Sql) {
  return await sql`
    select user_id, p.slug, added_at, p.ended_at, deleted_at
    from periods p
    join period_starts using (user_id, segment_id, added_at)
    where deleted_at is not null
      and (active or p.ended_at is null or p.ended_at > deleted_at or added_at > deleted_at)
    limit 5`
}

/** The acknowledged and the actual number of segments of each slug. */
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

/** Segments whose number of sampled users is not exact, or that were not filled completely. */
export async function findWrongShares(sql: Sql, { shares }: Journal, users: number) {
  const asked = [...shares.values()]
  return await sql`
    with counted as (
      select s.id, count(*)
      from memberships m
      join segments s on s.id = m.segment_id
        and s.created_at = m.added_at
      group by s.id
    )
    select slug, share, put_in, a.*, count
    from unnest(
      ${[...shares.keys()]}::text[],
      ${asked.map(({ share }) => share)}::numeric[],
      ${asked.map(({ later }) => (later ? 'later' : 'at once'))}::text[]
    ) as asked (slug, share, put_in)
    join segments s using (slug)
    left join assignments a on a.segment_id = s.id
    left join counted using (id)
    where a.status is null
      or a.status not in ('done', 'cancelled')
      or a.status = 'cancelled' and (put_in = 'at once' or s.deleted_at is null)
      or a.status = 'done' and (a.target <> ceil(share * ${users}) or a.assigned <> a.target)
      or coalesce(count, 0) <> case when put_in = 'later' then 0 else a.target end
    limit 5`
}
