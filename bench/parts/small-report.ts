import { setTimeout as sleep } from 'node:timers/promises'
import { type Part, startServer } from '../bench.ts'
import { makeReport, timed } from '../calls.ts'
import { comparePairs, median, toRow } from '../compare.ts'
import { provideShortHistory, reportInterval, SHORT_PERIODS } from '../history.ts'

/** Milliseconds of rest. Idle threads and connections usually end after less. */
const REST = 15_000
/** Reports of one measurement without rest. */
const WARM_REPORTS = 15
/** Milliseconds between two requests for the file. */
const POLL = 1

/** The time from the order of a small report to its file: right after another report, and after a rest. */
export const smallReport: Part = async (bench) => {
  const { options, sql } = bench
  const { address } = await startServer(bench, 'service')
  const userId = await provideShortHistory(sql, options.users)
  const { from, to } = reportInterval()
  const make = () => timed(() => makeReport(address, userId, from, to, POLL))
  const warm = async () => {
    const times: number[] = []
    for (let report = 0; report < WARM_REPORTS; report++) times.push(await make())
    return { milliseconds: median(times) }
  }
  const rested = async () => {
    await sleep(REST)
    return { milliseconds: await make() }
  }
  await warm()
  const results = await comparePairs(options.pairs, ['after a rest', rested], ['warm', warm])
  return [
    toRow(results, ({ milliseconds }) => milliseconds, {
      what: `a report of ${SHORT_PERIODS.toLocaleString('en')} periods after a rest of ${REST / 1000} s`,
      reference: 'the same right after another report',
      unit: 'ms',
      target: { atMost: 1.5 }
    })
  ]
}
