/** Reads the log of changes between two states. All statements need the primary: the snapshots of a standby differ. */

import type { Change } from '../../schemas/changes.ts'
import type { UserId } from '../../schemas/common.ts'
import {
  type ChangeCursor,
  type ChangeState,
  encodeChangeCursor,
  selectChangeState
} from '../database/change-states.ts'
import { formatTime, type Sql } from '../database/connect.ts'
import { MAX_SCANNED_CHANGES } from '../limits.ts'

/** Which changes to read. Null: all. */
export type ChangeFilter = { segmentIds: readonly number[] | null; userId: UserId | null }

/** Ids of transactions as a parameter. */
const toIds = (sql: Sql, ids: readonly number[]) => sql`${ids.map(String)}::text[]::xid8[]`

/** The days of rows that a state has not seen. A transaction may have begun on the day before. */
const isRecent = (sql: Sql, { day }: ChangeState) => sql`logged_on >= ${day}::text::date - 1`

/** Whether a state has not seen a row. */
function isUnseen(sql: Sql, { xid, running }: ChangeState) {
  return sql`(xid > ${String(xid)}::text::xid8 or xid = any (${toIds(sql, running)}))`
}

/**
 * A subquery for a position before which a state has seen all rows. A row has its position before it is visible: so a
 * transaction that was in progress may have left rows below the last position that the state has seen, whether or not the
 * state lists it. `filter` keeps PostgreSQL from looking for the minimum by going over the rows in the order of `position`.
 */
function selectFirstPosition(sql: Sql, from: ChangeState) {
  const last = sql`${String(from.last)}::text::bigint`
  return sql`(
    select coalesce(min(position) filter (where position <= ${last}), ${last} + 1)
    from changes
    where ${isRecent(sql, from)}
      and ${isUnseen(sql, from)}
  )`
}

/** Whether there are rows that a state has not seen. */
export async function hasUnseenChanges(sql: Sql, state: ChangeState): Promise<boolean> {
  const [row] = await sql<[{ found: boolean }]>`
    select exists (
      select
      from changes
      where ${isRecent(sql, state)}
        and ${isUnseen(sql, state)}
    ) as found`
  return row.found
}

/**
 * Whether rows that a cursor has not seen may have been dropped, or the database has been restored to an earlier state: the
 * newest row that the cursor has met has gone. Since then, another row may have got its position and the id of its
 * transaction, but not its time too.
 *
 * @param retention days for which rows are kept, counted back from the newest row.
 */
export async function isExpired(
  sql: Sql,
  { from, place }: ChangeCursor,
  retention: number
): Promise<boolean> {
  const { day } = place ?? from
  const newest = place?.to ?? from
  const [row] = await sql<[{ is_kept: boolean; is_known: boolean }]>`
    select
      ${day}::text::date >= coalesce(
        (select logged_on from changes order by changes.xid desc limit 1), current_date
      ) - ${retention}::integer as is_kept,
      exists (
        select
        from changes
        where logged_on = ${newest.day}::text::date
          and position = ${String(newest.position)}::text::bigint
          and xid = ${String(newest.xid)}::text::xid8
          and changed_at = to_timestamp(0) + ${String(newest.time)}::text::bigint * interval '1 microsecond'
      ) as is_known`
  return !row.is_kept || !(row.is_known || newest.position === 0)
}

type EventRow = Omit<Change, 'cursor'> & { event_position: string | null; day: string }
type ScanRow = { scanned: number; last_position: string | null; last_day: string | null }

/** A page of changes. */
export type ChangePage = {
  changes: Change[]
  cursor: ChangeCursor
  /** Whether everything has been read that was committed before the statement began. */
  isLast: boolean
}

/**
 * Reads the next changes after a cursor.
 *
 * @param limit the maximum number of changes.
 */
export async function selectChanges(
  sql: Sql,
  cursor: ChangeCursor,
  filter: ChangeFilter,
  limit: number
): Promise<ChangePage> {
  const { from } = cursor
  const to = cursor.place?.to ?? (await selectChangeState(sql))
  const place = cursor.place ?? { position: 0, user: null }
  const begin = cursor.place ? sql`${String(place.position)}::text::bigint` : selectFirstPosition(sql, from)
  const isFiltered = filter.segmentIds !== null || filter.userId !== null
  const segmentIds = filter.segmentIds?.map(String) ?? null
  const maxScanned = isFiltered ? MAX_SCANNED_CHANGES : limit
  const rows = await sql<(EventRow & ScanRow)[]>`
    with scanned as not materialized (
      select *
      from changes
      where ${isRecent(sql, from)}
        and ${isUnseen(sql, from)}
        and xid <= ${String(to.xid)}::text::xid8
        and xid <> all (${toIds(sql, to.running)})
        and position >= ${begin}
        and (position > ${String(place.position)}::text::bigint or ${place.user !== null})
      order by changes.position
      limit ${maxScanned}
    )
    select scan.*, event.*
    from (
      select
        count(*)::integer as scanned,
        max(position)::text as last_position,
        (array_agg(logged_on order by position desc))[1]::text as last_day
      from scanned
    ) scan
    left join (
      select
        scanned.position::text as event_position,
        logged_on::text as day,
        type,
        changed.user_id::text,
        slug,
        ${formatTime(sql, 'changed_at')} as time,
        coalesce(cause, case when type in ('membership_added', 'membership_removed', 'expiry_set') then 'request'::change_cause end) as cause,
        actor,
        ${formatTime(sql, 'changed.expires_at')} as expires_at,
        changes
      from scanned
      cross join unnest(coalesce(user_ids, '{null}'), expiries) as changed (user_id, expires_at)
      left join segments on segments.id = segment_id
      where (
          scanned.position > ${String(place.position)}::text::bigint
          or changed.user_id > ${place.user}::text::bigint
        )
        and (
          ${segmentIds}::text[] is null
          or segment_id = any (${segmentIds}::text[]::integer[])
          or type = 'user_erased'
        )
        and (${filter.userId}::text::bigint is null or changed.user_id = ${filter.userId}::text::bigint or type = 'segment_deleted')
      order by scanned.position, changed.user_id
      limit ${limit}
    ) event on true
    order by event.event_position::bigint, event.user_id::bigint`

  const changes: Change[] = []
  let next = cursor
  for (const { event_position, day, scanned: _, last_position: __, last_day: ___, ...change } of rows) {
    // Without changes, there is one row.
    if (event_position === null) break
    next = { from, place: { to, position: Number(event_position), day, user: change.user_id } }
    changes.push({ cursor: encodeChangeCursor(next), ...change })
  }
  const [scan] = rows
  if (changes.length === limit) return { changes, cursor: next, isLast: false }
  if (scan?.scanned === maxScanned && scan.last_position !== null && scan.last_day !== null)
    return {
      changes,
      cursor: { from, place: { to, position: Number(scan.last_position), day: scan.last_day, user: null } },
      isLast: false
    }
  return { changes, cursor: { from: to }, isLast: cursor.place === undefined }
}
