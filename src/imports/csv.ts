import { invalidRequest, shorten } from '../http/errors.ts'
import { MAX_LINE_LENGTH } from '../limits.ts'
import { judgeLine, type LineConsumer, LineSplitter, lengthReason, type UploadReader } from './lines.ts'

const ID_COLUMN = 'user_id'
const EXPIRY_COLUMN = 'expires_at'

/** The characters that may separate columns: spreadsheets use semicolons where the comma is the decimal sign. */
const separatorPattern = /[,;\t]/
const quotedPattern = /"(?:[^"]|"")*"/g
/** The first line that some spreadsheets need in order to know the separator. */
const separatorLine = /^sep=([,;\t])$/i

/** How records are read whose columns are separated by one of the characters above. */
class Dialect {
  /** A cell at the current position, quoted (quotes inside are doubled) or bare, with the separator or the end after it. */
  readonly #cell: RegExp
  /** A record whose last cell has an opening quote and no closing one: it continues on the next line. */
  readonly #open: RegExp
  readonly #separator: string

  constructor(separator: string) {
    const quoted = ' *"(?:[^"]|"")*"'
    const bare = `[^"${separator}]*`
    this.#separator = separator
    this.#cell = new RegExp(`(?: *"((?:[^"]|"")*)" *|(${bare}))(${separator}|$)`, 'y')
    this.#open = new RegExp(`^(?:(?:${quoted} *|${bare})${separator})* *"(?:[^"]|"")*$`)
  }

  isOpen(record: string): boolean {
    return this.#open.test(record)
  }

  /** Parses the cells of a record (RFC 4180), without spaces around them. Returns undefined if a quote is misplaced. */
  parse(record: string): string[] | undefined {
    if (!record.includes('"')) return record.split(this.#separator).map((cell) => cell.trim())
    const cells: string[] = []
    this.#cell.lastIndex = 0
    for (;;) {
      const cell = this.#cell.exec(record)
      if (!cell) return undefined
      const [, quoted, bare = '', end] = cell
      cells.push((quoted?.replaceAll('""', '"') ?? bare).trim())
      if (end === '') return cells
    }
  }
}

/** Reads records without a separator: a record has no line break outside of quotes. */
const oneColumn = new Dialect('\n')

function hasOddQuotes(text: string): boolean {
  let isOdd = false
  for (let at = text.indexOf('"'); at >= 0; at = text.indexOf('"', at + 1)) isOdd = !isOdd
  return isOdd
}

/** The id of a program that stores ids as floats. */
const idWithFraction = /^([0-9]+)[.,]0+$/

/** A number of a spreadsheet whose decimal sign is a comma: not two columns. */
const roundedNumber = /^\s*[0-9],[0-9]+E\+[0-9]+\s*$/i

/** The id column may also be called `id`. */
const idNames = ['id', ID_COLUMN]

/** Reads the column names of the first record. Returns undefined if it is not a header. */
function readHeader(cells: string[], allowsExpiry: boolean): string[] | undefined {
  const names = cells
    .map((cell) => cell.toLowerCase())
    .map((name) => (idNames.includes(name) ? ID_COLUMN : name))
  if (names[0] !== ID_COLUMN) return undefined
  for (const [index, name] of names.entries()) {
    const isKnown = name === ID_COLUMN || (allowsExpiry && name === EXPIRY_COLUMN)
    if (!isKnown) throw invalidRequest(`unknown column (${shorten(cells[index] ?? '')})`)
    if (names.indexOf(name) !== index) throw invalidRequest(`column (${name}) appears more than once`)
  }
  return names
}

/**
 * Reads CSV with the user id and, if allowed, the expiry. If the first record is a header, it determines the columns. The
 * first record with a separator determines which one the upload uses.
 *
 * Lines are numbered as in an editor; a record with line breaks in quotes has the number of its first line.
 */
export class CsvReader implements UploadReader {
  readonly #consumer: LineConsumer
  readonly #allowsExpiry: boolean
  readonly #splitter = new LineSplitter((text, isTooLong) => this.#readLine(text, isTooLong))
  #lines = 0
  /** A record that continues on the next line, and the number of its first line. */
  #open: { text: string; line: number } | undefined
  /** Undefined before the first record with a separator. */
  #dialect: Dialect | undefined
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
    const named = this.#lines === 1 ? separatorLine.exec(text)?.[1] : undefined
    if (named !== undefined) {
      this.#dialect = new Dialect(named)
      return
    }
    const line = open?.line ?? this.#lines
    const record = open === undefined ? text : `${open.text}\n${text}`
    this.#open = undefined
    // Only the new line is checked here, and the record when it is complete: checking the whole record after each line
    // would take quadratic time.
    const isOpen = hasOddQuotes(text)
      ? open === undefined && this.#dialectOf(text).isOpen(text)
      : open !== undefined
    if (isTooLong || record.length > MAX_LINE_LENGTH) this.#consumer.reject(line, record, lengthReason)
    else if (isOpen) this.#open = { text: record, line }
    else this.#readRecord(line, record)
  }

  #dialectOf(record: string): Dialect {
    if (this.#dialect) return this.#dialect
    if (!separatorPattern.test(record) || roundedNumber.test(record)) return oneColumn
    const bare = record.replace(quotedPattern, '')
    // Next to another separator, a comma is a decimal sign.
    const [separator] = /[;\t]/.exec(bare) ?? /,/.exec(bare) ?? []
    if (separator === undefined) return oneColumn
    this.#dialect = new Dialect(separator)
    return this.#dialect
  }

  #readRecord(line: number, record: string): void {
    const cells = this.#dialectOf(record).parse(record)
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
      const id = /[.,]/.test(userId) ? userId.replace(idWithFraction, '$1') : userId
      judgeLine(this.#consumer, line, id, expiresAt === '' ? undefined : expiresAt)
    }
  }
}
