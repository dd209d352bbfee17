/**
 * A process that sends the statement of a change straight to PostgreSQL, as the service sends it. It takes the same
 * messages as load.ts: what HTTP adds is the difference between the two.
 */
import { createHistogram } from 'node:perf_hooks'
import postgres from 'postgres'
import { type Load, type LoadResult, NANOSECONDS, randomChange, randomUser } from './load.ts'

// As many as it sends statements at once: each has a connection to itself.
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
      nanoseconds.record(Math.round((performance.now() - sent) * NANOSECONDS))
    }
  }
  await Promise.all(Array.from({ length: connections }, changeUntilEnd))
  const elapsed = performance.now() - start
  const cpu = process.cpuUsage(cpuBefore)
  return {
    requestsPerSecond: (nanoseconds.count * 1000) / elapsed,
    p50: nanoseconds.percentile(50) / NANOSECONDS,
    p99: nanoseconds.percentile(99) / NANOSECONDS,
    max: nanoseconds.max / NANOSECONDS,
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
