/**
 * A process that sends the statement of a change directly to PostgreSQL, as the service sends it. It receives the same
 * messages as load.ts, so the difference between the two is what HTTP costs.
 */
import { createHistogram } from 'node:perf_hooks'
import postgres from 'postgres'
import { type Load, type LoadResult, NANOSECONDS_PER_MS, randomChange, randomUser } from './load.ts'

// One connection for each concurrent statement.
const sql = postgres(process.env.DATABASE_URL ?? '', { max: Number(process.env.CONNECTIONS) })

async function run({ users, slugs, connections, seconds }: Load): Promise<LoadResult> {
  const nanoseconds = createHistogram()
  const cpuBefore = process.cpuUsage()
  const start = performance.now()
  const end = start + seconds * 1000
  const changeUntilEnd = async () => {
    for (let sent = start; sent < end; ) {
      sent = performance.now()
      const [add, remove] = randomChange(slugs)
      await sql`select change_user_segments(${randomUser(users)}, ${[add]}::text[], ${[remove]}::text[])`
      nanoseconds.record(Math.round((performance.now() - sent) * NANOSECONDS_PER_MS))
    }
  }
  await Promise.all(Array.from({ length: connections }, changeUntilEnd))
  const elapsed = performance.now() - start
  const cpu = process.cpuUsage(cpuBefore)
  return {
    requestsPerSecond: (nanoseconds.count * 1000) / elapsed,
    p50: nanoseconds.percentile(50) / NANOSECONDS_PER_MS,
    p99: nanoseconds.percentile(99) / NANOSECONDS_PER_MS,
    max: nanoseconds.max / NANOSECONDS_PER_MS,
    refusals: 0,
    refusalP50: 0,
    refusalP99: 0,
    errors: 0,
    loadCpu: (cpu.user + cpu.system) / 1000 / elapsed
  }
}

process.on('disconnect', () => process.exit())
process.on('message', async (load: Load) => process.send?.(await run(load)))
process.send?.('ready')
