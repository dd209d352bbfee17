import { isUtf8 } from 'node:buffer'
import { invalidJson, invalidUtf8, repeatedKey } from './errors.ts'

/** Names another encoding by the first bytes of a body, which for JSON and CSV would otherwise be ASCII. */
export function findOtherEncoding(bytes: Uint8Array): string | undefined {
  const first = bytes[0]
  const second = bytes[1]
  if (first === 0x1f && second === 0x8b) return 'gzip'
  const hasMark = (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)
  return hasMark || first === 0 || second === 0 ? 'UTF-16 or UTF-32' : undefined
}

const quote = 0x22
const backslash = 0x5c
const openBrace = 0x7b
const closeBrace = 0x7d
const colon = 0x3a

function isBlank(character: number): boolean {
  return character === 0x20 || character === 0x0a || character === 0x0d || character === 0x09
}

/** Whether the quote at this position belongs to the string, because an odd number of backslashes precedes it. */
function isEscaped(json: string, position: number): boolean {
  let before = position - 1
  while (json.charCodeAt(before) === backslash) before -= 1
  return (position - before) % 2 === 0
}

function findStringEnd(json: string, start: number): number {
  let end = json.indexOf('"', start + 1)
  while (isEscaped(json, end)) end = json.indexOf('"', end + 1)
  return end
}

/**
 * Finds a key that appears more than once in the same object. JSON.parse keeps only the last value of such a key.
 *
 * This takes about as long as JSON.parse: half a microsecond for a typical body, 3 to 25 ms for 1 MiB.
 *
 * @param json valid JSON.
 */
export function findRepeatedKey(json: string): string | undefined {
  const outer: Set<string>[] = []
  let keys = new Set<string>()
  for (let position = 0; position < json.length; position += 1) {
    const character = json.charCodeAt(position)
    if (character === openBrace) {
      outer.push(keys)
      keys = new Set()
    } else if (character === closeBrace) keys = outer.pop() ?? keys
    else if (character === quote) {
      const end = findStringEnd(json, position)
      let next = end + 1
      while (isBlank(json.charCodeAt(next))) next += 1
      if (json.charCodeAt(next) === colon) {
        const text = json.slice(position, end + 1)
        const key = text.includes('\\') ? String(JSON.parse(text)) : text.slice(1, -1)
        if (keys.has(key)) return key
        keys.add(key)
      }
      position = end
    }
  }
  return undefined
}

/**
 * Parses the JSON of a request. A byte order mark at the start is ignored (RFC 8259, 8.1).
 *
 * @throws {ApiError} INVALID_UTF8, or INVALID_JSON also for a key that appears more than once in an object.
 */
export function parseJsonBody(body: Buffer): unknown {
  if (body.length === 0) throw invalidJson('the body is empty: it must be JSON')
  const encoding = findOtherEncoding(body)
  if (encoding !== undefined || !isUtf8(body)) throw invalidUtf8(encoding)
  const text = body.toString()
  const json = text.startsWith('\ufeff') ? text.slice(1) : text
  const value = parse(json)
  const repeated = findRepeatedKey(json)
  if (repeated !== undefined) throw repeatedKey(repeated)
  return value
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    throw invalidJson()
  }
}
