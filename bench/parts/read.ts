import { type Part, prepareLoad, startServer } from '../bench.ts'
import { comparePairs, toRow } from '../compare.ts'
import { startLoad } from '../processes.ts'

/** Reads at 64 connections, of uniformly drawn users. */
export const read: Part = async (bench) => {
  const { pairs } = bench.options
  const load = await startLoad(bench.directory)
  const prepare = async (name: 'service' | 'plain' | 'bare') => {
    const { address } = await startServer(bench, name)
    return await prepareLoad(bench, load, { kind: 'read', address, connections: 64 })
  }
  const service = await prepare('service')
  const againstPlain = await comparePairs(pairs, ['service', service], ['plain', await prepare('plain')])
  const againstBare = await comparePairs(pairs, ['service', service], ['bare', await prepare('bare')])

  const what = 'reads, 64 connections'
  return [
    toRow(againstPlain, ({ requestsPerSecond }) => requestsPerSecond, {
      what,
      reference: 'a plain implementation of the route',
      unit: 'requests/s',
      target: { atLeast: 1.8 }
    }),
    toRow(againstPlain, ({ p99 }) => p99, {
      what,
      reference: 'a plain implementation of the route',
      unit: 'ms p99',
      target: { atMost: 1 }
    }),
    toRow(againstBare, ({ requestsPerSecond }) => requestsPerSecond, {
      what,
      reference: 'bare Fastify, a constant answer',
      unit: 'requests/s',
      target: { atLeast: 0.5 }
    })
  ]
}

/** Reads one after the other. */
export const latency: Part = async (bench) => {
  const load = await startLoad(bench.directory)
  const prepare = async (name: 'service' | 'plain') => {
    const { address } = await startServer(bench, name)
    return await prepareLoad(bench, load, { kind: 'read', address, connections: 1 })
  }
  const service = await prepare('service')
  const plain = await prepare('plain')
  const results = await comparePairs(bench.options.pairs, ['service', service], ['plain', plain])
  return [
    toRow(results, ({ p50 }) => p50, {
      what: 'reads, one connection',
      reference: 'a plain implementation of the route',
      unit: 'ms p50',
      target: { atMost: 1.05 }
    })
  ]
}
