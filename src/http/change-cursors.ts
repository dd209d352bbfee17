import { type ChangeCursor, decodeChangeCursor, START, selectChangeState } from '../database/change-states.ts'
import type { Sql } from '../database/connect.ts'
import { invalidChangeCursor } from './errors.ts'

/**
 * Reads where a caller wants to begin: `start`, `now`, or a cursor, whose changes may no longer be kept.
 *
 * @param name of the parameter, for the error.
 * @throws {ApiError} INVALID_CURSOR
 */
export async function readCursor(sql: Sql, text: string, name: string): Promise<ChangeCursor> {
  if (text === 'start') return START
  if (text === 'now') return { from: await selectChangeState(sql) }
  const cursor = decodeChangeCursor(text)
  if (!cursor) throw invalidChangeCursor(name)
  return cursor
}
