import { Readable } from 'node:stream'
import type { PendingQuery, Row } from 'postgres'
import { CLOSE } from './driver/statement.ts'

/** A statement whose rows are arrays: `.values()` of postgres.js. */
type ValuesQuery = ReturnType<PendingQuery<Row[]>['values']>

/**
 * Streams the rows of a query as arrays of up to `batchSize` rows, at most one batch ahead of the reader. If the stream
 * is destroyed, the cursor is closed and its connection becomes available, at the latest when the first batch has
 * arrived.
 *
 * It uses a cursor with a callback, because the asynchronous iterator of postgres.js ends without an error if the
 * connection is lost while a batch is read: half of the rows would look like all of them.
 *
 * @param toError converts the error of the query to that of the stream.
 */
export function streamBatches(
  query: ValuesQuery,
  batchSize: number,
  toError: (error: unknown) => Error
): Readable {
  let resume = (_answer?: typeof CLOSE) => {}
  const batches = new Readable({
    objectMode: true,
    highWaterMark: 1,
    read: () => resume(),
    destroy(error, done) {
      resume(CLOSE)
      done(error)
    }
  })
  query
    .cursor(batchSize, async (batch) => {
      if (batches.destroyed) return CLOSE
      const { promise: answer, resolve } = Promise.withResolvers<typeof CLOSE | undefined>()
      resume = resolve
      batches.push(batch)
      return answer
    })
    .then(
      () => batches.push(null),
      (error) => batches.destroy(toError(error))
    )
  return batches
}
