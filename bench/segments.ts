/** Changes and checks segments directly in the database, where the service is not measured. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Sql } from 'postgres'
import { nextSlug } from './calls.ts'

/** Milliseconds between two checks of background work. */
const POLL = 20

/** Inserts a segment with the first `members` users whose id is a multiple of `every`. Returns its slug. */
export async function insertSegment(sql: Sql, members: number, every = 1): Promise<string> {
  const slug = nextSlug()
  const [{ id }] = await sql<[{ id: number }]>`insert into segments (slug) values (${slug}) returning id`
  await sql`
    insert into memberships (user_id, segment_id)
    select id, ${id}
    from users
    where id % ${every}::int = 0
    order by id
    limit ${members}`
  return slug
}

/** Inserts a segment with the users for whom the id modulo 10 is from `first` to `last`. Returns its slug. */
export async function insertTenths(sql: Sql, first: number, last: number): Promise<string> {
  const slug = nextSlug()
  const [{ id }] = await sql<[{ id: number }]>`insert into segments (slug) values (${slug}) returning id`
  await sql`
    insert into memberships (user_id, segment_id)
    select id, ${id}
    from users
    where id % 10 between ${first}::int and ${last}::int
    order by id`
  return slug
}

/**
 * Resolves when the service has added all users to a segment, or the signal is aborted. It queries the database, because
 * the service would count the members of the segment for each request.
 */
export async function waitForAssignment(sql: Sql, slug: string, signal?: AbortSignal): Promise<void> {
  while (!signal?.aborted) {
    const [assignment] = await sql<{ status: string }[]>`
      select status
      from assignments
      where segment_id = (select id from segments where slug = ${slug})`
    if (assignment?.status === 'done') return
    if (assignment?.status !== 'queued' && assignment?.status !== 'running')
      throw new Error(`the assignment of ${slug} is ${assignment?.status ?? 'unknown'}`)
    await sleep(POLL)
  }
}

/**
 * Closes the periods of all deleted segments at once, and resolves when the service has noticed that none are left. The
 * service closes them slowly, so as not to disturb requests, and the benchmark would have to wait.
 */
export async function closeDeletedSegments(sql: Sql): Promise<void> {
  await sql.begin(async (transaction) => {
    // The service's own lock. While it is held, the service does not change these rows.
    await transaction`select pg_advisory_xact_lock(2, 0)`
    await transaction`
      update memberships m
      set removed_at = greatest(m.added_at, s.deleted_at)
      from segments s
      where s.id = m.segment_id
        and s.deleted_at is not null
        and s.closed_at is null
        and m.removed_at is null`
  })
  for (;;) {
    const open = await sql`
      select
      from segments
      where deleted_at is not null
        and closed_at is null
      limit 1`
    if (open.length === 0) return
    await sleep(POLL)
  }
}
