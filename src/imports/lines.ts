import type { UserId } from '../../schemas/common.ts'
import { normalizeTime } from '../database/times.ts'
import { shorten } from '../http/errors.ts'
import { explainTime, explainUserId } from '../http/explain.ts'
import { MAX_LINE_LENGTH } from '../limits.ts'

/** Receives the lines of an upload. */
export type LineConsumer = {
  /** @param expiresAt a result of {@link normalizeTime}. */
  accept(line: number, userId: UserId, expiresAt: string | undefined): void
  reject(line: number, value: string, reason: string): void
}

/** Parses an upload. */
export type UploadReader = {
  /**
   * Reads the next piece of text. Pieces may end anywhere, even within a line.
   *
   * @throws {ApiError} 400 if the upload as a whole is malformed.
   */
  read(piece: string): void
  /** @throws {ApiError} 400 if the upload is incomplete. */
  end(): void
}

const MAX_USER_ID = '9223372036854775807'
const idPattern = /^[1-9][0-9]{0,18}$/

export function isUserId(text: string): text is UserId {
  return idPattern.test(text) && (text.length < MAX_USER_ID.length || text <= MAX_USER_ID)
}

const isNoId = 'is not a user id'
export const idReason = `${isNoId}: an integer from 1 to ${MAX_USER_ID}`
export const timeReason = 'is not a time such as 2026-11-23T08:51:00Z'
export const lengthReason = `is longer than ${MAX_LINE_LENGTH} characters`
export const utf8Reason = 'is not valid UTF-8'

/** The decoder writes this character for bytes that are not UTF-8. No valid line has it. */
export function hasInvalidBytes(text: string): boolean {
  return text.includes('\ufffd')
}

/** Why a text is not a user id, for people. */
function explainId(text: string): string {
  if (hasInvalidBytes(text)) return utf8Reason
  const explanation = explainUserId(text)
  if (explanation === undefined && /^\d+\s*[,;\t|]/.test(text))
    return `${isNoId}: columns are separated by commas, semicolons or tabs, the same in all lines`
  return explanation === undefined ? idReason : `${isNoId}: ${explanation}`
}

function explainExpiry(text: string): string {
  if (hasInvalidBytes(text)) return utf8Reason
  const explanation = explainTime(text)
  return explanation === undefined ? timeReason : `${timeReason}: ${explanation}`
}

/** Accepts a line, or rejects it if its id or its expiry is not valid. */
export function judgeLine(
  consumer: LineConsumer,
  line: number,
  userId: string,
  expiresAt: string | undefined
): void {
  const time = expiresAt === undefined ? undefined : normalizeTime(expiresAt)
  if (!isUserId(userId)) consumer.reject(line, userId, explainId(userId))
  else if (expiresAt !== undefined && time === undefined)
    consumer.reject(line, expiresAt, explainExpiry(expiresAt))
  else consumer.accept(line, userId, time)
}

/** Splits pieces of text into lines, which end with LF or CRLF. */
export class LineSplitter {
  readonly #onLine: (text: string, isTooLong: boolean) => void
  #rest = ''
  #isTooLong = false

  /** @param onLine receives only the beginning of a line that is too long. */
  constructor(onLine: (text: string, isTooLong: boolean) => void) {
    this.#onLine = onLine
  }

  read(piece: string): void {
    let start = 0
    for (let end = piece.indexOf('\n'); end >= 0; end = piece.indexOf('\n', start)) {
      this.#emit(this.#rest + piece.slice(start, end))
      start = end + 1
    }
    this.#rest += piece.slice(start)
    if (this.#rest.length <= MAX_LINE_LENGTH) return
    this.#isTooLong = true
    this.#rest = shorten(this.#rest)
  }

  end(): void {
    if (this.#rest !== '') this.#emit(this.#rest)
  }

  #emit(text: string): void {
    const isTooLong = this.#isTooLong || text.length > MAX_LINE_LENGTH
    this.#rest = ''
    this.#isTooLong = false
    this.#onLine(text.endsWith('\r') ? text.slice(0, -1) : text, isTooLong)
  }
}
