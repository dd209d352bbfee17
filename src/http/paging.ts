import { DEFAULT_PAGE_SIZE } from '../../schemas/paging.ts'
import { invalidCursor } from './errors.ts'

/** Where a list goes on, as text that means nothing to callers: the list's name, and the key of the last entry. */
function encodeCursor(list: string, key: readonly string[]): string {
  return Buffer.from(JSON.stringify([list, ...key])).toString('base64url')
}

/**
 * The key that a cursor holds.
 *
 * @param parts what each part of the key must be.
 * @throws {ApiError} INVALID_CURSOR where it is none of this list.
 */
export function decodeCursor(
  list: string,
  cursor: string,
  parts: readonly ((part: string) => boolean)[]
): string[] {
  const key = parseKey(cursor)
  const isValid =
    key?.length === parts.length + 1 &&
    key.every((part, index) => typeof part === 'string' && (parts[index - 1]?.(part) ?? part === list)) &&
    encodeCursor(list, key.slice(1)) === cursor
  if (!isValid) throw invalidCursor()
  return key.slice(1)
}

function parseKey(cursor: string): string[] | undefined {
  try {
    const key: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    return Array.isArray(key) ? key : undefined
  } catch {
    return undefined
  }
}

/** The number of entries that a request asks for. */
export function pageSize(limit: string | undefined): number {
  return limit === undefined ? DEFAULT_PAGE_SIZE : Number(limit)
}

/**
 * Cuts a page out of what was read: one entry more than it may hold, so that it is known whether there are others.
 *
 * @param keyOf the key by which the list is in order.
 * @param hasMore whether the list goes on behind the page.
 */
export function cutPage<T>(
  list: string,
  rows: readonly T[],
  size: number,
  keyOf: (row: T) => readonly string[],
  hasMore = rows.length > size
): { rows: T[]; next_cursor: string | null } {
  const page = rows.slice(0, size)
  const last = page.at(-1)
  return { rows: page, next_cursor: hasMore && last !== undefined ? encodeCursor(list, keyOf(last)) : null }
}
