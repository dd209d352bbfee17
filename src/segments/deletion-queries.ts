import type { Slug, Time, UserId } from '../../schemas/common.ts'
import { formatTime, type Pool, type Sql } from '../database/connect.ts'
import { tryLockClosing } from '../database/locks.ts'
import { toTimestamp } from '../database/times.ts'
import { transaction } from '../database/transaction.ts'
import { type WriteToken, writeToken } from '../database/write-tokens.ts'

/**
 * Deletes a segment, which ends every membership in it. This writes three rows, however many members there are. It waits
 * for changes of the members that are in progress.
 *
 * @returns the token of the write; undefined if the segment does not exist or is already deleted.
 */
export async function deleteSegment(
  sql: Sql,
  slug: Slug,
  actor: string | null
): Promise<WriteToken | undefined> {
  // One statement, so that no other request waits for round trips under the lock. `next_moment` is called when the lock is
  // held, and sees what was committed before.
  const [deleted] = await sql<{ token: WriteToken }[]>`
    with locked as materialized (
      select id, pg_advisory_xact_lock(1, id)::text as lock
      from segments
      where slug = ${slug}
        and deleted_at is null
    ),
    moment as materialized (
      select id, next_moment(id) as at
      from locked
      where lock is not null
    ),
    deleted as (
      update segments
      set deleted_at = greatest(at, created_at),
        deleted_by = ${actor}
      from moment
      where segments.id = moment.id
        and deleted_at is null
      returning segments.id, deleted_at
    ),
    logged as (
      insert into changes (type, segment_id, changed_at, actor)
      select 'segment_deleted', id, deleted_at, ${actor}
      from deleted
    )
    insert into segment_changes (segment_id, operation, changed_at, actor)
    select id, 'deleted', deleted_at, ${actor}
    from deleted
    returning ${writeToken(sql)} as token`
  return deleted?.token
}

/** The progress of closing the periods of deleted segments: the last user whose period has been closed. */
export type ClosingPosition = { segmentId: number; userId: UserId }

/**
 * Writes `removed_at` into the next `limit` open periods of a deleted segment. No answer changes. The commit does not
 * wait for the disk: if a crash undoes it, the work is repeated.
 *
 * @returns the progress; undefined if there is nothing to do, or another instance is doing it.
 */
export function closePeriods(
  pool: Pool,
  after: ClosingPosition | undefined,
  limit: number
): Promise<ClosingPosition | undefined> {
  return transaction(
    pool,
    async (sql) => {
      if (!(await tryLockClosing(sql))) return undefined
      const [segment] = await sql<{ id: number; deleted_at: Time }[]>`
        select id, ${formatTime(sql, 'deleted_at')} as deleted_at
        from segments
        where deleted_at is not null
          and closed_at is null
        order by id
        limit 1`
      if (!segment) return undefined
      const from = segment.id === after?.segmentId ? after.userId : '0'
      const upto = await findPageEnd(sql, segment.id, from, limit)
      if (upto === null) {
        // The segment is closed only after a pass from the first user has found nothing: a crash may have undone work
        // before the current position.
        if (from === '0') await markClosed(sql, segment.id)
        return { segmentId: segment.id, userId: '0' }
      }
      await sql`
        update memberships
        set removed_at = greatest(added_at, least(expires_at, ${toTimestamp(sql, segment.deleted_at)}))
        where segment_id = ${segment.id}
          and removed_at is null
          and user_id > ${from}
          and user_id <= ${upto}`
      return { segmentId: segment.id, userId: upto }
    },
    { settings: { synchronous_commit: 'off' } }
  )
}

/** The last user of the next page of open periods; null if there are none after `from`. */
async function findPageEnd(sql: Sql, segmentId: number, from: UserId, limit: number): Promise<UserId | null> {
  const [page] = await sql<[{ upto: UserId | null }]>`
    select max(user_id) as upto
    from (
      select user_id
      from memberships
      where segment_id = ${segmentId}
        and removed_at is null
        and user_id > ${from}
      order by user_id
      limit ${limit}
    ) page`
  return page.upto
}

async function markClosed(sql: Sql, segmentId: number): Promise<void> {
  await sql`
    update segments
    set closed_at = now()
    where id = ${segmentId}`
}
