import { type Bench, type Part, prepareLoad, startServer } from '../bench.ts'
import { comparePairs, type Pair, toRow } from '../compare.ts'
import { settle } from '../database.ts'
import type { LoadResult } from '../load.ts'
import { readCpu, readPostgresCpu, startLoad } from '../processes.ts'

const CONNECTIONS = 32
/** More than the 256 reads that the service accepts at once. */
const REFUSED_CONNECTIONS = 320

/** Microseconds in a second. */
const MICROSECONDS = 1e6

/** The CPU time of one request, in microseconds. */
type Cost = { service: number; postgres: number; errors: number }

/** What a read and a change cost, in the service and in PostgreSQL. Other load on the machine hardly affects it. */
export const cpu: Part = async (bench) => {
  if (process.platform !== 'linux') {
    console.log('  skipped: it reads /proc')
    return []
  }
  const { options, sql } = bench
  const { address, pid } = await startServer(bench, 'service')
  const load = await startLoad(bench.directory)
  const prepare = async (kind: 'read' | 'change') =>
    measureCost(bench, pid, await prepareLoad(bench, load, { kind, address, connections: CONNECTIONS }))
  const results = await comparePairs(
    options.pairs,
    ['changes', await prepare('change')],
    ['reads', await prepare('read')]
  )
  await settle(sql)
  const refused = await prepareRefusals(bench, address)
  const refusals = await comparePairs(
    options.pairs,
    ['refused reads', measureCost(bench, pid, refused)],
    ['reads', await prepare('read')]
  )
  const unit = 'µs of CPU'
  const within = (side: keyof Pair<Cost>) =>
    results.map(({ [side]: cost }) => ({
      measured: { value: cost.postgres, errors: cost.errors },
      reference: { value: cost.service, errors: 0 }
    }))
  return [
    toRow(within('reference'), ({ value }) => value, {
      what: 'a read, in PostgreSQL',
      reference: 'in the service',
      unit
    }),
    toRow(within('measured'), ({ value }) => value, {
      what: 'a change, in PostgreSQL',
      reference: 'in the service',
      unit
    }),
    toRow(results, ({ service, postgres }) => service + postgres, {
      what: 'a change, in both',
      reference: 'a read, in both',
      unit
    }),
    toRow(refusals, ({ service }) => service, {
      what: 'refusing a read, in the service',
      reference: 'answering it',
      unit,
      target: { atMost: 0.2 }
    })
  ]
}

/** Returns a load of reads that are refused, because as many as the service accepts wait for a lock. */
async function prepareRefusals(bench: Bench, address: string): Promise<() => Promise<LoadResult>> {
  const { directory, options, sql } = bench
  const request = { kind: 'read', address, connections: REFUSED_CONNECTIONS } as const
  const run = await prepareLoad(bench, await startLoad(directory), request)
  return async () => {
    const held = await sql.reserve()
    try {
      await held`begin`
      await held`lock table memberships in access exclusive mode`
      const result = await run()
      return {
        ...result,
        requestsPerSecond: result.refusals / options.seconds,
        errors: result.errors - result.refusals
      }
    } finally {
      await held`rollback`
      held.release()
    }
  }
}

function measureCost(
  { options, sql }: Bench,
  pid: number,
  run: () => Promise<LoadResult>
): () => Promise<Cost> {
  return async () => {
    const before = [await readCpu(pid), await readPostgresCpu(sql)] as const
    const { requestsPerSecond, errors } = await run()
    const requests = requestsPerSecond * options.seconds
    const perRequest = (seconds: number) => (seconds / requests) * MICROSECONDS
    return {
      service: perRequest((await readCpu(pid)) - before[0]),
      postgres: perRequest((await readPostgresCpu(sql)) - before[1]),
      errors
    }
  }
}
