/** Applies uploads, each in one transaction, after their lines have been stored in the table `import_lines`. */
import type { Slug } from '../../schemas/common.ts'
import type { Pool, Transaction } from '../database/connect.ts'
import { listRivals, type Rival } from '../database/exclusive-groups.ts'
import { lockSegment, shareErasure } from '../database/locks.ts'
import { nextMoment, readClock } from '../database/times.ts'
import { transaction } from '../database/transaction.ts'
import { segmentIsHoldout } from '../http/errors.ts'
import { LARGE_IMPORT_LINES } from '../limits.ts'
import {
  type ConflictingLines,
  checkLines,
  type LateLines,
  removeConflictingLines,
  type StoredLines
} from './line-queries.ts'
import {
  addMembers,
  closeExpired,
  countChanges,
  countMembers,
  countNewUsers,
  exceptUsers,
  makeUsersKnown,
  removeMembers
} from './member-queries.ts'
import { chooseMoment, findSegment, lockForImport } from './target-queries.ts'

/**
 * Sorts and joins have as many rows as the upload, so they get more memory. An import, and often its segment, are newer than
 * the statistics, so the planner would expect a single row of each and might compare each user with all others. A generic
 * plan expects as many as others have; that may still be few, so for a large upload it must not look up users one by one.
 */
export function chooseOptions({ stored }: Pick<StoredLines, 'stored'>) {
  const enable_nestloop = stored < LARGE_IMPORT_LINES ? 'on' : 'off'
  return { genericPlans: true, settings: { work_mem: '64MB', jit: 'off', enable_nestloop } }
}

/** How to apply an upload. */
export type ImportOptions = StoredLines & {
  /** Only count what would change; change nothing. */
  countOnly: boolean
  /** Skip lines whose expiry has passed. If false, one such line means that nothing is changed. */
  skip: boolean
  /** The name of the API key. */
  actor: string | null
}

export type ImportedMembers = {
  added: number
  newUsers: number
  late: LateLines
  conflicting: ConflictingLines
}

/**
 * Adds the users of an upload to a segment, all at one moment. It does for many users what `change_user_segments` does
 * for one. Lines whose user is in another segment of the group are rejected.
 *
 * @param shown the maximum number of late and of conflicting lines to return.
 * @returns undefined if the segment does not exist or is deleted; then nothing has changed.
 * @throws {LinesLost}
 * @throws {ApiError} SEGMENT_IS_HOLDOUT.
 */
export function importMembers(
  db: Pool | Transaction,
  slug: Slug,
  options: ImportOptions,
  shown: number
): Promise<ImportedMembers | undefined> {
  const { importId, countOnly, skip, actor } = options
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
      if (segment.is_holdout) throw segmentIsHoldout(slug)

      const rivals = await listRivals(sql, segment.group_id, segmentId)
      const at = await chooseMoment(sql, segment)
      const late = await checkLines(sql, options, at, shown)
      const conflicting = await removeConflictingLines(sql, options, rivals, at, shown)
      if (countOnly || (late.count + conflicting.count > 0 && !skip))
        return { ...(await countChanges(sql, options, segmentId, at)), late, conflicting }
      const newUsers = enrollingIds
        ? await makeUsersKnown(sql, options, except(enrollingIds, rivals), at, actor)
        : 0
      await closeExpired(sql, options, segmentId, at)
      // If the clock has gone back, an expired membership may have begun, and so ended, after `at`. The new ones begin
      // later, and the expiries are set at the same moment.
      const addedAt = await nextMoment(sql, segmentId, at)
      const added = await addMembers(sql, options, segmentId, at, addedAt, actor)
      await exceptUsers(sql, options, segmentId, at)
      return { added, newUsers, late, conflicting }
    },
    chooseOptions(options)
  )
}

/** Users who are added to a segment by name are not enrolled into others of its group. */
export function except(ids: readonly number[], rivals: readonly Rival[]): number[] {
  return ids.filter((id) => !rivals.some((rival) => rival.id === id))
}

/**
 * Removes the users of an upload from a segment, all at one moment.
 *
 * @returns how many of them were members; undefined if the segment does not exist or is deleted, and nothing has
 * changed.
 * @throws {LinesLost}
 */
export function importRemovals(
  db: Pool | Transaction,
  slug: Slug,
  options: ImportOptions
): Promise<number | undefined> {
  const { countOnly, actor } = options
  return transaction(
    db,
    async (sql) => {
      const segmentId = (await findSegment(sql, slug))?.id
      if (segmentId === undefined) return undefined
      if (!countOnly) {
        await shareErasure(sql)
        await lockSegment(sql, segmentId)
      }
      if (!(await findSegment(sql, slug))) return undefined

      const at = await nextMoment(sql, segmentId)
      await checkLines(sql, options, at, 0)
      if (countOnly) return countMembers(sql, options, segmentId, at)
      const removed = await removeMembers(sql, options, segmentId, at, actor)
      await exceptUsers(sql, options, segmentId, at)
      return removed
    },
    chooseOptions(options)
  )
}

/**
 * Makes the users of an upload known.
 *
 * @returns how many of them were new.
 * @throws {LinesLost}
 */
export function importUsers(db: Pool | Transaction, options: ImportOptions): Promise<number> {
  const { importId, countOnly, actor } = options
  return transaction(
    db,
    async (sql) => {
      const enrollingIds = countOnly ? undefined : await lockForImport(sql, importId, null)
      const at = await readClock(sql)
      await checkLines(sql, options, at, 0)
      if (countOnly) return countNewUsers(sql, options, at)
      return enrollingIds ? makeUsersKnown(sql, options, enrollingIds, at, actor) : 0
    },
    chooseOptions(options)
  )
}
