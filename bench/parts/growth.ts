import { type Part, prepareLoad, startServer } from '../bench.ts'
import { comparePairs, toRow } from '../compare.ts'
import { provideData } from '../database.ts'
import { startLoad } from '../processes.ts'

const REFERENCE_USERS = 100_000

/** Reads with many users in the database, against reads with few, on one PostgreSQL. */
export const growth: Part = async (bench) => {
  const { options, server } = bench
  if (options.users <= REFERENCE_USERS) {
    console.log(`  skipped: it compares with ${REFERENCE_USERS} users`)
    return []
  }
  const load = await startLoad(bench.directory)
  const prepare = async (users: number, database: string) => {
    const { address } = await startServer(bench, 'service', { DATABASE_URL: bench.server.url(database) })
    return await prepareLoad(bench, load, { kind: 'read', address, connections: 64, users })
  }
  const large = await prepare(options.users, bench.database)
  const small = await prepare(REFERENCE_USERS, await provideData(server, REFERENCE_USERS))
  const results = await comparePairs(
    options.pairs,
    [`${options.users} users`, large],
    [`${REFERENCE_USERS} users`, small]
  )
  return [
    toRow(results, ({ requestsPerSecond }) => requestsPerSecond, {
      what: 'reads, 64 connections',
      reference: `the same at ${REFERENCE_USERS.toLocaleString('en')} users`,
      unit: 'requests/s',
      target: { atLeast: 0.8 }
    })
  ]
}
