/** Creates segments, with a random share of the users. */
import type { Slug, Time } from '../../schemas/common.ts'
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
import { describeChanges } from './properties.ts'
import { MEMBER_OPTIONS } from './sampled-members.ts'
import { chooseCandidateShare, countShare, type Sampling, sampleFreeUsers, sampleUsers } from './sampling.ts'

/** A group that the segment is created in, locked. */
type Group = { id: number; slug: Slug }

/**
 * Creates a segment. With `selection`, it samples exactly ceil(selection × number of users) of the users known at that
 * moment; the product is computed in decimal arithmetic.
 *
 * @param segment the slugs are in upper case; `selection` is a share from 0 to 1.
 * @param later whether the users are added in the background (see `continueAssignment`) instead of in this transaction.
 * @param actor the name of the API key.
 * @returns the token of the write; undefined if the slug is taken, even by a deleted segment or a group.
 * @throws {ApiError} GROUP_NOT_FOUND, GROUP_FULL or GROUP_EXHAUSTED.
 */
export async function createSegment(
  db: Pool | Transaction,
  segment: CreateSegmentBody,
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
      if (segment.enroll_new_users) await lockPopulation(sql)
      const group =
        groupSlug === undefined ? null : { id: await enterGroup(sql, groupSlug, null), slug: groupSlug }
      const from = group && (await nextMomentOfGroup(sql, group.id, null))
      const created = await insertSegment(sql, segment, actor, group?.id ?? null, from)
      if (!created) return undefined
      if (group && segment.enroll_new_users) await checkEnrollment(sql, group)
      if (share === undefined) return created.token
      if (later) await insertAssignment(sql, created, share, group)
      else await addShare(sql, created, share, group, actor)
      return created.token
    },
    MEMBER_OPTIONS
  )
}

type CreatedSegment = { id: number; created_at: Time; token: WriteToken }

/** @param from the earliest time of creation; null: now. */
async function insertSegment(
  sql: Sql,
  { slug, selection, description, enroll_new_users = false, group, holdout = false }: CreateSegmentBody,
  actor: string | null,
  groupId: number | null,
  from: Time | null
): Promise<CreatedSegment | undefined> {
  // `not exists` comes first because every conflict would use up a value of the id's sequence. A group is created while
  // nobody writes to `segments`, so the slugs of groups that this statement sees are all there are.
  const properties = {
    selection,
    description,
    enroll_new_users: enroll_new_users || undefined,
    group,
    holdout: holdout || undefined
  }
  const [created] = await sql<CreatedSegment[]>`
    with created as (
      insert into segments (
        slug, selection, description, enroll_new_users, group_id, is_holdout, created_at, created_by
      )
      select
        ${slug}, ${selection === undefined ? null : String(selection)}::text::numeric, ${description ?? null},
        ${enroll_new_users}, ${groupId}::integer, ${holdout},
        greatest(clock_timestamp(), ${toTimestamp(sql, from)}), ${actor}
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
  { created_at }: CreatedSegment,
  share: number,
  group: Group | null,
  knownAt: Time | null
): Promise<Sampling> {
  const sampling = await countShare(sql, share, knownAt)
  if (group === null) return sampling
  const free = await countFreeUsers(sql, group.id, created_at)
  if (sampling.goal > free) throw groupExhausted(group.slug, sampling.goal, free)
  return { ...sampling, candidateShare: chooseCandidateShare(sampling.goal, free) }
}

/** In a group, the users are reserved. */
async function insertAssignment(
  sql: Sql,
  created: CreatedSegment,
  share: number,
  group: Group | null
): Promise<void> {
  const { id, created_at } = created
  const target = group && (await countCreatedShare(sql, created, share, group, created_at)).goal
  await sql`
    insert into assignments (segment_id, requested_at, target)
    values (${id}, ${toTimestamp(sql, created_at)}, ${target})`
}

/** Samples the share and adds it. The memberships begin when the segment is created. */
async function addShare(
  sql: Sql,
  created: CreatedSegment,
  share: number,
  group: Group | null,
  actor: string | null
): Promise<void> {
  const { id, created_at } = created
  const sampling = await countCreatedShare(sql, created, share, group, null)
  const rivals = group ? (await listRivals(sql, group.id, id)).map((rival) => rival.id) : []
  const sampled =
    rivals.length === 0 ? sampleUsers(sql, sampling) : sampleFreeUsers(sql, sampling, rivals, created_at)
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
  if (count !== sampling.goal) throw new Error(`sampled ${count} instead of ${sampling.goal} users`)
  await sql`
    insert into assignments (segment_id, requested_at, status, target, assigned)
    values (${id}, ${toTimestamp(sql, created_at)}, 'done', ${count}, ${count})`
  await sql`
    update segment_changes
    set added = ${count}
    where segment_id = ${id}`
}
