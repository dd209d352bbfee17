import { once } from 'node:events'
import { type Readable, Transform } from 'node:stream'
import type { Slug } from '../../schemas/common.ts'
import { connectDatabase } from '../database/connect.ts'
import { retryIdempotent } from '../database/faults.ts'
import { streamBatches } from '../database/query-stream.ts'
import { segmentNotFound } from '../http/errors.ts'
import { selectMemberLines, selectSegmentId } from './queries.ts'

/**
 * Milliseconds in which a client has to have taken all of it: no longer than other statements over many users may a
 * snapshot keep PostgreSQL from tidying up. Ten million users are 17,000 a second then.
 */
const STATEMENT_TIMEOUT_MS = 600_000
const LOCK_TIMEOUT_MS = 4_000

/**
 * Each page is found by the indexes. Where the statistics don't know the segment yet, the planner would go over all that
 * is left of it for each page.
 */
const PAGE_SETTINGS = { enable_seqscan: 'off', enable_bitmapscan: 'off', jit: 'off' }

/**
 * Reads the active members of a segment, from one snapshot, as CSV. What is read from the database, on a connection of
 * its own, is a page ahead of what the caller takes; when the caller destroys the stream, the query ends.
 *
 * Resolves when the first page is there, so that what is wrong before that can be answered as usual.
 *
 * @throws {ApiError} SEGMENT_NOT_FOUND where there is and was no such segment. A deleted one has no members.
 */
export async function openMembersCsv(databaseUrl: string, slug: Slug): Promise<Readable> {
  const sql = connectDatabase(databaseUrl, {
    name: 'user-segments members',
    connections: 1,
    statementTimeout: STATEMENT_TIMEOUT_MS,
    lockTimeout: LOCK_TIMEOUT_MS,
    settings: PAGE_SETTINGS
  })
  // Not waited for: a cursor that is given up in the middle never comes to its end.
  const disconnect = () => void sql.end({ timeout: 0 })
  try {
    const segmentId = await retryIdempotent(() => selectSegmentId(sql, slug))
    if (segmentId === undefined) throw segmentNotFound(slug)
    const pages = streamBatches(selectMemberLines(sql, segmentId), 1, (error) => error as Error)
    await once(pages, 'readable')

    const csv = new Transform({
      writableObjectMode: true,
      writableHighWaterMark: 1,
      transform: ([[lines]]: [[string]], _encoding, done) => done(null, lines)
    })
    csv.once('close', () => {
      pages.destroy()
      disconnect()
    })
    csv.push('user_id\n')
    pages.once('error', (error) => csv.destroy(error))
    pages.pipe(csv)
    return csv
  } catch (error) {
    disconnect()
    throw error
  }
}
