import {
  beginOfDay,
  type ChangeCursor,
  decodeChangeCursor,
  START,
  selectChangeState
} from '../database/change-states.ts'
import type { Sql } from '../database/connect.ts'
import { invalidChangeCursor } from './errors.ts'

/**
 * Reads where a caller wants to begin: `start`, `now`, a day, or a cursor; their changes may no longer be kept.
 *
 * @param name of the parameter, for the error.
 * @throws {ApiError} INVALID_CURSOR
 */
export async function readCursor(sql: Sql, text: string, name: string): Promise<ChangeCursor> {
  if (text === 'start') return START
  if (text === 'now') return { from: await selectChangeState(sql) }
  const cursor = /^\d{4}-\d\d-\d\d$/.test(text) ? beginOfDay(text) : decodeChangeCursor(text)
  if (!cursor) throw invalidChangeCursor(name)
  return cursor
}
