import { Readable } from 'node:stream'
import type { PendingQuery, Row } from 'postgres'

/** A statement whose rows come as arrays: `.values()` of postgres.js. */
type ValuesQuery = ReturnType<PendingQuery<Row[]>['values']>

/**
 * Reads a query's rows, a batch ahead of their reader at the most: a stream of arrays of up to `batchSize` rows.
 * Where its reader goes away the query stays in the middle: its connection has to be ended.
 *
 * The cursor calls back, because the asynchronous iterator of postgres.js just ends where the connection is lost
 * while a batch is in work: half of the rows would pass for all of them.
 *
 * @param toError makes what the stream fails with of what the query has failed with.
 */
export function streamBatches(
  query: ValuesQuery,
  batchSize: number,
  toError: (error: unknown) => Error
): Readable {
  let fetchNext = () => {}
  const batches = new Readable({ objectMode: true, highWaterMark: 1, read: () => fetchNext() })
  query
    .cursor(batchSize, (batch) => {
      const { promise: wanted, resolve } = Promise.withResolvers<void>()
      fetchNext = resolve
      batches.push(batch)
      return wanted
    })
    .then(
      () => batches.push(null),
      (error) => batches.destroy(toError(error))
    )
  return batches
}
