import type { Readable } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { bodyTooLarge, requestTimeout, shuttingDown } from '../http/errors.ts'

/** Bytes of an upload, at the most. */
export const MAX_UPLOAD_BYTES = 2 ** 30
export const MAX_UPLOAD_SIZE = '1 GiB'

/** Milliseconds without a byte, while one is waited for, after which an upload is given up. */
const IDLE_TIMEOUT_MS = 30_000

/** Bytes that are read in one turn of the event loop, which takes a millisecond or two: other requests go on between. */
const PIECE_BYTES = 16_384

/** @throws {ApiError} 408 after so many milliseconds, 503 where the service shuts down. */
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
 * The text of an upload, in small pieces, as it comes and no faster than it is taken. A byte order mark is left out.
 *
 * @param gaveUp ends it, so that the service can shut down.
 * @param idleTimeout milliseconds to wait for the next byte.
 * @throws {ApiError} 408 where it doesn't come, 413 beyond {@link MAX_UPLOAD_BYTES}, 503 where the service shuts down.
 */
export async function* readPieces(
  body: Readable,
  gaveUp: AbortSignal,
  idleTimeout = IDLE_TIMEOUT_MS
): AsyncGenerator<string, void, undefined> {
  const decoder = new StringDecoder('utf8')
  // By default the request would be destroyed with the iterator, and its answer lost.
  const chunks: AsyncIterator<Buffer> = body.iterator({ destroyOnReturn: false })
  let bytes = 0
  let isFirst = true
  try {
    for (;;) {
      const { done, value: chunk } = await nextWithin(chunks, idleTimeout, gaveUp)
      if (done) break
      bytes += chunk.length
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
    // Not waited for, as it waits for a byte that may never come. While it lasts, nobody else can read.
    chunks.return?.().catch(() => {})
  }
}
