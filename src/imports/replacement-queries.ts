/** Replaces the members of a segment by the users of an upload. */
import type { Slug, Time } from '../../schemas/common.ts'
import { formatTime, type Pool, type Sql, type Transaction } from '../database/connect.ts'
import { listRivals } from '../database/exclusive-groups.ts'
import { nextMoment, toTimestamp } from '../database/times.ts'
import { transaction } from '../database/transaction.ts'
import { tooManyRemoved } from '../http/errors.ts'
import { SWEEPABLE_BATCHES } from '../limits.ts'
import { checkLines, importedUsers, removeConflictingLines, type StoredLines } from './line-queries.ts'
import { addMembers, closeExpired, countChanges, makeUsersKnown, removeMembers } from './member-queries.ts'
import { chooseOptions, except, type ImportedMembers, type ImportOptions } from './queries.ts'
import { checkReplaceable, chooseMoment, findSegment, lockForImport } from './target-queries.ts'

export type ReplacementOptions = ImportOptions & {
  /** The number of accepted lines. */
  accepted: number
  /** At most so many members may be removed. Undefined: any number, but none by an upload without a line that counts. */
  maxRemoved: number | undefined
}

/**
 * For what concerns all members of the segment: they are read as a whole, whatever the statistics expect. Many members may
 * meet few lines.
 */
const WHOLE_SEGMENT = { settings: { enable_nestloop: 'off' } }

/**
 * Makes the users of an upload the members of a segment, all at one moment. Who is missing is removed, as if by name; who is
 * new is added as by {@link importMembers}; the membership of who stays is not touched, unless the upload gives it another
 * expiry. Users whose lines are rejected are missing.
 *
 * The upload is compared with the members once. Only the differences are written.
 *
 * @param shown the maximum number of late and of conflicting lines to return.
 * @returns undefined if the segment does not exist or is deleted; then nothing has changed.
 * @throws {LinesLost}
 * @throws {ApiError} SEGMENT_IS_HOLDOUT, SEGMENT_BEING_FILLED or TOO_MANY_REMOVED.
 */
export function replaceMembers(
  db: Pool | Transaction,
  slug: Slug,
  options: ReplacementOptions,
  shown: number
): Promise<(ImportedMembers & { removed: number }) | undefined> {
  const { importId, countOnly, skip, accepted, actor } = options
  return transaction(
    db,
    async (sql) => {
      const named = await findSegment(sql, slug)
      if (!named) return undefined
      const { id: segmentId } = named
      const enrollingIds = countOnly ? undefined : await lockForImport(sql, importId, segmentId)
      // Read again: the segment may have been changed or deleted before it was locked.
      const segment = await findSegment(sql, slug)
      if (!segment) return undefined
      checkReplaceable(segment, slug)

      const rivals = await listRivals(sql, segment.group_id, segmentId)
      const at = await chooseMoment(sql, segment)
      const late = await checkLines(sql, options, at, shown)
      const conflicting = await removeConflictingLines(sql, options, rivals, at, shown)
      const rejected = late.count + conflicting.count
      const { entering, leaving, start } = await storeDifferences(sql, options, segmentId, at)
      return transaction(
        sql,
        async () => {
          if (countOnly || (rejected > 0 && !skip)) {
            const { added, newUsers } = await countChanges(sql, entering, segmentId, at)
            return { added, newUsers, removed: leaving.stored, late, conflicting }
          }
          const maxRemoved = options.maxRemoved ?? (accepted > rejected ? undefined : 0)
          if (maxRemoved !== undefined && leaving.stored > maxRemoved)
            throw tooManyRemoved(slug, leaving.stored, maxRemoved)

          const newUsers = enrollingIds
            ? await makeUsersKnown(sql, entering, except(enrollingIds, rivals), at, actor)
            : 0
          await closeExpired(sql, entering, segmentId, at)
          const changedAt = await nextMoment(sql, segmentId, start)
          const added = await addMembers(sql, entering, segmentId, at, changedAt, actor)
          const removed = await transaction(
            sql,
            () => removeMembers(sql, leaving, segmentId, changedAt, actor),
            WHOLE_SEGMENT
          )
          await recordReplacement(sql, segmentId, { added, removed }, changedAt, actor)
          return { added, newUsers, removed, late, conflicting }
        },
        chooseOptions({ stored: entering.stored + leaving.stored })
      )
    },
    chooseOptions(options)
  )
}

