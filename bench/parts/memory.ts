import { setInterval } from 'node:timers/promises'
import { withBackground } from '../background.ts'
import { type Part, startServer } from '../bench.ts'
import { median, toRow } from '../compare.ts'
import { ordinarySlugs } from '../generate.ts'
import { readMemory, startLoad } from '../processes.ts'

/** In MB. */
const LIMIT = 256

/** The service's memory under all kinds of load at once, including its worker threads. */
export const memory: Part = async (bench) => {
  const { directory, options } = bench
  if (process.platform !== 'linux') {
    console.log('  skipped: it reads /proc')
    return []
  }
  const { address, pid } = await startServer(bench, 'service')
  const [reads, changes] = await Promise.all([startLoad(directory), startLoad(directory)])
  const load = { address, users: options.users, slugs: ordinarySlugs, seconds: options.memoryMinutes * 60 }

  const samples: number[] = []
  const results = await withBackground(bench, address, async () => {
    const finished = new AbortController()
    const sampling = sample(pid, samples, finished.signal)
    const measured = await Promise.all([
      reads({ ...load, kind: 'read', connections: 64 }),
      changes({ ...load, kind: 'change', connections: 8 })
    ]).finally(() => finished.abort())
    await sampling
    return measured
  })

  const errors = results.reduce((sum, result) => sum + result.errors, 0)
  const quarter = Math.floor(samples.length / 4)
  const compare = (measured: number, reference: number) => [
    { measured: { memory: measured, errors }, reference: { memory: reference } as Record<string, number> }
  ]
  return [
    toRow(compare(Math.max(...samples), LIMIT), (found) => found.memory ?? Number.NaN, {
      what: `peak of memory in ${options.memoryMinutes} minutes of reads, changes, reports, assignments and deletions`,
      reference: `${LIMIT} MB`,
      unit: 'MB',
      target: { atMost: 1 }
    }),
    toRow(
      compare(median(samples.slice(-quarter)), median(samples.slice(quarter, 2 * quarter))),
      (found) => found.memory ?? Number.NaN,
      {
        what: 'memory in the last quarter of that time',
        reference: 'memory in its second quarter',
        unit: 'MB',
        target: { atMost: 1.1 }
      }
    )
  ]
}

/** Adds a process's memory to `samples` every second, in MB. */
async function sample(pid: number, samples: number[], signal: AbortSignal): Promise<void> {
  try {
    for await (const _ of setInterval(1_000, undefined, { signal })) {
      samples.push(await readMemory(pid))
      if (samples.length % 60 === 0)
        console.log(`  ${samples.length / 60} min: ${Math.round(samples.at(-1) ?? 0)} MB`)
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
}
