import { type Bench, type Part, prepareLoad, startServer } from '../bench.ts'
import { comparePairs, type Measurement, type Pair, type Row, toRow } from '../compare.ts'
import { settle } from '../database.ts'
import { readMemory, startLoad } from '../processes.ts'

/** Connections that send as fast as they can, to measure the capacity. */
const CAPACITY_CONNECTIONS = 64
/** Connections at a fixed rate: many more than a route accepts at once, as from callers that do not coordinate. */
const CONNECTIONS = 512
/** Shares of the capacity. */
const NORMAL = 0.7
const OVERLOAD = 2

const names = { read: 'reads', change: 'changes' }

/** Reads and changes at twice the service's capacity, against a load that it can sustain. */
export const overload: Part = async (bench) => {
  if (process.platform !== 'linux') {
    console.log('  skipped: it reads /proc')
    return []
  }
  const rows = [...(await overloadWith('read', bench)), ...(await overloadWith('change', bench))]
  await settle(bench.sql)
  return rows
}

/** Compares two values of each pair. Both may be from the same side. */
function compare<M extends Measurement>(
  pairs: Pair<M>[],
  values: (pair: Pair<M>) => [measured: number, reference: number],
  description: Pick<Row, 'what' | 'reference' | 'unit' | 'target'>
): Row {
  const found = pairs.map((pair) => {
    const [measured, reference] = values(pair)
    const errors = (pair.measured.errors ?? 0) + (pair.reference.errors ?? 0)
    return { measured: { value: measured, errors }, reference: { value: reference, errors: 0 } }
  })
  return toRow(found, ({ value }) => value, description)
}

async function overloadWith(kind: keyof typeof names, bench: Bench): Promise<Row[]> {
  const { address, pid } = await startServer(bench, 'service')
  const load = await startLoad(bench.directory)
  const prepare = (connections: number, rate?: number) =>
    prepareLoad(bench, load, { kind, address, connections, ...(rate && { rate }) })
  const asFastAsPossible = await prepare(CAPACITY_CONNECTIONS)

  // Measured again for each pair, because the speed of the machine varies.
  let capacity = 0
  const atShare = async (share: number) => {
    const memoryBefore = await readMemory(pid)
    const found = await (await prepare(CONNECTIONS, share * capacity))()
    return {
      ...found,
      // Above the capacity, refusals are expected. Below it, they show that the service could not sustain the load.
      errors: share > 1 ? found.errors - found.refusals : found.errors,
      refusalsPerSecond: found.refusals / bench.options.seconds,
      capacity,
      memoryBefore,
      memory: await readMemory(pid)
    }
  }
  const overloaded = async () => {
    capacity = (await asFastAsPossible()).requestsPerSecond
    return await atShare(OVERLOAD)
  }
  const results = await comparePairs(
    bench.options.pairs,
    [`${names[kind]} at ${OVERLOAD} × the capacity`, overloaded],
    [`${names[kind]} at ${NORMAL} ×`, () => atShare(NORMAL)]
  )
  const excess = `${names[kind]} at ${OVERLOAD} × the capacity`
  const normal = `${names[kind]} at ${NORMAL} × the capacity`
  return [
    compare(results, ({ measured, reference }) => [measured.p99, reference.p99], {
      what: `${excess}, answered`,
      reference: normal,
      unit: 'ms p99',
      target: { atMost: 2 }
    }),
    compare(results, ({ measured, reference }) => [measured.refusalP99, reference.p99], {
      what: `${excess}, refused with 503`,
      reference: normal,
      unit: 'ms p99',
      target: { atMost: 1 }
    }),
    compare(results, ({ measured, reference }) => [measured.refusalP50, reference.p50], {
      what: `${excess}, refused with 503`,
      reference: normal,
      unit: 'ms p50'
    }),
    compare(
      results,
      ({ measured }) => [measured.refusalsPerSecond, measured.refusalsPerSecond + measured.requestsPerSecond],
      { what: `${excess}, refused with 503`, reference: 'all requests', unit: 'requests/s' }
    ),
    compare(results, ({ measured }) => [measured.requestsPerSecond, measured.capacity], {
      what: `${excess}, answered`,
      reference: `the capacity: ${CAPACITY_CONNECTIONS} connections, as fast as they can`,
      unit: 'requests/s'
    }),
    compare(results, ({ measured }) => [measured.memory, measured.memoryBefore], {
      what: `${excess}, memory afterwards`,
      reference: 'memory before',
      unit: 'MB',
      target: { atMost: 1.1 }
    })
  ]
}
