import type { Hash } from 'node:crypto'
import type { UserId } from '../../schemas/common.ts'
import type { RejectedLines } from '../../schemas/imports.ts'
import type { Sql } from '../database/connect.ts'
import { shorten, tooManyLines } from '../http/errors.ts'
import { MAX_SHOWN_LINES, MAX_UPLOAD_LINES, SHORT_IDS } from '../limits.ts'
import { CsvReader } from './csv.ts'
import { JsonArrayReader, NdjsonReader } from './json.ts'
import { type ConflictingLines, insertNumberedUsers, insertUsers, type LateLines } from './line-queries.ts'
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
   * Rows in the database. Lines with the same user and without a number share one, if they are in the same batch or the
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
  /** Lines that are stored with their numbers. */
  #numberedUserIds: UserId[] = []
  #expiries: string[] = []
  #numbers: string[] = []
  /** Whether all lines are. Otherwise, only those with an expiry. */
  readonly isNumbered: boolean

  constructor(importId: string, isNumbered: boolean) {
    this.importId = importId
    this.isNumbered = isNumbered
  }

  accept(line: number, userId: UserId, expiresAt: string | undefined): void {
    this.accepted += 1
    if (expiresAt !== undefined) this.hasExpiries = true
    else if (!this.isNumbered) {
      if (this.#isNew(userId)) this.#userIds.add(userId)
      return
    }
    this.#numberedUserIds.push(userId)
    this.#expiries.push(expiresAt ?? '')
    this.#numbers.push(String(line))
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
    return this.#userIds.size + this.#numberedUserIds.length
  }

  async flush(sql: Sql): Promise<void> {
    this.#batches += 1
    const batch = { importId: this.importId, number: this.#batches }
    const userIds = [...this.#userIds]
    const numberedUserIds = this.#numberedUserIds
    const expiries = this.#expiries
    const numbers = this.#numbers
    this.#userIds = new Set()
    this.#numberedUserIds = []
    this.#expiries = []
    this.#numbers = []
    this.stored += userIds.length + numberedUserIds.length
    // Inserts are not retried: after a lost connection, the number of inserted rows would be unknown.
    if (userIds.length > 0) await insertUsers(sql, batch, userIds)
    if (numberedUserIds.length > 0) await insertNumberedUsers(sql, batch, numberedUserIds, expiries, numbers)
  }
}

/** How the lines of an upload are read. */
export type LineOptions = {
  /** Whether a line may have an expiry. */
  allowsExpiry: boolean
  /** Whether each line is stored with its number, so that it can be rejected later. */
  isNumbered: boolean
}

/** An upload in the database: the counts of its lines, and the rejected ones. */
export type Gathered = Pick<
  Gathering,
  'importId' | 'accepted' | 'stored' | 'hasExpiries' | 'isNumbered' | 'rejected'
>

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
  { allowsExpiry, isNumbered }: LineOptions,
  gaveUp: AbortSignal,
  digest?: Hash,
  maxLines = MAX_UPLOAD_LINES
): Promise<Gathered> {
  const gathering = new Gathering(importId, isNumbered)
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
 * Adds the lines whose expiry has passed, and those whose user is in another segment of the group, to the lines that were
 * rejected while the upload was read.
 */
export function addRejectedLines(
  { count, first }: RejectedLines,
  late: LateLines,
  conflicting: ConflictingLines
): RejectedLines {
  const lateLines = late.first.map(({ line, expires_at }) => ({
    line,
    value: expires_at,
    reason: 'has passed'
  }))
  const conflictingLines = conflicting.first.map(({ line, user_id, slug }) => ({
    line,
    value: user_id,
    reason: `is in segment (${slug}) of the same group`
  }))
  const sorted = [...first, ...lateLines, ...conflictingLines].sort((a, b) => a.line - b.line)
  return { count: count + late.count + conflicting.count, first: sorted.slice(0, MAX_SHOWN_LINES) }
}
