/** Conditional and partial answers about a file that never changes: RFC 9110, sections 13 and 14. */
import type { IncomingHttpHeaders } from 'node:http'

export type FileFacts = {
  /** Bytes. */
  size: number
  /** Identifies the content; without quotes. */
  tag: string
  /** To the second. */
  modifiedAt: Date
}

export type FileAnswer =
  | { status: 200; isCompressed: boolean }
  /** `start` and `end` are inclusive. */
  | { status: 206; start: number; end: number }
  | { status: 304; isCompressed: boolean }
  | { status: 416 }

/** The strong entity tags of both encodings: they are different bytes. */
export function entityTag(tag: string, isCompressed: boolean): string {
  return isCompressed ? `"${tag}-gzip"` : `"${tag}"`
}

function acceptsGzip(header: string | undefined): boolean {
  return (header ?? '').split(',').some((coding) => {
    const [name = '', ...parameters] = coding.split(';').map((part) => part.trim().toLowerCase())
    return name === 'gzip' && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter))
  })
}

/** Whether `If-None-Match` names one of these tags, with their quotes (RFC 9110, 13.1.2). */
export function isKnown(ifNoneMatch: string, ...tags: string[]): boolean {
  const known = ifNoneMatch.split(',').map((text) => text.trim().replace(/^W\//, ''))
  return ['*', ...tags].some((tag) => known.includes(tag))
}

function isUnchanged(headers: IncomingHttpHeaders, { tag, modifiedAt }: FileFacts): boolean {
  const none = headers['if-none-match']
  if (none !== undefined) return isKnown(none, entityTag(tag, false), entityTag(tag, true))
  const since = Date.parse(headers['if-modified-since'] ?? '')
  return modifiedAt.getTime() <= since
}

/** Whether the range applies: without `If-Range`, or if the file is the one of which the client has a part. */
function isSameFile(condition: string | string[] | undefined, { tag, modifiedAt }: FileFacts): boolean {
  return (
    condition === undefined ||
    condition === entityTag(tag, false) ||
    Date.parse(String(condition)) === modifiedAt.getTime()
  )
}

/** A single range of bytes. Any other header is ignored, as the standard allows; undefined then. */
function readRange(header: string | undefined, size: number): FileAnswer | undefined {
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? '') ?? []
  if (first === '' && last === '') return undefined
  if (first === '') {
    const length = Math.min(Number(last), size)
    return length === 0 ? { status: 416 } : { status: 206, start: size - length, end: size - 1 }
  }
  const start = Number(first)
  if (last !== '' && Number(last) < start) return undefined
  const end = last === '' ? size - 1 : Math.min(Number(last), size - 1)
  return start < size ? { status: 206, start, end } : { status: 416 }
}

/** Chooses the answer to GET, or to HEAD, which takes no ranges. A part is never compressed. */
export function chooseFileAnswer(method: string, headers: IncomingHttpHeaders, file: FileFacts): FileAnswer {
  const isCompressed = acceptsGzip(headers['accept-encoding'])
  if (isUnchanged(headers, file)) return { status: 304, isCompressed }
  const range =
    method === 'GET' && isSameFile(headers['if-range'], file)
      ? readRange(headers.range, file.size)
      : undefined
  return range ?? { status: 200, isCompressed }
}
