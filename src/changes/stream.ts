import { Readable } from 'node:stream'
import { encodeChangeCursor } from '../database/change-states.ts'
import { CHANGE_HEARTBEAT_MS } from '../limits.ts'
import type { ChangeFeed, ChangeRequest } from './feed.ts'
import type { ChangePage } from './queries.ts'

/** Tells a client to connect again a second after it has lost the stream. */
const RETRY = 'retry: 1000\n\n'
/**
 * Streams changes as server-sent events, beginning with a page that has been read. The next page is read after the client
 * has read the previous one. Ends when `ended` aborts: the client connects again, and continues with the last cursor.
 *
 * @param wait milliseconds without a change after which the stream ends; undefined: never.
 */
export function streamChanges(
  feed: ChangeFeed,
  request: ChangeRequest,
  first: ChangePage,
  ended: AbortSignal,
  wait: number | undefined
): Readable {
  async function* writeEvents(): AsyncGenerator<string> {
    yield RETRY
    let page = first
    let changed = performance.now()
    for (;;) {
      yield writePage(page)
      if (page.changes.length > 0) changed = performance.now()
      const left = wait === undefined ? CHANGE_HEARTBEAT_MS : changed + wait - performance.now()
      if (ended.aborted || request.signal.aborted || (page.isLast && left <= 0)) return
      const pause = Math.max(0, Math.min(left, CHANGE_HEARTBEAT_MS))
      page = await feed.read({ ...request, cursor: page.cursor }, pause, ended)
    }
  }
  return Readable.from(writeEvents(), { objectMode: false })
}

/** Without changes, writes a heartbeat: clients remember its cursor, and dispatch no event. */
function writePage({ changes, cursor }: ChangePage): string {
  if (changes.length === 0) return `id: ${encodeChangeCursor(cursor)}\n\n`
  return changes
    .map((change) => `id: ${change.cursor}\nevent: ${change.type}\ndata: ${JSON.stringify(change)}\n\n`)
    .join('')
}
