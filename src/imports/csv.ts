import { invalidRequest, shorten } from '../http/errors.ts'
import { MAX_LINE_LENGTH } from '../limits.ts'
import { judgeLine, type LineConsumer, LineSplitter, lengthReason, type UploadReader } from './lines.ts'

const ID_COLUMN = 'user_id'
const EXPIRY_COLUMN = 'expires_at'

/** A cell at the current position, quoted (quotes inside are doubled) or bare, with the comma or the end after it. */
const cellPattern = /(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/y

/** Parses the cells of a record (RFC 4180). Returns undefined if a quote is misplaced. */
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

/** A record whose last cell has an opening quote and no closing one: it continues on the next line. */
const openPattern = /^(?:(?:"(?:[^"]|"")*"|[^",]*),)*"(?:[^"]|"")*$/

function hasOddQuotes(text: string): boolean {
  let isOdd = false
  for (let at = text.indexOf('"'); at >= 0; at = text.indexOf('"', at + 1)) isOdd = !isOdd
  return isOdd
}

/** A header whose columns are separated by something else than commas, as some spreadsheets do. */
const otherHeader = /^"?user_id"?\s*([;|\t])/i

/** The id of a program that stores ids as floats. */
const idWithFraction = /^([0-9]+)\.0+$/

/** Reads the column names of the first record. Returns undefined if it is not a header. */
function readHeader(cells: string[], allowsExpiry: boolean): string[] | undefined {
  const names = cells.map((cell) => cell.trim().toLowerCase())
  if (names[0] !== ID_COLUMN) return undefined
  for (const [index, name] of names.entries()) {
    const isKnown = name === ID_COLUMN || (allowsExpiry && name === EXPIRY_COLUMN)
    if (!isKnown) throw invalidRequest(`unknown column (${shorten(cells[index] ?? '')})`)
    if (names.indexOf(name) !== index) throw invalidRequest(`column (${name}) appears more than once`)
  }
  return names
}

/**
 * Reads CSV with the user id and, if allowed, the expiry. If the first record is a header, it determines the columns.
 * Lines are numbered as in an editor; a record with line breaks in quotes has the number of its first line.
 */
export class CsvReader implements UploadReader {
  readonly #consumer: LineConsumer
  readonly #allowsExpiry: boolean
  readonly #splitter = new LineSplitter((text, isTooLong) => this.#readLine(text, isTooLong))
  #lines = 0
  /** A record that continues on the next line, and the number of its first line. */
  #open: { text: string; line: number } | undefined
  /** Undefined before the first record. */
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
    if (this.#open) this.#consumer.reject(this.#open.line, this.#open.text, 'has an unclosed quote')
  }

  #readLine(text: string, isTooLong: boolean): void {
    this.#lines += 1
    const open = this.#open
    if (open === undefined && text.trim() === '') return
    const line = open?.line ?? this.#lines
    const record = open === undefined ? text : `${open.text}\n${text}`
    this.#open = undefined
    // Only the new line is checked here, and the record when it is complete: checking the whole record after each line
    // would take quadratic time.
    const isOpen = hasOddQuotes(text) ? open === undefined && openPattern.test(text) : open !== undefined
    if (isTooLong || record.length > MAX_LINE_LENGTH) this.#consumer.reject(line, record, lengthReason)
    else if (isOpen) this.#open = { text: record, line }
    else this.#readRecord(line, record)
  }

  #readRecord(line: number, record: string): void {
    const [, separator] = (this.#columns === undefined && otherHeader.exec(record)) || []
    if (separator !== undefined)
      throw invalidRequest(
        `columns must be separated by commas, not by (${separator === '\t' ? 'tab' : separator})`
      )
    const cells = parseRecord(record)
    if (!cells) {
      this.#consumer.reject(line, record, 'has a misplaced quote')
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
    else {
      const id = userId.includes('.') ? userId.replace(idWithFraction, '$1') : userId
      judgeLine(this.#consumer, line, id, expiresAt === '' ? undefined : expiresAt)
    }
  }
}
