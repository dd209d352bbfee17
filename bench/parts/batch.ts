import { type Part, prepareLoad, startServer } from '../bench.ts'
import { comparePairs, toRow } from '../compare.ts'
import { BATCH_SIZE } from '../load.ts'
import { startLoad } from '../processes.ts'

/** Reads of many users by one request. */
export const batch: Part = async (bench) => {
  const { address } = await startServer(bench, 'service')
  const load = await startLoad(bench.directory)
  const prepare = async (kind: 'batch' | 'read', usersPerRequest: number) => {
    const measure = await prepareLoad(bench, load, { kind, address, connections: 64 })
    return async () => {
      const result = await measure()
      return { usersPerSecond: result.requestsPerSecond * usersPerRequest, ...result }
    }
  }
  const batched = await prepare('batch', BATCH_SIZE)
  const single = await prepare('read', 1)
  const results = await comparePairs(bench.options.pairs, ['batched', batched], ['single', single])
  return [
    toRow(results, ({ usersPerSecond }) => usersPerSecond, {
      what: `reads of ${BATCH_SIZE} users by one request, 64 connections`,
      reference: 'reads of one user by one',
      unit: 'users/s'
    })
  ]
}
