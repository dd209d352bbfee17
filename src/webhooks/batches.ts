/** Batches of changes: what one delivery contains. */
import type { FastifyInstance } from 'fastify'
import type { Change } from '../../schemas/changes.ts'
import { type ChangeCursor, decodeChangeCursor, encodeChangeCursor } from '../database/change-states.ts'
import { MAX_WEBHOOK_BYTES, MAX_WEBHOOK_CHANGES } from '../limits.ts'

type ChangePage = Awaited<ReturnType<FastifyInstance['changeFeed']['readPage']>>
/** Reads a page of the feed, as the webhook filters it. */
export type ReadPage = (cursor: ChangeCursor, limit: number) => Promise<ChangePage>

export type Batch = {
  changes: Change[]
  /** The cursor before the first change. */
  start: ChangeCursor
  /** The cursor after the last change. */
  end: ChangeCursor
  /** Whether there were no more changes. */
  isLast: boolean
}

/** @throws {Error} if the text is not a cursor: it comes from the service itself. */
export function parseCursor(text: string): ChangeCursor {
  const cursor = decodeChangeCursor(text)
  if (!cursor) throw new Error('the cursor of a webhook is not valid')
  return cursor
}

/** Reads the next batch. It is empty without changes; then `end` is where to read on. */
export async function readBatch(read: ReadPage, start: ChangeCursor): Promise<Batch> {
  const { changes, cursor, isLast } = await read(start, MAX_WEBHOOK_CHANGES)
  let bytes = 0
  const tooMany = changes.findIndex((change, index) => {
    bytes += Buffer.byteLength(JSON.stringify(change)) + 1
    return index > 0 && bytes > MAX_WEBHOOK_BYTES
  })
  if (tooMany < 0) return { changes, start, end: cursor, isLast }
  const kept = changes.slice(0, tooMany)
  return { changes: kept, start, end: parseCursor(kept.at(-1)?.cursor ?? ''), isLast: false }
}

/**
 * Reads a batch whose end is known. The changes between two cursors are always the same ones, except that users may have
 * been erased. So the batch may even be empty.
 */
export async function readBatchAgain(read: ReadPage, start: ChangeCursor, end: ChangeCursor): Promise<Batch> {
  let cursor = limitTo(start, end)
  for (;;) {
    const page = await read(cursor, MAX_WEBHOOK_CHANGES)
    const changes = page.changes.filter((change) => !isAfter(parseCursor(change.cursor), end))
    const isOver = page.changes.length > 0 || page.cursor.place === undefined || isAfter(page.cursor, end)
    if (isOver) return { changes, start, end, isLast: false }
    cursor = page.cursor
  }
}

/** A cursor that has seen the same, and reads no further than to the state that the end belongs to. */
function limitTo({ from, place }: ChangeCursor, end: ChangeCursor): ChangeCursor {
  const to = end.place?.to ?? end.from
  return { from, place: place ?? { to, position: 0, day: from.day, user: null } }
}

/** Whether a cursor is after another one that reads the same state. */
function isAfter({ place }: ChangeCursor, { place: end }: ChangeCursor): boolean {
  if (!end) return false
  if (!place) return true
  if (place.position !== end.position) return place.position > end.position
  if (end.user === null) return false
  return place.user === null || BigInt(place.user) > BigInt(end.user)
}

/** The body of a delivery: the same JSON as that of `GET /changes`. */
export function writeBody({ changes, end }: Batch): Buffer {
  return Buffer.from(JSON.stringify({ changes, cursor: encodeChangeCursor(end) }))
}