/** What a replacement changes, each part stored like the lines of an upload. */
type Differences = {
  /** Users who are not in the segment, or whose membership gets another expiry. */
  entering: StoredLines
  /** Members who are missing in the upload. */
  leaving: StoredLines
  /** The earliest moment at which they may leave. */
  start: Time
}

/** Compares an upload with the members of the segment. */
function storeDifferences(
  sql: Transaction,
  lines: StoredLines,
  segmentId: number,
  at: Time
): Promise<Differences> {
  return transaction(
    sql,
    async () => {
      const [enteringId, leavingId] = [await beginDifference(sql), await beginDifference(sql)]
      const entering = await sql`
        insert into import_lines (import_id, batch, user_id, expires_at)
        select ${enteringId}, (user_id % ${SWEEPABLE_BATCHES})::integer, user_id, expires_at
        from (${importedUsers(sql, lines, at)}) imported
        where not exists (
          select
          from memberships
          where segment_id = ${segmentId}
            and memberships.user_id = imported.user_id
            and removed_at is null
            and (memberships.expires_at is null or memberships.expires_at > ${toTimestamp(sql, at)})
            and (imported.expires_at is null or imported.expires_at is not distinct from memberships.expires_at)
        )`
      const leaving = await sql`
        insert into import_lines (import_id, batch, user_id)
        select ${leavingId}, (user_id % ${SWEEPABLE_BATCHES})::integer, user_id
        from memberships
        where segment_id = ${segmentId}
          and removed_at is null
          and (expires_at is null or expires_at > ${toTimestamp(sql, at)})
          and not exists (
            select
            from import_lines
            where import_id = ${lines.importId}
              and import_lines.user_id = memberships.user_id
              and (import_lines.expires_at is null or import_lines.expires_at > ${toTimestamp(sql, at)})
          )`
      const { hasExpiries } = lines
      return {
        entering: { importId: enteringId, stored: entering.count, hasExpiries, isNumbered: false },
        leaving: { importId: leavingId, stored: leaving.count, hasExpiries: false, isNumbered: false },
        start: await latestStart(sql, leavingId, segmentId, at)
      }
    },
    WHOLE_SEGMENT
  )
}

/** Creates an import that has ended already, so that its lines are removed after the transaction. @returns its id. */
async function beginDifference(sql: Sql): Promise<string> {
  const [row] = await sql<[{ id: string }]>`
    insert into imports (ended_at)
    values (now())
    returning id::text`
  return row.id
}

/**
 * The earliest moment at which the members may leave: not before the memberships that end then have begun, which may be
 * after `at` if the clock has gone back.
 */
async function latestStart(sql: Sql, importId: string, segmentId: number, at: Time): Promise<Time> {
  const [{ moment }] = await sql<[{ moment: Time }]>`
    select ${formatTime(sql, 'moment')} as moment
    from (
      select greatest(max(added_at), ${toTimestamp(sql, at)}) as moment
      from import_lines
      join memberships on memberships.user_id = import_lines.user_id
      where import_id = ${importId}
        and segment_id = ${segmentId}
        and removed_at is null
    ) starts`
  return moment
}

/** Records a replacement in the history of the segment. One that has changed no members leaves no trace. */
async function recordReplacement(
  sql: Sql,
  segmentId: number,
  { added, removed }: { added: number; removed: number },
  at: Time,
  actor: string | null
): Promise<void> {
  if (added + removed === 0) return
  await sql`
    insert into segment_changes (segment_id, operation, changed_at, actor, added, removed)
    values (${segmentId}, 'replaced', ${toTimestamp(sql, at)}, ${actor}, ${added}, ${removed})`
}
