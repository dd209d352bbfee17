import { invalidJson } from '../http/errors.ts'
import { findRepeatedKey } from '../http/json-body.ts'
import { MAX_LINE_LENGTH } from '../limits.ts'
import {
  hasInvalidBytes,
  idReason,
  judgeLine,
  type LineConsumer,
  LineSplitter,
  lengthReason,
  timeReason,
  type UploadReader,
  utf8Reason
} from './lines.ts'

/** Keeps numbers as text: JavaScript numbers are not exact beyond 2^53. */
function keepSource(_key: string, value: unknown, context?: { source?: string }): unknown {
  return typeof value === 'number' ? (toExactInteger(context?.source ?? '') ?? context?.source) : value
}

/** A number that is an integer in another form, such as `6799010.0` or `12e3`: some languages write integers so. */
function toExactInteger(source: string): string | undefined {
  const {
    sign = '',
    whole = '',
    fraction = '',
    exponent = '0'
  } = /^(?<sign>-?)(?<whole>\d+)(?:\.(?<fraction>\d+))?(?:e(?<exponent>[+-]?\d{1,3}))?$/i.exec(source)
    ?.groups ?? {}
  const digits = whole + fraction
  const point = whole.length + Number(exponent)
  if (point <= 0 || point > 40 || /[1-9]/.test(digits.slice(point))) return undefined
  return (
    sign +
    (digits
      .slice(0, point)
      .padEnd(point, '0')
      .replace(/^0+(?=\d)/, '') || '0')
  )
}

/** An element that is only an id, as most are. Matching it is faster than JSON.parse. */
const plainId = /^[ \t\r\n]*(?:"([1-9][0-9]{0,18})"|([1-9][0-9]{0,18}))[ \t\r\n]*$/

/**
 * Accepts or rejects an element: an id as an integer or a string, or an object with an id and optionally an expiry.
 *
 * @throws {SyntaxError} if it is not valid JSON.
 */
function judgeElement(consumer: LineConsumer, line: number, text: string, allowsExpiry: boolean): void {
  const plain = plainId.exec(text)
  if (!plain && hasInvalidBytes(text)) {
    consumer.reject(line, text.trim(), utf8Reason)
    return
  }
  const element: unknown = plain ? (plain[1] ?? plain[2]) : JSON.parse(text, keepSource)
  if (typeof element === 'string') judgeLine(consumer, line, element, undefined)
  else if (typeof element !== 'object' || element === null || Array.isArray(element))
    consumer.reject(line, text.trim(), idReason)
  else {
    const repeated = findRepeatedKey(text)
    if (repeated !== undefined) consumer.reject(line, repeated, 'appears more than once in an object')
    else judgeObject(consumer, line, element, allowsExpiry)
  }
}

function judgeObject(consumer: LineConsumer, line: number, element: object, allowsExpiry: boolean): void {
  const { user_id: userId, expires_at: expiry }: { user_id?: unknown; expires_at?: unknown } = element
  const expiresAt = expiry ?? undefined
  const unknown = Object.keys(element).find(
    (name) => name !== 'user_id' && !(allowsExpiry && name === 'expires_at')
  )
  if (unknown !== undefined) consumer.reject(line, unknown, 'is an unknown field')
  else if (typeof userId !== 'string') consumer.reject(line, JSON.stringify(element), idReason)
  else if (expiresAt !== undefined && typeof expiresAt !== 'string')
    consumer.reject(line, JSON.stringify(expiresAt), timeReason)
  else judgeLine(consumer, line, userId, expiresAt)
}

function judgeLineOfJson(consumer: LineConsumer, line: number, text: string, allowsExpiry: boolean): void {
  try {
    judgeElement(consumer, line, text, allowsExpiry)
  } catch {
    consumer.reject(line, text, 'is not valid JSON')
  }
}

/** Reads newline-delimited JSON, one element a line. */
export class NdjsonReader implements UploadReader {
  readonly #splitter: LineSplitter

  constructor(consumer: LineConsumer, allowsExpiry: boolean) {
    let line = 0
    this.#splitter = new LineSplitter((text, isTooLong) => {
      line += 1
      if (isTooLong) consumer.reject(line, text, lengthReason)
      else if (text.trim() !== '') judgeLineOfJson(consumer, line, text, allowsExpiry)
    })
  }

  read(piece: string): void {
    this.#splitter.read(piece)
  }

  end(): void {
    this.#splitter.end()
  }
}

