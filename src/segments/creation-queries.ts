/** Creates segments, with a random share of the users. */
import type { Slug, Time } from '../../schemas/common.ts'
import type { RecordedComposition } from '../../schemas/compositions.ts'
import type { CreateSegmentBody } from '../../schemas/segments.ts'
import { logMemberships } from '../database/change-log.ts'
import { formatTime, type Pool, type Sql, type Transaction } from '../database/connect.ts'
import { countFreeUsers, listRivals, nextMomentOfGroup } from '../database/exclusive-groups.ts'
import { lockPopulation, shareErasure } from '../database/locks.ts'
import { toTimestamp } from '../database/times.ts'
import { transaction } from '../database/transaction.ts'
import { type WriteToken, writeToken } from '../database/write-tokens.ts'
import { groupExhausted } from '../http/errors.ts'
import { checkEnrollment, enterGroup } from './group-rules.ts'
import { everybody, findPopulation, isEverybody, type Population, populationUsers } from './populations.ts'
import { describeChanges } from './properties.ts'
import { MEMBER_OPTIONS } from './sampled-members.ts'
import {
  chooseCandidateShare,
  countFree,
  countShare,
  type Sampling,
  sampleFreeUsers,
  sampleUsers
} from './sampling.ts'

/** A segment to create. Its slugs are in upper case; `selection` is a share from 0 to 1. */
export type NewSegment = Omit<CreateSegmentBody, 'from'> & {
  /** The users of whom the share is sampled; all known users by default. */
  from?: RecordedComposition
  /** When the segment is created, if nothing demands a later time; null: now. */
  createdAt?: Time
}

/** A group that the segment is created in, locked. */
type Group = { id: number; slug: Slug }

/**
 * Creates a segment. With `selection`, it samples exactly ceil(selection × number of users) of the users known at that
 * moment, or of those in `from`; the product is computed in decimal arithmetic.
 *
 * @param later whether the users are added in the background (see `continueAssignment`) instead of in this transaction.
 * @param actor the name of the API key.
 * @returns the token of the write; undefined if the slug is taken, even by a deleted segment or a group.
 * @throws {ApiError} SEGMENTS_NOT_FOUND, GROUP_NOT_FOUND, GROUP_FULL or GROUP_EXHAUSTED.
 */
export async function createSegment(
  db: Pool | Transaction,
  segment: NewSegment,
  later: boolean,
  actor: string | null
): Promise<WriteToken | undefined> {
  const { selection: share, group: groupSlug } = segment
  if (share === undefined && groupSlug === undefined)
    return (await insertSegment(db, segment, actor, null, null))?.token

  return transaction(
    db,
    async (sql) => {
      await shareErasure(sql)
      const composed = segment.from && (await findPopulation(sql, segment.from))
      if (segment.enroll_new_users) await lockPopulation(sql)
      const group =
        groupSlug === undefined ? null : { id: await enterGroup(sql, groupSlug, null), slug: groupSlug }
      const earliest = group && (await nextMomentOfGroup(sql, group.id, null))
      const created = await insertSegment(sql, segment, actor, group?.id ?? null, earliest)
      if (!created) return undefined
      if (group && segment.enroll_new_users) await checkEnrollment(sql, group)
      if (share === undefined) return created.token
      const population = composed ?? everybody(later ? created.created_at : null)
      if (later) await insertAssignment(sql, created, share, population, group)
      else await addShare(sql, created, share, population, group, actor)
      return created.token
    },
    MEMBER_OPTIONS
  )
}

type CreatedSegment = { id: number; created_at: Time; token: WriteToken }

