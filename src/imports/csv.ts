import { invalidRequest, shorten } from '../http/errors.ts'
import {
  judgeLine,
  type LineConsumer,
  LineSplitter,
  lengthReason,
  MAX_LINE_LENGTH,
  type UploadReader
} from './lines.ts'

const ID_COLUMN = 'user_id'
const EXPIRY_COLUMN = 'expires_at'

/** A cell and what ends it, where a record goes on: quoted, with its quotes doubled, or bare. */
const cellPattern = /(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/y

/** The cells of a record (RFC 4180); undefined where a quote is out of place. */
function parseRecord(record: string): string[] | undefined {
  if (!record.includes('"')) return record.split(',')
  const cells: string[] = []
  cellPattern.lastIndex = 0
  for (;;) {
    const cell = cellPattern.exec(record)
    if (!cell) return undefined
    const [, quoted, bare = '', end] = cell
    cells.push(quoted?.replaceAll('""', '"') ?? bare)
    if (end === '') return cells
  }
}

/** A record whose last cell is quoted, and goes on in the next line. */
const openPattern = /^(?:(?:"(?:[^"]|"")*"|[^",]*),)*"(?:[^"]|"")*$/

function hasOddQuotes(text: string): boolean {
  let isOdd = false
  for (let at = text.indexOf('"'); at >= 0; at = text.indexOf('"', at + 1)) isOdd = !isOdd
  return isOdd
}

/** The columns that a first record names; undefined where it is no header. */
function readHeader(cells: string[], allowsExpiry: boolean): string[] | undefined {
  const names = cells.map((cell) => cell.trim().toLowerCase())
  if (names[0] !== ID_COLUMN) return undefined
  for (const [index, name] of names.entries()) {
    const isKnown = name === ID_COLUMN || (allowsExpiry && name === EXPIRY_COLUMN)
    if (!isKnown) throw invalidRequest(`unknown column (${shorten(cells[index] ?? '')})`)
    if (names.indexOf(name) !== index) throw invalidRequest(`column (${name}) stands more than once`)
  }
  return names
}

/**
 * Reads CSV: the user id, and where it is allowed, the expiry. Where the first record is a header, its columns are all
 * there are. Lines are numbered as an editor does; a record with line breaks in quotes is one line, and counts by its
 * first.
 */
export class CsvReader implements UploadReader {
  readonly #consumer: LineConsumer
  readonly #allowsExpiry: boolean
  readonly #splitter = new LineSplitter((text, isTooLong) => this.#readLine(text, isTooLong))
  #lines = 0
  /** A record whose quoted cell goes on, and the number of its first line. */
  #open: { text: string; line: number } | undefined
  /** Undefined until the first record has come. */
  #columns: string[] | undefined

  constructor(consumer: LineConsumer, allowsExpiry: boolean) {
    this.#consumer = consumer
    this.#allowsExpiry = allowsExpiry
  }

  read(piece: string): void {
    this.#splitter.read(piece)
  }

  end(): void {
    this.#splitter.end()
    if (this.#open)
      this.#consumer.reject(this.#open.line, this.#open.text, 'has a quote that is never closed')
  }

  #readLine(text: string, isTooLong: boolean): void {
    this.#lines += 1
    const open = this.#open
    if (open === undefined && text.trim() === '') return
    const line = open?.line ?? this.#lines
    const record = open === undefined ? text : `${open.text}\n${text}`
    this.#open = undefined
    // Each line is looked at once, and the record when it is whole: else its lines would take time by their square.
    const isOpen = hasOddQuotes(text) ? open === undefined && openPattern.test(text) : open !== undefined
    if (isTooLong || record.length > MAX_LINE_LENGTH) this.#consumer.reject(line, record, lengthReason)
    else if (isOpen) this.#open = { text: record, line }
    else this.#readRecord(line, record)
  }

  #readRecord(line: number, record: string): void {
    const cells = parseRecord(record)
    if (!cells) {
      this.#consumer.reject(line, record, 'has a quote out of place')
      return
    }
    if (this.#columns === undefined) {
      const named = readHeader(cells, this.#allowsExpiry)
      this.#columns = named ?? (this.#allowsExpiry ? [ID_COLUMN, EXPIRY_COLUMN] : [ID_COLUMN])
      if (named) return
    }
    const [userId = '', expiresAt = ''] = cells
    if (cells.length > this.#columns.length)
      this.#consumer.reject(line, record, `has ${cells.length} cells instead of ${this.#columns.length}`)
    else judgeLine(this.#consumer, line, userId, expiresAt === '' ? undefined : expiresAt)
  }
}
