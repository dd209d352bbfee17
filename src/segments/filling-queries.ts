/** Fills segments in the background. The state is in the table `assignments`, so any instance can take the next step. */
import type { Slug, Time } from '../../schemas/common.ts'
import type { RecordedComposition } from '../../schemas/compositions.ts'
import { logMemberships } from '../database/change-log.ts'
import { formatTime, type Pool, type Sql } from '../database/connect.ts'
import { listRivals, lockGroups, nextMomentOfGroup, selectGroupId } from '../database/exclusive-groups.ts'
import { isTransient } from '../database/faults.ts'
import { lockSegment, shareErasure } from '../database/locks.ts'
import { nextMoment } from '../database/times.ts'
import { transaction } from '../database/transaction.ts'
import { MAX_ASSIGNMENT_FAILURES } from '../limits.ts'
import { type Population, populationOf } from './populations.ts'
import { addRandomMembers } from './sampled-members.ts'
import { countShare, sampleUsers } from './sampling.ts'

/** The result of one step of an assignment. */
export type AssignmentStep = {
  slug: Slug
  /** Consecutive failures, this one included; 0 if the step succeeded. */
  attempt: number
  /** Why the step failed; null if it succeeded. */
  error: string | null
}

type Assignment = {
  segment_id: number
  status: 'queued' | 'running'
  requested_at: Time
  attempt: number
}

type FilledSegment = {
  slug: Slug
  share: number
  composition: RecordedComposition | null
  created_by: string | null
  is_live: boolean
}

/** A step failed for another reason than a transient fault of the database. */
class FailedStep extends Error {
  readonly assignment: Assignment
  readonly slug: Slug

  constructor(assignment: Assignment, slug: Slug, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause })
    this.assignment = assignment
    this.slug = slug
  }
}

/**
 * Takes one step of an unfinished assignment: samples its users, or adds the next `chunkSize` of them. In an exclusive group,
 * it does both at once. A failed step is
 * retried after a pause; after {@link MAX_ASSIGNMENT_FAILURES} consecutive failures the assignment has failed. Any
 * number of instances may call this at any time.
 *
 * @returns undefined if there was nothing to do.
 * @throws {Error} a transient fault of the database. Then the step was not taken.
 */
export async function continueAssignment(pool: Pool, chunkSize: number): Promise<AssignmentStep | undefined> {
  try {
    return await transaction(pool, (sql) => takeStep(sql, chunkSize), { settings: { work_mem: '64MB' } })
  } catch (error) {
    if (!(error instanceof FailedStep)) throw error
    return recordFailure(pool, error)
  }
}

async function takeStep(sql: Sql, chunkSize: number): Promise<AssignmentStep | undefined> {
  await shareErasure(sql)
  const [assignment] = await sql<Assignment[]>`
    select segment_id, status, ${formatTime(sql, 'requested_at')} as requested_at, attempt
    from assignments
    where status in ('queued', 'running')
      and run_at <= now()
    order by assignments.requested_at
    limit 1
    for update skip locked`
  if (!assignment) return undefined
  // A segment does not enter a group while it is being filled. It leaves one only if the group is deleted.
  const groupId = await selectGroupId(sql, assignment.segment_id)
  if (groupId !== null) await lockGroups(sql, { segmentId: assignment.segment_id })
  else if (assignment.status === 'running') await lockSegment(sql, assignment.segment_id)
  const [segment] = await sql<[FilledSegment]>`
    select slug, selection::double precision as share, composition, created_by, deleted_at is null as is_live
    from segments
    where id = ${assignment.segment_id}`
  try {
    if (!segment.is_live) await endAssignment(sql, assignment.segment_id, 'cancelled')
    else if (groupId !== null || assignment.status === 'queued') {
      const population = await populationOf(sql, segment.composition, assignment.requested_at)
      if (groupId === null) await sampleChunks(sql, assignment, segment.share, population, chunkSize)
      else await addFreeUsers(sql, assignment, segment, population, groupId)
    } else await addChunk(sql, assignment.segment_id, segment.created_by)
  } catch (error) {
    throw isTransient(error) ? error : new FailedStep(assignment, segment.slug, error)
  }
  return { slug: segment.slug, attempt: 0, error: null }
}

/** @param population who was known when the segment was created, or its composition. */
async function sampleChunks(
  sql: Sql,
  { segment_id }: Assignment,
  share: number,
  population: Population,
  chunkSize: number
): Promise<void> {
  const sampling = await countShare(sql, share, population)
  const [sampled] = await sql<[{ users: number }]>`
    with chunks as (
      insert into assignment_chunks (segment_id, chunk, user_ids)
      select ${segment_id}, (place - 1) / ${chunkSize}::bigint, array_agg(id order by id)
      from (
        select id, row_number() over (order by id) as place
        from (${sampleUsers(sql, sampling)}) sampled
      ) placed
      group by 2
      returning cardinality(user_ids) as users
    )
    select coalesce(sum(users), 0)::double precision as users from chunks`
  if (sampled.users !== sampling.goal)
    throw new Error(`sampled ${sampled.users} instead of ${sampling.goal} users`)
  await sql`
    update assignments
    set status = 'running',
      target = ${sampling.goal},
      attempt = 0,
      error = null
    where segment_id = ${segment_id}`
}

