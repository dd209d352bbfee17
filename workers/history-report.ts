import { createWriteStream } from 'node:fs'
import { rename, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { format } from 'fast-csv'
import { reportColumns } from '../schemas/reports.ts'
import { connectDatabase } from '../src/database.ts'
import { type ReportRequest, selectNow, selectUserHistory } from '../src/routes/reports/queries.ts'

export type HistoryReportTask = ReportRequest & {
  databaseUrl: string
  directory: string
  /** The published name, and the name the file has until it is whole. */
  filename: string
  temporaryName: string
}

export type HistoryReport = {
  rows: number
  /** Microseconds since 1970 by the database's clock: the report holds all that was committed before. */
  snapshotAt: bigint
}

/** Rows fetched from the cursor at a time. */
const BATCH_SIZE = 1_000

/**
 * Makes a user's history report and publishes it: the file appears whole or not at all. It carries the time of
 * its snapshot as its time of modification.
 */
export default async function makeHistoryReport(task: HistoryReportTask): Promise<HistoryReport> {
  const sql = connectDatabase(task.databaseUrl, {
    name: 'user-segments report',
    connections: 1,
    statementTimeout: 600_000,
    lockTimeout: 60_000
  })
  try {
    const snapshotAt = await selectNow(sql)
    const temporaryPath = join(task.directory, task.temporaryName)
    let rows = 0
    await pipeline(
      selectUserHistory(sql, task).cursor(BATCH_SIZE),
      async function* (batches) {
        for await (const batch of batches) {
          rows += batch.length
          yield* batch
        }
      },
      format({ headers: [...reportColumns], alwaysWriteHeaders: true, includeEndRowDelimiter: true }),
      createWriteStream(temporaryPath, { flags: 'wx', flush: true })
    )
    const snapshotTime = Number(snapshotAt / 1000n) / 1000
    await utimes(temporaryPath, snapshotTime, snapshotTime)
    await rename(temporaryPath, join(task.directory, task.filename))
    return { rows, snapshotAt }
  } finally {
    await sql.end({ timeout: 5 })
  }
}
