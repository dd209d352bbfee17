import type { FastifyReply, FastifyRequest } from 'fastify'
import { invalidCursor } from './errors.ts'

/** Encodes a position in a list as opaque text: the name of the list and the key of the last entry. */
function encodeCursor(list: string, key: readonly string[]): string {
  return Buffer.from(JSON.stringify([list, ...key])).toString('base64url')
}

/**
 * Decodes a cursor.
 *
 * @param parts a check of each part of the key.
 * @returns the key of the last entry before the page.
 * @throws {ApiError} INVALID_CURSOR if it is not a cursor of this list.
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

/**
 * Cuts a page from the rows. A query reads one row more than the page may hold, which shows whether there are more.
 *
 * @param keyOf the key that the list is ordered by.
 * @param hasMore whether the list continues after the page.
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

/**
 * Adds the header `Link` with the next page: the same request with another cursor. It is a path, because a proxy in front of
 * the service may have another address.
 */
export function linkNextPage({ url }: FastifyRequest, reply: FastifyReply, cursor: string | null): void {
  if (cursor === null) return
  const [path, query] = url.split('?', 2)
  const parameters = new URLSearchParams(query)
  parameters.set('cursor', cursor)
  reply.header('link', `<${path}?${parameters}>; rel="next"`)
}
