import type { Hash } from 'node:crypto'
import { StringDecoder } from 'node:string_decoder'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { bodyTooLarge, invalidRequest, invalidUtf8, shuttingDown } from '../http/errors.ts'
import { findOtherEncoding } from '../http/json-body.ts'
import { MAX_UPLOAD_BYTES } from '../limits.ts'
import { MAX_UPLOAD_SIZE } from './receive.ts'

/** Bytes to parse in one turn of the event loop. They take one or two milliseconds; then other requests get a turn. */
const PIECE_BYTES = 16_384

/** Decodes the next bytes, or, without bytes, the end of the text. */
type Decode = (bytes?: Buffer) => string

function decodeUtf8(): Decode {
  const decoder = new StringDecoder('utf8')
  let isFirst = true
  return (bytes) => {
    const text = bytes === undefined ? decoder.end() : decoder.write(bytes)
    if (!isFirst || text === '') return text
    isFirst = false
    return text.startsWith('\ufeff') ? text.slice(1) : text
  }
}

function decodeUtf16(encoding: 'utf-16le' | 'utf-16be'): Decode {
  const decoder = new TextDecoder(encoding)
  return (bytes) => decoder.decode(bytes, { stream: bytes !== undefined })
}

/**
 * Chooses the decoder by the first two bytes.
 *
 * @throws {ApiError} 400 if the upload seems to be in another form.
 */
function chooseDecoder(head: Buffer, allowsUtf16: boolean): Decode {
  const [first, second] = head
  if (allowsUtf16 && first === 0xff && second === 0xfe) return decodeUtf16('utf-16le')
  if (allowsUtf16 && first === 0xfe && second === 0xff) return decodeUtf16('utf-16be')
  if (allowsUtf16 && head.toString('latin1', 0, 2) === 'PK')
    throw invalidRequest('the upload is a workbook or an archive: save it as CSV')
  const encoding = findOtherEncoding(head)
  if (encoding !== undefined) throw invalidUtf8(encoding)
  return decodeUtf8()
}

/**
 * Yields the text of an upload in small pieces, without a byte order mark. Bytes that are not UTF-8 become U+FFFD, so that
 * only their lines are rejected.
 *
 * @param allowsUtf16 whether the text may also be UTF-16 with a byte order mark, as spreadsheets write it.
 * @param gaveUp aborts the upload when the service shuts down.
 * @param digest gets all bytes of the upload.
 * @throws {ApiError} 400 if it seems to be in another encoding, 413 beyond {@link MAX_UPLOAD_BYTES}, 503 if the service
 * shuts down.
 */
export async function* readPieces(
  chunks: AsyncIterable<Buffer>,
  allowsUtf16: boolean,
  gaveUp: AbortSignal,
  digest?: Hash
): AsyncGenerator<string, void, undefined> {
  let decode: Decode | undefined
  let head = Buffer.alloc(0)
  let bytes = 0
  for await (const chunk of chunks) {
    bytes += chunk.length
    // More than has been received if it was compressed.
    if (bytes > MAX_UPLOAD_BYTES) throw bodyTooLarge(MAX_UPLOAD_SIZE)
    digest?.update(chunk)
    let next = chunk
    if (!decode) {
      next = head = Buffer.concat([head, chunk])
      if (head.length < 2) continue
      decode = chooseDecoder(head, allowsUtf16)
    }
    for (let start = 0; start < next.length; start += PIECE_BYTES) {
      const text = decode(next.subarray(start, start + PIECE_BYTES))
      if (text === '') continue
      if (gaveUp.aborted) throw shuttingDown()
      yield text
      await nextTurn()
    }
  }
  decode ??= decodeUtf8()
  const rest = bytes < 2 ? decode(head) + decode() : decode()
  if (rest !== '') yield rest
}
