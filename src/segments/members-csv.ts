import { once } from 'node:events'
import { PassThrough, type Readable } from 'node:stream'
import { selectChangeCursor } from '../database/change-states.ts'
import type { Pool, Sql } from '../database/connect.ts'
import { transaction } from '../database/transaction.ts'
import {
  DOWNLOAD_IDLE_TIMEOUT_MS,
  DOWNLOAD_PAGE_SIZE,
  DOWNLOAD_TIMEOUT_MS,
  LOCK_TIMEOUT_MS
} from '../limits.ts'
import { type MemberFilter, selectMemberLines } from './queries.ts'

/**
 * Make the planner read each page through an index. For a segment that is newer than the statistics, it would otherwise
 * scan all remaining members for each page.
 */
export const STREAM_SETTINGS = {
  enable_seqscan: 'off',
  enable_bitmapscan: 'off',
  jit: 'off',
  // Shorter than in the bulk pool: the request has a deadline.
  lock_timeout: String(LOCK_TIMEOUT_MS),
  // The transaction waits for the client between two pages, for less than this.
  idle_in_transaction_session_timeout: String(DOWNLOAD_IDLE_TIMEOUT_MS)
}

/** What to download. */
export type DownloadedMembers = Pick<MemberFilter, 'segmentId' | 'at'> & {
  /** Whether there is a second column: when the membership expires, empty if it does not. */
  hasExpiries: boolean
}

/**
 * Streams the members of a segment at one moment as CSV. The next page is read after the caller has read the previous
 * one. If the caller destroys the stream, the transaction ends.
 *
 * Resolves when the first page has arrived, so that an earlier error can be answered with the usual error response.
 *
 * @param members of a segment, which may be deleted: then it has no members now.
 * @returns the stream, and the cursor of the change feed for now.
 */
export async function openMembersCsv(
  pool: Pool,
  members: DownloadedMembers
): Promise<{ members: Readable; cursor: string }> {
  const csv = new PassThrough()
  // Without a listener, an error before the stream has a reader would end the process.
  csv.on('error', () => {})
  csv.write(members.hasExpiries ? 'user_id,expires_at\n' : 'user_id\n')
  const { promise: opened, resolve, reject } = Promise.withResolvers<string>()
  const timer = setTimeout(
    () => csv.destroy(new Error('the client did not read the download in time')),
    DOWNLOAD_TIMEOUT_MS
  )
  csv.once('close', () => clearTimeout(timer))
  const sent = transaction(pool, (sql) => sendMembers(sql, members, csv, resolve), {
    isolation: 'repeatable read',
    settings: STREAM_SETTINGS
  })
  sent.catch((error) => {
    reject(error)
    csv.destroy(error)
  })
  return { members: csv, cursor: await opened }
}

async function sendMembers(
  sql: Sql,
  { hasExpiries, ...members }: DownloadedMembers,
  csv: PassThrough,
  onFirstPage: (cursor: string) => void
): Promise<void> {
  // Waited for once, as each wait for an event adds listeners.
  const closed = once(csv, 'close').catch(() => {})
  // The transaction has one snapshot.
  const cursor = await selectChangeCursor(sql)
  let after = '0'
  while (!csv.destroyed) {
    const page = await selectMemberLines(sql, { ...members, after, limit: DOWNLOAD_PAGE_SIZE }, hasExpiries)
    onFirstPage(cursor)
    if (!page) {
      csv.end()
      return
    }
    after = page.upto
    const isTaken = csv.write(page.lines)
    if (!isTaken) await Promise.race([once(csv, 'drain'), closed])
  }
}
