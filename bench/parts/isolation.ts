import { withBackground } from '../background.ts'
import { type Part, prepareLoad, startServer } from '../bench.ts'
import { comparePairs, toRow } from '../compare.ts'
import { settle } from '../database.ts'
import { startLoad } from '../processes.ts'
import { closeDeletedSegments } from '../segments.ts'

/** The share of the idle service's capacity that is sent: the load of a service with capacity to spare. */
const SHARE_OF_CAPACITY = 0.2

/** Reads beside reports, assignments and deletions, against the same reads on the idle service. */
export const isolation: Part = async (bench) => {
  const { options, sql } = bench
  const { address } = await startServer(bench, 'service')
  const load = await startLoad(bench.directory)
  const request = { kind: 'read', address, connections: 64 } as const
  const asFastAsPossible = await prepareLoad(bench, load, request)
  const { requestsPerSecond } = await asFastAsPossible()
  const atFixedRate = await prepareLoad(bench, load, {
    ...request,
    rate: SHARE_OF_CAPACITY * requestsPerSecond
  })

  const measure = async () => {
    const fast = await asFastAsPossible()
    const fixed = await atFixedRate()
    return {
      requestsPerSecond: fast.requestsPerSecond,
      p99: fast.p99,
      fixedRate: fixed.requestsPerSecond,
      fixedRateP99: fixed.p99,
      errors: fast.errors + fixed.errors
    }
  }
  const busy = () => withBackground(bench, address, measure)
  const idle = async () => {
    await closeDeletedSegments(sql)
    await sql`checkpoint`
    return await measure()
  }
  const results = await comparePairs(options.pairs, ['busy', busy], ['idle', idle])
  await settle(sql)
  const description = {
    reference: 'the same on the idle service',
    unit: 'ms p99',
    target: { atMost: 3 }
  }
  return [
    toRow(results, ({ p99 }) => p99, {
      what: 'reads, 64 connections, beside a report, an assignment and a deletion',
      ...description
    }),
    toRow(results, ({ fixedRateP99 }) => fixedRateP99, {
      what: "the same at a fixed rate, a fifth of the idle service's capacity",
      ...description
    })
  ]
}
