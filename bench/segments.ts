/** What the benchmark does to segments behind the service's back, where the service itself is not what is measured. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Sql } from 'postgres'
import { nextSlug } from './calls.ts'

/** Milliseconds between two looks at something that the service does by itself. */
const POLL = 20

/** Inserts a segment and the first users into it, or with `every` only each so many-th user. Returns its slug. */
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

/**
 * Resolves once the service has put all users into a segment, or the signal is aborted. It asks the database, as
 * the service counts a segment's members for each who asks.
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
 * Closes the periods of all deleted segments at once, and resolves when the service has seen that nothing is left:
 * it takes its time, as it is not to disturb, and so would the benchmark.
 */
export async function closeDeletedSegments(sql: Sql): Promise<void> {
  await sql.begin(async (transaction) => {
    // The service's own lock: while it is held, the service leaves these rows alone.
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
