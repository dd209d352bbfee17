import type { Readable } from 'node:stream'
import type { UserId } from '../../schemas/common.ts'
import type { RejectedLines } from '../../schemas/imports.ts'
import type { Sql } from '../database/connect.ts'
import { shorten } from '../http/errors.ts'
import { CsvReader } from './csv.ts'
import { JsonArrayReader, NdjsonReader } from './json.ts'
import type { LineConsumer, UploadReader } from './lines.ts'
import { readPieces } from './pieces.ts'
import { beginImport, insertExpiringUsers, insertUsers } from './queries.ts'

/** Lines that one statement puts into the database, some milliseconds' work for it. */
const BATCH_LINES = 2_000

/** Rejected lines that the answer shows. */
export const MAX_SHOWN_LINES = 20

/** What an upload may be, by its media type. */
export const uploadReaders: Record<
  string,
  new (
    consumer: LineConsumer,
    allowsExpiry: boolean
  ) => UploadReader
> = {
  'text/csv': CsvReader,
  'application/x-ndjson': NdjsonReader,
  'application/json': JsonArrayReader
}

/** The lines of an upload that are taken and wait to be put into the database, and the account of all. */
class Gathering implements LineConsumer {
  accepted = 0
  readonly rejected: RejectedLines = { count: 0, first: [] }
  #userIds: UserId[] = []
  #expiringUserIds: UserId[] = []
  #expiries: string[] = []
  #expiringLines: string[] = []

  accept(line: number, userId: UserId, expiresAt: string | undefined): void {
    this.accepted += 1
    if (expiresAt === undefined) {
      this.#userIds.push(userId)
      return
    }
    this.#expiringUserIds.push(userId)
    this.#expiries.push(expiresAt)
    this.#expiringLines.push(String(line))
  }

  reject(line: number, value: string, reason: string): void {
    this.rejected.count += 1
    if (this.rejected.first.length < MAX_SHOWN_LINES)
      this.rejected.first.push({ line, value: shorten(value), reason })
  }

  get waiting(): number {
    return this.#userIds.length + this.#expiringUserIds.length
  }

  /** Puts the waiting lines into the session's table. */
  async flush(sql: Sql): Promise<void> {
    const userIds = this.#userIds
    const expiringUserIds = this.#expiringUserIds
    const expiries = this.#expiries
    const lines = this.#expiringLines
    this.#userIds = []
    this.#expiringUserIds = []
    this.#expiries = []
    this.#expiringLines = []
    if (userIds.length > 0) await insertUsers(sql, userIds)
    if (expiringUserIds.length > 0) await insertExpiringUsers(sql, expiringUserIds, expiries, lines)
  }
}

/** How many lines of an upload are in the database, and which are not. */
export type Gathered = Pick<Gathering, 'accepted' | 'rejected'>

/**
 * Reads an upload into the session's table, a part at a time, however long it is.
 *
 * @param gaveUp ends it, so that the service can shut down.
 * @throws {ApiError} 400, 408, 413 or 503 where the upload as a whole can't be taken.
 */
export async function gatherUpload(
  sql: Sql,
  body: Readable,
  Reader: new (consumer: LineConsumer, allowsExpiry: boolean) => UploadReader,
  allowsExpiry: boolean,
  gaveUp: AbortSignal
): Promise<Gathered> {
  await beginImport(sql)
  const gathering = new Gathering()
  const reader = new Reader(gathering, allowsExpiry)
  for await (const piece of readPieces(body, gaveUp)) {
    reader.read(piece)
    if (gathering.waiting >= BATCH_LINES) await gathering.flush(sql)
  }
  reader.end()
  await gathering.flush(sql)
  return gathering
}

/**
 * Adds the lines whose expiry has passed to those that were rejected on the way.
 *
 * @param late the first of them, with their expiries.
 */
export function addLateLines(
  { count, first }: RejectedLines,
  lateCount: number,
  late: { line: number; expires_at: string }[]
): RejectedLines {
  const rejected = late.map(({ line, expires_at }) => ({ line, value: expires_at, reason: 'has passed' }))
  const sorted = [...first, ...rejected].sort((a, b) => a.line - b.line)
  return { count: count + lateCount, first: sorted.slice(0, MAX_SHOWN_LINES) }
}
