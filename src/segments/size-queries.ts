/** Counts the members of a segment over time, and the known users. */
import type { Time } from '../../schemas/common.ts'
import type { Sizes, SizesQuery } from '../../schemas/segments.ts'
import { formatTime, type Sql } from '../database/connect.ts'
import { toTimestamp } from '../database/times.ts'

/** Steps before the last moment at which the sizes begin by default. */
const DEFAULT_STEPS = 90

type SizesFilter = {
  /** The first moment; null: 90 steps before the last one. */
  from: Time | null
  /** The last moment, inclusive; null: now. */
  to: Time | null
  step: SizesQuery['step']
}

/**
 * Counts the members of a segment at each moment, exactly, in one pass over its periods.
 *
 * A period is counted from the first moment at which it has begun until the last one before its end. `date_bin` finds both:
 * its origin is a microsecond after the first moment, so each of its intervals ends with a moment.
 */
export async function selectSizes(
  sql: Sql,
  segmentId: number,
  { from, to, step }: SizesFilter
): Promise<Sizes['sizes']> {
  const stride = sql`${`1 ${step}`}::text::interval`
  const start = toTimestamp(sql, from ?? (await chooseStart(sql, to, step)))
  const origin = sql`(${start} + interval '1 microsecond')`
  return sql<Sizes['sizes']>`
    with counted as materialized (
      select
        date_bin(${stride}, greatest(added_at, ${start}), ${origin}) as begun,
        case when ended_at is not null then date_bin(${stride}, greatest(ended_at, ${start}), ${origin}) end as ended,
        count(*) as periods
      from period_starts
      where segment_id = ${segmentId}
        and added_at <= least(${toTimestamp(sql, to)}, now())
      group by 1, 2
    ),
    changed as (
      select bin + ${stride} - interval '1 microsecond' as moment, sum(periods) as members
      from (
        select begun as bin, periods from counted
        union all
        select ended, -periods from counted where ended is not null
      ) counted
      group by 1
    )
    select ${formatTime(sql, 'moment')} as time, (sum(coalesce(members, 0)) over (order by moment))::double precision as members
    from generate_series(${start}, least(${toTimestamp(sql, to)}, now()), ${stride}) as moment
    left join changed using (moment)
    order by moment`
}

/** Chooses the first moment if none is given: at midnight or the full hour, in UTC. */
async function chooseStart(sql: Sql, to: Time | null, step: SizesQuery['step']): Promise<Time> {
  const [{ start }] = await sql<[{ start: Time }]>`
    select ${formatTime(sql, 'moment')} as start
    from (
      select date_trunc(${step}::text, least(${toTimestamp(sql, to)}, now()), 'UTC')
        - ${DEFAULT_STEPS}::integer * ${`1 ${step}`}::text::interval as moment
    ) start`
  return start
}

/** Counts the users that are known. This is an index-only scan: ten million users take about a second. */
export async function countUsers(sql: Sql): Promise<number> {
  const [row] = await sql<[{ users: number }]>`select count(*)::double precision as users from users`
  return row.users
}
