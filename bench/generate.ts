/**
 * Generates data. For the same number of users, it is the same except for its dates. User ids are from 1 to `users`. A user
 * is in about ten active segments on average, 2 % are in none, and one in 10,000 is in 300. A user also has ended periods,
 * by default 2.5 on average: one in five periods has ended.
 */
import type { Sql } from 'postgres'

/** Increase it when the data changes, so that older data is not used again. */
export const GENERATOR_VERSION = 1

/** Segments of ordinary users. Each has a tenth of the users. */
const ORDINARY_SEGMENTS = 95
/** Deleted segments. All their periods have ended, as if the service had closed them. */
const DELETED_SEGMENTS = 5
/** Segments of the users with very many segments. */
const RARE_SEGMENTS = 300
const DELETED_FROM = ORDINARY_SEGMENTS + 1
const RARE_FROM = DELETED_FROM + DELETED_SEGMENTS
/** One user in this many has very many segments, */
const HEAVY_USER_INTERVAL = 10_000
/** but at least this many users have. */
const MIN_HEAVY_USERS = 10

/** Users whose rows are inserted by one statement. */
const CHUNK_SIZE = 20_000
/** Connections that insert at the same time. */
const LOADERS = 2

/** In the order of the segments' ids, which are 1, 2, 3 …: ordinary, deleted and rare segments. */
export const segmentSlugs = Array.from(
  { length: ORDINARY_SEGMENTS + DELETED_SEGMENTS + RARE_SEGMENTS },
  (_, index) => `PROMO_DISCOUNT_${String(index + 1).padStart(3, '0')}`
)

/** The segments that changes choose from. */
export const ordinarySlugs = segmentSlugs.slice(0, ORDINARY_SEGMENTS)

/** A user has from none to this many ended periods, each number equally often. */
export const MAX_ENDED_PERIODS = 5

/** Fills an empty, migrated database. `sql` needs {@link LOADERS} connections. */
export async function generate(sql: Sql, users: number, maxEndedPeriods = MAX_ENDED_PERIODS): Promise<void> {
  const [{ today }] = await sql<[{ today: string }]>`select current_date::text as today`
  await insertSegments(sql, today)
  const restore = await dropIndexes(sql)
  await sql`alter table memberships set (autovacuum_enabled = false)`

  const heavyInterval = Math.max(1, Math.min(HEAVY_USER_INTERVAL, Math.floor(users / MIN_HEAVY_USERS)))
  let next = 1
  let done = 0
  const load = async () => {
    while (next <= users) {
      const first = next
      const last = Math.min(users, first + CHUNK_SIZE - 1)
      next = last + 1
      await insertUsers(sql, first, last, today)
      await insertMemberships(sql, first, last, today, heavyInterval, maxEndedPeriods)
      done += last - first + 1
      showProgress(done, users)
    }
  }
  await Promise.all(Array.from({ length: LOADERS }, load))

  console.log('  indexing')
  await restore()
  await sql`alter table memberships reset (autovacuum_enabled)`
  console.log('  vacuuming')
  await sql`vacuum (analyze)`
  await sql`checkpoint`
}

async function insertSegments(sql: Sql, today: string): Promise<void> {
  await sql`
    insert into segments (slug, created_at, deleted_at)
    select
      slug,
      ${today}::date - 1000,
      case when id between ${DELETED_FROM} and ${RARE_FROM - 1} then ${today}::date - 400 end
    from unnest(${segmentSlugs}::text[]) with ordinality as named (slug, id)
    order by id`
}

async function insertUsers(sql: Sql, first: number, last: number, today: string): Promise<void> {
  await sql`
    insert into users (id, created_at)
    select id, ${today}::date - 1000
    from generate_series(${first}::bigint, ${last}) id`
}

/**
 * Inserts the periods of users. Periods are numbered from 0 (`n`): first the open ones, then the ended ones. Every other
 * ended period is in a segment that the user has entered again. `hash` replaces randomness. Steps of seven reach all
 * ordinary segments before one repeats. Every ten ended periods lie 200 days further back, so that none overlap.
 */
async function insertMemberships(
  sql: Sql,
  first: number,
  last: number,
  today: string,
  heavyInterval: number,
  maxEndedPeriods: number
): Promise<void> {
  await sql`
    insert into memberships (user_id, segment_id, added_at, removed_at)
    select
      id,
      case
        when n < open and heavy then ${RARE_FROM}::int + n
        when n < open then 1 + (hash + 7 * n) % ${ORDINARY_SEGMENTS}::int
        when (n - open) % 2 = 0 then 1 + (hash + 7 * (n - open)) % ${ORDINARY_SEGMENTS}::int
        else ${DELETED_FROM}::int + (hash + n) % ${DELETED_SEGMENTS}::int
      end,
      ${today}::date + case
        when n < open then make_interval(secs => -1 - (hash + n * 86413) % 15552000)
        else make_interval(days => -600 - era, secs => -1 - (hash + n * 86413) % 8640000)
      end,
      case when n >= open then ${today}::date + make_interval(days => -500 - era, secs => -1 - hash % 8640000) end
    from (
      select
        id,
        hash,
        heavy,
        case when heavy then ${RARE_SEGMENTS}::int when hash % 50 = 0 then 0 else 1 + hash / 50 % 19 end as open,
        hash / 1000 % ${maxEndedPeriods + 1} as ended
      from generate_series(${first}::bigint, ${last}) id
      cross join lateral (
        select (hashint8(id) & 2147483647)::bigint as hash, id % ${heavyInterval} = 0 as heavy
      ) hashed
    ) users
    cross join lateral generate_series(0, open + ended - 1) n
    cross join lateral (select (200 * ((n - open) / 10))::int as era) years`
}

/**
 * Drops all indexes of `memberships`: inserts are much faster without them, and indexes that are built from all rows are
 * better. The returned function creates them again.
 */
async function dropIndexes(sql: Sql): Promise<() => Promise<void>> {
  const constraints = await sql<{ name: string; definition: string }[]>`
    select conname as name, pg_get_constraintdef(oid) as definition
    from pg_constraint
    where conrelid = 'memberships'::regclass
      and contype in ('p', 'u', 'x')`
  for (const { name } of constraints) await sql`alter table memberships drop constraint ${sql(name)}`

  const indexes = await sql<{ name: string; definition: string }[]>`
    select indexname as name, indexdef as definition
    from pg_indexes
    where tablename = 'memberships'`
  for (const { name } of indexes) await sql`drop index ${sql(name)}`

  return async () => {
    for (const { definition } of indexes) await sql.unsafe(definition)
    for (const { name, definition } of constraints)
      await sql`alter table memberships add constraint ${sql(name)} ${sql.unsafe(definition)}`
  }
}

function showProgress(done: number, users: number): void {
  const text = `  generating: ${done.toLocaleString('en')} of ${users.toLocaleString('en')} users`
  if (process.stdout.isTTY) process.stdout.write(`\r${text}${done === users ? '\n' : ''}`)
  else if (done === users || done % (20 * CHUNK_SIZE) === 0) console.log(text)
}
