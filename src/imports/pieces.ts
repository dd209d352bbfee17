import type { Hash } from 'node:crypto'
import type { Readable } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { bodyTooLarge, invalidUtf8, requestTimeout, shuttingDown } from '../http/errors.ts'
import { findOtherEncoding } from '../http/json-body.ts'
import {
  MAX_UPLOAD_BYTES,
  MIN_UPLOAD_BYTES_PER_SECOND,
  UPLOAD_IDLE_TIMEOUT_MS,
  UPLOAD_RATE_WINDOW_MS
} from '../limits.ts'

export const MAX_UPLOAD_SIZE = '1 GiB'

/** Bytes to parse in one turn of the event loop. They take one or two milliseconds; then other requests get a turn. */
const PIECE_BYTES = 16_384

/** @throws {ApiError} 408 if the next chunk takes longer than `milliseconds`, 503 if the service shuts down. */
async function nextWithin<T>(
  chunks: AsyncIterator<T>,
  milliseconds: number,
  gaveUp: AbortSignal
): Promise<IteratorResult<T>> {
  const { promise: failure, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(requestTimeout()), milliseconds)
  const giveUp = () => reject(shuttingDown())
  gaveUp.addEventListener('abort', giveUp)
  try {
    return await Promise.race([chunks.next(), failure])
  } finally {
    clearTimeout(timer)
    gaveUp.removeEventListener('abort', giveUp)
  }
}

/**
 * Yields the text of an upload in small pieces, without a byte order mark. It reads no faster than the caller consumes.
 * Bytes that are not UTF-8 become U+FFFD, so that only their lines are rejected.
 *
 * @param gaveUp aborts the upload when the service shuts down.
 * @param digest gets all bytes of the upload.
 * @param idleTimeout milliseconds to wait for the next byte.
 * @param rateWindow milliseconds of waiting over which the rate of the bytes is measured.
 * @throws {ApiError} 400 if it seems to be in another encoding, 408 if no byte comes in time or the bytes come too slowly, 413 beyond {@link MAX_UPLOAD_BYTES}, 503 if the service shuts down.
 */
export async function* readPieces(
  body: Readable,
  gaveUp: AbortSignal,
  digest?: Hash,
  idleTimeout = UPLOAD_IDLE_TIMEOUT_MS,
  rateWindow = UPLOAD_RATE_WINDOW_MS
): AsyncGenerator<string, void, undefined> {
  const decoder = new StringDecoder('utf8')
  // By default the end of the iterator would destroy the request, and with it the answer.
  const chunks: AsyncIterator<Buffer> = body.iterator({ destroyOnReturn: false })
  let bytes = 0
  let waited = 0
  let bytesInWindow = 0
  let head = Buffer.alloc(0)
  let isFirst = true
  try {
    for (;;) {
      const since = performance.now()
      const { done, value: chunk } = await nextWithin(chunks, idleTimeout, gaveUp)
      if (done) break
      waited += performance.now() - since
      bytesInWindow += chunk.length
      if (waited >= rateWindow) {
        if (bytesInWindow < (waited / 1_000) * MIN_UPLOAD_BYTES_PER_SECOND) throw requestTimeout()
        waited = 0
        bytesInWindow = 0
      }
      if (head.length < 2) {
        head = Buffer.concat([head, chunk.subarray(0, 2)])
        const encoding = findOtherEncoding(head)
        if (encoding !== undefined) throw invalidUtf8(encoding)
      }
      bytes += chunk.length
      digest?.update(chunk)
      if (bytes > MAX_UPLOAD_BYTES) throw bodyTooLarge(MAX_UPLOAD_SIZE)
      for (let start = 0; start < chunk.length; start += PIECE_BYTES) {
        const text = decoder.write(chunk.subarray(start, start + PIECE_BYTES))
        if (text === '') continue
        if (gaveUp.aborted) throw shuttingDown()
        yield isFirst && text.startsWith('\ufeff') ? text.slice(1) : text
        isFirst = false
        await nextTurn()
      }
    }
    const rest = decoder.end()
    if (rest !== '') yield rest
  } finally {
    // Not awaited: it waits for the next byte, which may never come. Until then, nobody else can read the body.
    chunks.return?.().catch(() => {})
  }
}
