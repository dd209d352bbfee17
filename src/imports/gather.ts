import type { Hash } from 'node:crypto'
import type { UserId } from '../../schemas/common.ts'
import type { RejectedLines } from '../../schemas/imports.ts'
import type { Sql } from '../database/connect.ts'
import { shorten, tooManyLines } from '../http/errors.ts'
import { MAX_SHOWN_LINES, MAX_UPLOAD_LINES, SHORT_IDS } from '../limits.ts'
import { CsvReader } from './csv.ts'
import { JsonArrayReader, NdjsonReader } from './json.ts'
import { insertExpiringUsers, insertUsers, type LateLines } from './line-queries.ts'
import type { LineConsumer, UploadReader } from './lines.ts'
import { readPieces } from './pieces.ts'

/** Lines inserted by one statement, which takes the database some milliseconds. */
const BATCH_LINES = 2_000

type UploadForm = {
  Reader: new (consumer: LineConsumer, allowsExpiry: boolean) => UploadReader
  /** Whether the text may be UTF-16 (see {@link readPieces}). */
  allowsUtf16: boolean
}

/** How to read each supported media type. */
export const uploadForms: Record<string, UploadForm> = {
  'text/csv': { Reader: CsvReader, allowsUtf16: true },
  'application/x-ndjson': { Reader: NdjsonReader, allowsUtf16: false },
  'application/ndjson': { Reader: NdjsonReader, allowsUtf16: false },
  'application/json': { Reader: JsonArrayReader, allowsUtf16: false }
}

/** Buffers accepted lines of an upload until they are inserted into the database, and counts all lines. */
class Gathering implements LineConsumer {
  accepted = 0
  /**
   * Rows in the database. Lines with the same user and without an expiry share one, if they are in the same batch or the
   * id is below {@link SHORT_IDS}. Short ids take the fewest bytes of an upload, so repeating them would cost most.
   */
  stored = 0
  hasExpiries = false
  readonly rejected: RejectedLines = { count: 0, first: [] }
  readonly importId: string
  #batches = 0
  #userIds = new Set<UserId>()
  /** A bit for each short id. */
  readonly #seen = new Uint8Array(SHORT_IDS / 8)
  #expiringUserIds: UserId[] = []
  #expiries: string[] = []
  #expiringLines: string[] = []

  constructor(importId: string) {
    this.importId = importId
  }

  accept(line: number, userId: UserId, expiresAt: string | undefined): void {
    this.accepted += 1
    if (expiresAt === undefined) {
      if (this.#isNew(userId)) this.#userIds.add(userId)
      return
    }
    this.hasExpiries = true
    this.#expiringUserIds.push(userId)
    this.#expiries.push(expiresAt)
    this.#expiringLines.push(String(line))
  }

  /** Whether the id may not have been stored yet. Marks a short id as stored. */
  #isNew(userId: UserId): boolean {
    const id = Number(userId)
    if (id >= SHORT_IDS) return true
    const byte = this.#seen[id >> 3] ?? 0
    const bit = 1 << (id & 7)
    this.#seen[id >> 3] = byte | bit
    return (byte & bit) === 0
  }

  reject(line: number, value: string, reason: string): void {
    this.rejected.count += 1
    if (this.rejected.first.length < MAX_SHOWN_LINES)
      this.rejected.first.push({ line, value: shorten(value), reason })
  }

  get waiting(): number {
    return this.#userIds.size + this.#expiringUserIds.length
  }

  async flush(sql: Sql): Promise<void> {
    this.#batches += 1
    const batch = { importId: this.importId, number: this.#batches }
    const userIds = [...this.#userIds]
    const expiringUserIds = this.#expiringUserIds
    const expiries = this.#expiries
    const lines = this.#expiringLines
    this.#userIds = new Set()
    this.#expiringUserIds = []
    this.#expiries = []
    this.#expiringLines = []
    this.stored += userIds.length + expiringUserIds.length
    // Inserts are not retried: after a lost connection, the number of inserted rows would be unknown.
    if (userIds.length > 0) await insertUsers(sql, batch, userIds)
    if (expiringUserIds.length > 0) await insertExpiringUsers(sql, batch, expiringUserIds, expiries, lines)
  }
}

/** An upload in the database: the counts of its lines, and the rejected ones. */
export type Gathered = Pick<Gathering, 'importId' | 'accepted' | 'stored' | 'hasExpiries' | 'rejected'>

/**
 * Reads an upload into the database in batches, so that its size does not matter for the memory.
 *
 * @param gaveUp aborts the upload when the service shuts down.
 * @param digest gets all bytes of the upload.
 * @throws {ApiError} 400, 408, 413 or 503 if the upload as a whole can't be accepted.
 */
export async function gatherUpload(
  sql: Sql,
  importId: string,
  chunks: AsyncIterable<Buffer>,
  { Reader, allowsUtf16 }: UploadForm,
  allowsExpiry: boolean,
  gaveUp: AbortSignal,
  digest?: Hash,
  maxLines = MAX_UPLOAD_LINES
): Promise<Gathered> {
  const gathering = new Gathering(importId)
  const reader = new Reader(gathering, allowsExpiry)
  for await (const piece of readPieces(chunks, allowsUtf16, gaveUp, digest)) {
    reader.read(piece)
    if (gathering.accepted + gathering.rejected.count > maxLines) throw tooManyLines(maxLines)
    if (gathering.waiting >= BATCH_LINES) await gathering.flush(sql)
  }
  reader.end()
  await gathering.flush(sql)
  return gathering
}

/**
 * Adds the lines whose expiry has passed to the lines that were rejected while the upload was read.
 */
export function addLateLines({ count, first }: RejectedLines, late: LateLines): RejectedLines {
  const rejected = late.first.map(({ line, expires_at }) => ({
    line,
    value: expires_at,
    reason: 'has passed'
  }))
  const sorted = [...first, ...rejected].sort((a, b) => a.line - b.line)
  return { count: count + late.count, first: sorted.slice(0, MAX_SHOWN_LINES) }
}
