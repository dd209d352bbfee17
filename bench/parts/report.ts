import { createWriteStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { type Part, startServer } from '../bench.ts'
import { makeReport, timed } from '../calls.ts'
import { comparePairs, toRow } from '../compare.ts'
import { settle } from '../database.ts'
import { copyStatement, PERIODS, provideHistory, reportInterval } from '../history.ts'

/** The time from the order of a long report to its finished file. */
export const report: Part = async (bench) => {
  const { directory, options, sql } = bench
  const { address } = await startServer(bench, 'service')
  const userId = await provideHistory(sql, options.users)
  const interval = reportInterval()
  const { from, to } = interval
  const copied = join(directory, 'copy.csv')
  const rowsPerSecond = async (work: () => Promise<unknown>) => ({
    rowsPerSecond: (2 * PERIODS * 1000) / (await timed(work))
  })
  const service = () => rowsPerSecond(() => makeReport(address, userId, from, to))
  const copy = () =>
    rowsPerSecond(async () => {
      const rows = await sql.unsafe(copyStatement(userId, interval)).readable()
      await pipeline(rows, createWriteStream(copied, { flush: true }))
    })

  for (const warmUp of [service, copy]) await warmUp()
  const [made] = await sql<{ bytes: string }[]>`
    select bytes from reports where filename = ${`user-${userId}_${from}_${to}.csv`}`
  const { size } = await stat(copied)
  if (Number(made?.bytes) !== size)
    throw new Error(`the report has ${made?.bytes} bytes, the file of COPY ${size}`)
  const results = await comparePairs(options.pairs, ['service', service], ['COPY', copy])
  await settle(sql)
  return [
    toRow(results, (measurement) => measurement.rowsPerSecond, {
      what: `a report of ${(2 * PERIODS).toLocaleString('en')} rows, from the order to the file`,
      reference: 'COPY of the same query into a file',
      unit: 'rows/s',
      target: { atLeast: 0.4 }
    })
  ]
}