/**
 * Samples the share from the users of the population who are free in the group, and adds it. This is one step, so that the share is exact at
 * one moment, and no other change of the group has to know whom the service has sampled and not added yet.
 *
 * @throws {Error} if too few users are free.
 */
async function addFreeUsers(
  sql: Sql,
  { segment_id }: Assignment,
  { share, created_by: actor }: FilledSegment,
  population: Population,
  groupId: number
): Promise<void> {
  const { goal } = await countShare(sql, share, population)
  const rivals = (await listRivals(sql, groupId, segment_id)).map(({ id }) => id)
  const at = await nextMoment(sql, segment_id, await nextMomentOfGroup(sql, groupId, null))
  const added = await addRandomMembers(sql, segment_id, {
    count: goal,
    at,
    actor,
    rivals,
    population
  })
  if (added < goal) throw new Error(`${goal} users are needed, but only ${added} are free in the group`)
  await sql`
    update assignments
    set target = ${goal},
      assigned = ${goal},
      added = ${goal},
      attempt = 0,
      error = null
    where segment_id = ${segment_id}`
  await finishAssignment(sql, segment_id, actor)
}

/** Adds the next users, or ends the assignment if there are none. */
async function addChunk(sql: Sql, segmentId: number, actor: string | null): Promise<void> {
  const [chunk] = await sql<{ user_ids: string; users: number }[]>`
    delete from assignment_chunks
    where segment_id = ${segmentId}
      and chunk = (select min(chunk) from assignment_chunks where segment_id = ${segmentId})
    returning user_ids::text, cardinality(user_ids) as users`
  if (!chunk) return finishAssignment(sql, segmentId, actor)
  // Users whom a request added or removed meanwhile stay as that request left them.
  const [{ added }] = await sql<[{ added: number }]>`
    with changed as (
      insert into memberships (user_id, segment_id, added_at, added_cause, added_by)
      select id, ${segmentId}, clock_timestamp(), 'selection', ${actor}
      from users
      where id = any (${chunk.user_ids}::text::bigint[])
        and not exists (
          select
          from assignment_exceptions
          where segment_id = ${segmentId}
            and user_id = users.id
        )
      order by id
      on conflict (user_id, segment_id) where removed_at is null do nothing
      returning user_id, segment_id, added_at as changed_at, expires_at
    ),
    logged as (${logMemberships(sql, { type: 'membership_added', cause: 'selection', actor })})
    select count(*)::double precision as added from changed`
  await sql`
    update assignments
    set assigned = assigned + ${chunk.users},
      added = added + ${added},
      attempt = 0,
      error = null
    where segment_id = ${segmentId}`
}

/** All users have been added. */
async function finishAssignment(sql: Sql, segmentId: number, actor: string | null): Promise<void> {
  await endAssignment(sql, segmentId, 'done')
  await sql`
    insert into segment_changes (segment_id, operation, changed_at, actor, added)
    select ${segmentId}, 'filled', clock_timestamp(), ${actor}, added
    from assignments
    where segment_id = ${segmentId}`
}

/**
 * Ends an assignment. Unless the segment is deleted, users whom a request removed before they were ever in it stay
 * exceptions: without a membership, nothing else records that they must not be sampled.
 */
async function endAssignment(
  sql: Sql,
  segmentId: number,
  status: 'done' | 'cancelled' | 'failed'
): Promise<void> {
  await sql`
    update assignments
    set status = ${status}
    where segment_id = ${segmentId}`
  await sql`
    delete from assignment_chunks
    where segment_id = ${segmentId}`
  await sql`
    delete from assignment_exceptions
    where segment_id = ${segmentId}
      and (
        ${status === 'cancelled'}
        or exists (
          select
          from memberships
          where segment_id = ${segmentId}
            and user_id = assignment_exceptions.user_id
        )
      )`
}

/** Schedules the next attempt after a pause that grows, or marks the assignment as failed. */
function recordFailure(pool: Pool, { assignment, slug, message }: FailedStep): Promise<AssignmentStep> {
  const { segment_id, attempt } = assignment
  const failures = attempt + 1
  return transaction(pool, async (sql) => {
    // The condition on `attempt` is false if another instance has taken the step meanwhile.
    const { count } = await sql`
      update assignments
      set attempt = ${failures},
        error = ${message},
        run_at = clock_timestamp() + make_interval(secs => ${4 ** attempt})
      where segment_id = ${segment_id}
        and status in ('queued', 'running')
        and attempt = ${attempt}`
    if (count > 0 && failures >= MAX_ASSIGNMENT_FAILURES) await endAssignment(sql, segment_id, 'failed')
    return { slug, attempt: failures, error: message }
  })
}
