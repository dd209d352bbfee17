/**
 * Generated data, the same for the same number of users but for its dates: ids from 1 to `users`; about ten active
 * segments a user, none for 2 %, 300 for one in 10,000; and as one in five periods, 2.5 that have ended.
 */
import type { Sql } from 'postgres'

/** Raise it when the data changes, so that no older data is used again. */
export const GENERATOR_VERSION = 1

/** Segments that ordinary users are in, each with a tenth of the users. */
const ORDINARY_SEGMENTS = 95
/** Deleted ones, which have only ended periods, as after the service has closed them. */
const DELETED_SEGMENTS = 5
/** Those that the users with very many are in. */
const RARE_SEGMENTS = 300
const DELETED_FROM = ORDINARY_SEGMENTS + 1
const RARE_FROM = DELETED_FROM + DELETED_SEGMENTS
/** One user in this many has very many, and at least ten have. */
const HEAVY_EVERY = 10_000
const LEAST_HEAVY = 10

/** Users whose rows are made by one statement. */
const CHUNK_SIZE = 20_000
/** Connections that load at once. */
const LOADERS = 2

/** In the order of their ids, which are 1, 2, 3 …: ordinary ones, deleted ones, rare ones. */
export const segmentSlugs = Array.from(
  { length: ORDINARY_SEGMENTS + DELETED_SEGMENTS + RARE_SEGMENTS },
  (_, index) => `PROMO_DISCOUNT_${String(index + 1).padStart(3, '0')}`
)

/** The segments that changes choose from. */
export const ordinarySlugs = segmentSlugs.slice(0, ORDINARY_SEGMENTS)

/** Fills an empty, migrated database. `sql` needs {@link LOADERS} connections. */
export async function generate(sql: Sql, users: number): Promise<void> {
  const [{ today }] = await sql<[{ today: string }]>`select current_date::text as today`
  await insertSegments(sql, today)
  const restore = await dropIndexes(sql)
  await sql`alter table memberships set (autovacuum_enabled = false)`

  const heavyEvery = Math.max(1, Math.min(HEAVY_EVERY, Math.floor(users / LEAST_HEAVY)))
  let next = 1
  let done = 0
  const load = async () => {
    while (next <= users) {
      const first = next
      const last = Math.min(users, first + CHUNK_SIZE - 1)
      next = last + 1
      await insertUsers(sql, first, last, today)
      await insertMemberships(sql, first, last, today, heavyEvery)
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
 * A user's n-th period, counted from 0: first those that are open, then those that have ended, of which every other
 * one is of a segment that the user has entered again. `hash` takes the place of chance. Sevens go through all of
 * the segments before one comes again.
 */
async function insertMemberships(
  sql: Sql,
  first: number,
  last: number,
  today: string,
  heavyEvery: number
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
        else make_interval(days => -600, secs => -1 - (hash + n * 86413) % 8640000)
      end,
      case when n >= open then ${today}::date + make_interval(days => -500, secs => -1 - hash % 8640000) end
    from (
      select
        id,
        hash,
        heavy,
        case when heavy then ${RARE_SEGMENTS}::int when hash % 50 = 0 then 0 else 1 + hash / 50 % 19 end as open,
        hash / 1000 % 6 as ended
      from generate_series(${first}::bigint, ${last}) id
      cross join lateral (
        select (hashint8(id) & 2147483647)::bigint as hash, id % ${heavyEvery} = 0 as heavy
      ) hashed
    ) users
    cross join lateral generate_series(0, open + ended - 1) n`
}

/**
 * Drops the indexes of `memberships`, whatever they are: rows go in much faster without, and sorting once makes
 * better indexes. The returned function makes them again.
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
