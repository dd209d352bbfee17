import { type Part, prepareLoad, startServer } from '../bench.ts'
import { comparePairs, toRow } from '../compare.ts'
import { settle } from '../database.ts'
import { startLoad } from '../processes.ts'

const CONNECTIONS = 32

/** Changes that add one segment and delete another, of uniformly drawn users. */
export const change: Part = async (bench) => {
  const { database, directory, options, server, sql } = bench
  const { address } = await startServer(bench, 'service')
  const request = { kind: 'change', address, connections: CONNECTIONS } as const
  const service = await prepareLoad(bench, await startLoad(directory), request)
  const sqlLoad = await startLoad(directory, 'sql-load.ts', {
    DATABASE_URL: server.url(database),
    CONNECTIONS: String(CONNECTIONS)
  })
  const statement = await prepareLoad(bench, sqlLoad, request)
  const results = await comparePairs(options.pairs, ['service', service], ['SQL', statement])
  await settle(sql)
  return [
    toRow(results, ({ requestsPerSecond }) => requestsPerSecond, {
      what: `changes, ${CONNECTIONS} connections`,
      reference: 'their SQL, sent directly to PostgreSQL',
      unit: 'changes/s',
      target: { atLeast: 0.7 }
    })
  ]
}