/** @param earliest the earliest time of creation; null: now. */
async function insertSegment(
  sql: Sql,
  {
    slug,
    selection,
    from,
    createdAt,
    description,
    enroll_new_users = false,
    group,
    holdout = false
  }: NewSegment,
  actor: string | null,
  groupId: number | null,
  earliest: Time | null
): Promise<CreatedSegment | undefined> {
  // `not exists` comes first because every conflict would use up a value of the id's sequence. A group is created while
  // nobody writes to `segments`, so the slugs of groups that this statement sees are all there are.
  const properties = {
    selection,
    from,
    description,
    enroll_new_users: enroll_new_users || undefined,
    group,
    holdout: holdout || undefined
  }
  const [created] = await sql<CreatedSegment[]>`
    with created as (
      insert into segments (
        slug, selection, composition, description, enroll_new_users, group_id, is_holdout, created_at, created_by
      )
      select
        ${slug}, ${selection === undefined ? null : String(selection)}::text::numeric,
        ${from ? JSON.stringify(from) : null}::text::jsonb, ${description ?? null},
        ${enroll_new_users}, ${groupId}::integer, ${holdout},
        greatest(coalesce(${toTimestamp(sql, createdAt)}, clock_timestamp()), ${toTimestamp(sql, earliest)}), ${actor}
      where not exists (select from segments where slug = ${slug})
        and not exists (select from exclusive_groups where slug = ${slug})
      on conflict (slug) do nothing
      returning id, created_at
    ),
    recorded as (
      insert into segment_changes (segment_id, operation, changed_at, actor, changes)
      select id, 'created', created_at, ${actor}, ${describeChanges({}, properties)}::text::jsonb
      from created
    ),
    logged as (
      insert into changes (type, segment_id, changed_at, actor, changes)
      select 'segment_created', id, created_at, ${actor}, ${describeChanges({}, properties)}::text::jsonb
      from created
    )
    select id, ${formatTime(sql, 'created_at')} as created_at, ${writeToken(sql)} as token
    from created`
  return created
}

/** Computes the share. In a group, it is sampled from the free users. @throws {ApiError} GROUP_EXHAUSTED. */
async function countCreatedShare(
  sql: Sql,
  { id, created_at }: CreatedSegment,
  share: number,
  population: Population,
  group: Group | null
): Promise<CreatedSampling> {
  const sampling = await countShare(sql, share, population)
  const rivals = group === null ? [] : (await listRivals(sql, group.id, id)).map((rival) => rival.id)
  if (group === null) return { ...sampling, rivals }
  const unreserved = await countFreeUsers(sql, group.id, created_at)
  // Reservations are numbers of users: of which ones is not known.
  const free = isEverybody(population)
    ? unreserved
    : Math.min(unreserved, await countFree(sql, population, rivals, created_at))
  if (sampling.goal > free) throw groupExhausted(group.slug, sampling.goal, free)
  return { ...sampling, rivals, candidateShare: chooseCandidateShare(sampling.goal, free) }
}

/** In a group, the users are reserved. */
async function insertAssignment(
  sql: Sql,
  created: CreatedSegment,
  share: number,
  population: Population,
  group: Group | null
): Promise<void> {
  const { id, created_at } = created
  const target = group && (await countCreatedShare(sql, created, share, population, group)).goal
  await sql`
    insert into assignments (segment_id, requested_at, target)
    values (${id}, ${toTimestamp(sql, created_at)}, ${target})`
}

type CreatedSampling = Sampling & {
  /** The ids of the other segments of the group. */
  rivals: readonly number[]
}

function sampleCreated(sql: Sql, { rivals, ...sampling }: CreatedSampling, at: Time) {
  return rivals.length === 0 ? sampleUsers(sql, sampling) : sampleFreeUsers(sql, sampling, rivals, at)
}

/** Samples the share and adds it. The memberships begin when the segment is created. */
async function addShare(
  sql: Sql,
  created: CreatedSegment,
  share: number,
  population: Population,
  group: Group | null,
  actor: string | null
): Promise<void> {
  const { id, created_at } = created
  // A share of 1 is everybody: counting and shuffling them would take as long as adding them.
  const isWhole = share === 1 && group === null
  const sampling = isWhole ? null : await countCreatedShare(sql, created, share, population, group)
  const sampled =
    sampling === null ? populationUsers(sql, population) : sampleCreated(sql, sampling, created_at)
  // Sorted by id, so that the indexes grow in order.
  const [{ count }] = await sql<[{ count: number }]>`
    with changed as (
      insert into memberships (user_id, segment_id, added_at)
      select id, ${id}, ${toTimestamp(sql, created_at)}
      from (${sampled}) sampled
      order by id
      returning user_id, segment_id, added_at as changed_at, expires_at
    ),
    logged as (${logMemberships(sql, { type: 'membership_added', cause: 'selection', actor })})
    select count(*)::double precision from changed`
  if (sampling !== null && count !== sampling.goal)
    throw new Error(`sampled ${count} instead of ${sampling.goal} users`)
  await sql`
    insert into assignments (segment_id, requested_at, status, target, assigned)
    values (${id}, ${toTimestamp(sql, created_at)}, 'done', ${count}, ${count})`
  await sql`
    update segment_changes
    set added = ${count}
    where segment_id = ${id}`
}
