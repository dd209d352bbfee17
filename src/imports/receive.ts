import type { Readable } from 'node:stream'
import { bodyTooLarge, requestTimeout, shuttingDown } from '../http/errors.ts'
import {
  MAX_UPLOAD_BYTES,
  MIN_UPLOAD_BYTES_PER_SECOND,
  UPLOAD_IDLE_TIMEOUT_MS,
  UPLOAD_RATE_WINDOW_MS
} from '../limits.ts'

export const MAX_UPLOAD_SIZE = '1 GiB'

/** @throws {ApiError} 408 if the next chunk takes longer than `milliseconds`, 503 if the upload is given up. */
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
 * Yields the bytes of a body as they arrive. It reads no faster than the caller consumes.
 *
 * @param gaveUp aborts the upload when the service shuts down.
 * @param idleTimeout milliseconds to wait for the next byte.
 * @param rateWindow milliseconds of waiting over which the rate of the bytes is measured.
 * @throws {ApiError} 408 if no byte comes in time or the bytes come too slowly, 413 beyond {@link MAX_UPLOAD_BYTES}, 503
 * if the service shuts down.
 */
export async function* receiveChunks(
  body: Readable,
  gaveUp: AbortSignal,
  idleTimeout = UPLOAD_IDLE_TIMEOUT_MS,
  rateWindow = UPLOAD_RATE_WINDOW_MS
): AsyncGenerator<Buffer, void, undefined> {
  // By default the end of the iterator would destroy the request, and with it the answer.
  const chunks: AsyncIterator<Buffer> = body.iterator({ destroyOnReturn: false })
  let bytes = 0
  let waited = 0
  let bytesInWindow = 0
  try {
    for (;;) {
      const since = performance.now()
      const { done, value: chunk } = await nextWithin(chunks, idleTimeout, gaveUp)
      if (done) return
      waited += performance.now() - since
      bytesInWindow += chunk.length
      if (waited >= rateWindow) {
        if (bytesInWindow < (waited / 1_000) * MIN_UPLOAD_BYTES_PER_SECOND) throw requestTimeout()
        waited = 0
        bytesInWindow = 0
      }
      bytes += chunk.length
      if (bytes > MAX_UPLOAD_BYTES) throw bodyTooLarge(MAX_UPLOAD_SIZE)
      yield chunk
    }
  } finally {
    // Not awaited: it waits for the next byte, which may never come. Until then, nobody else can read the body.
    chunks.return?.().catch(() => {})
  }
}
