import type { TestService } from './service.ts'

/**
 * Reads a whole list, page by page.
 *
 * @param name the field of the entries in a response.
 * @param between called after each page.
 */
export async function readPages<T>(
  service: TestService,
  url: string,
  name: string,
  between = async () => {}
): Promise<{ items: T[]; pages: number }> {
  const items: T[] = []
  let cursor: string | null = null
  let pages = 0
  do {
    const separator = url.includes('?') ? '&' : '?'
    const { status, body } = await service.get(cursor === null ? url : `${url}${separator}cursor=${cursor}`)
    if (status !== 200) throw new Error(`${url} answered ${status}: ${JSON.stringify(body)}`)
    const page = body as Record<string, T[]> & { next_cursor: string | null }
    items.push(...(page[name] ?? []))
    cursor = page.next_cursor
    pages += 1
    await between()
  } while (cursor !== null)
  return { items, pages }
}