/** An element that is only an id, with the comma after it: most of an array. */
const plainElement = /[ \t\r\n]*(?:"([1-9][0-9]{0,18})"|([1-9][0-9]{0,18}))[ \t\r\n]*,/y
const blanks = /[ \t\r\n]*/y
/** The characters that decide where an element ends: outside of strings here, inside of strings below. */
const structure = /["{}[\],]/g
const stringEnd = /["\\]/g

/** Reads a JSON array. Each element counts as a line, numbered from 1. */
export class JsonArrayReader implements UploadReader {
  readonly #consumer: LineConsumer
  readonly #allowsExpiry: boolean
  /** What comes next. `first` is the first element, instead of which the array may end; `element` follows a comma. */
  #expected: 'array' | 'first' | 'element' | 'nothing' = 'array'
  #lines = 0
  /** The text read so far of the current element. */
  #text = ''
  #isTooLong = false
  #depth = 0
  #isInString = false
  #isEscaped = false

  constructor(consumer: LineConsumer, allowsExpiry: boolean) {
    this.#consumer = consumer
    this.#allowsExpiry = allowsExpiry
  }

  read(piece: string): void {
    let position = 0
    while (position < piece.length) {
      if (this.#expected === 'array' || this.#expected === 'nothing')
        position = this.#readOutside(piece, position)
      else position = this.#readPlain(piece, position) ?? this.#readPart(piece, position)
    }
  }

  end(): void {
    if (this.#expected === 'array') throw invalidJson('the body is empty: it must be JSON')
    if (this.#expected !== 'nothing') throw invalidJson()
  }

  /** Reads what comes before and after the array: only whitespace is allowed. */
  #readOutside(piece: string, position: number): number {
    blanks.lastIndex = position
    blanks.test(piece)
    const next = blanks.lastIndex
    if (next === piece.length) return next
    if (this.#expected === 'nothing') throw invalidJson()
    if (piece[next] !== '[') throw invalidJson('the body is not a JSON array')
    this.#expected = 'first'
    return next + 1
  }

  #readPlain(piece: string, position: number): number | undefined {
    if (this.#text !== '') return undefined
    plainElement.lastIndex = position
    const element = plainElement.exec(piece)
    if (!element) return undefined
    this.#expected = 'element'
    this.#lines += 1
    judgeLine(this.#consumer, this.#lines, element[1] ?? element[2] ?? '', undefined)
    return plainElement.lastIndex
  }

  /** Reads up to the next character that may end the element. Returns the position after it. */
  #readPart(piece: string, position: number): number {
    if (this.#isEscaped) {
      this.#isEscaped = false
      this.#keep(piece.slice(position, position + 1))
      return position + 1
    }
    const marks = this.#isInString ? stringEnd : structure
    marks.lastIndex = position
    const mark = marks.exec(piece)
    if (!mark) {
      this.#keep(piece.slice(position))
      return piece.length
    }
    const [character] = mark
    if (this.#depth === 0 && !this.#isInString && (character === ',' || character === ']')) {
      this.#keep(piece.slice(position, mark.index))
      this.#endElement(character)
    } else {
      this.#keep(piece.slice(position, mark.index + 1))
      this.#follow(character)
    }
    return mark.index + 1
  }

  #follow(character: string): void {
    if (character === '"') this.#isInString = !this.#isInString
    else if (character === '\\') this.#isEscaped = true
    else if (character === '{' || character === '[') this.#depth += 1
    else if (character !== ',') this.#depth -= 1
    if (this.#depth < 0) throw invalidJson()
  }

  #keep(text: string): void {
    if (this.#isTooLong) return
    this.#text += text
    this.#isTooLong = this.#text.length > MAX_LINE_LENGTH
  }

  #endElement(character: string): void {
    const text = this.#text
    const isTooLong = this.#isTooLong
    this.#text = ''
    this.#isTooLong = false
    const isEmptyArray = character === ']' && this.#expected === 'first' && /^[ \t\r\n]*$/.test(text)
    this.#expected = character === ']' ? 'nothing' : 'element'
    if (isEmptyArray) return
    this.#lines += 1
    if (isTooLong) {
      this.#consumer.reject(this.#lines, text, lengthReason)
      return
    }
    try {
      judgeElement(this.#consumer, this.#lines, text, this.#allowsExpiry)
    } catch {
      throw invalidJson()
    }
  }
}
