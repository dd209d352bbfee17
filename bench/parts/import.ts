import { createReadStream, createWriteStream } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Sql } from 'postgres'
import { type Part, startServer } from '../bench.ts'
import { timed, uploadUsers } from '../calls.ts'
import { comparePairs, toRow } from '../compare.ts'
import { settle } from '../database.ts'
import { insertSegment } from '../segments.ts'

export const MEMBERS = 1_000_000
/** Lines of ten characters: 100 MB and 10 MB. */
const LARGE_UPLOAD = 10_000_000
const SMALL_UPLOAD = 1_000_000
const CHUNK_LINES = 10_000
/** Milliseconds between two samples of the memory of a process. */
const SAMPLE_INTERVAL = 20

/** Adding a million known users to an empty segment by one upload. */
export const importUsers: Part = async (bench) => {
  const { directory, options, sql } = bench
  const { address, pid } = await startServer(bench, 'service')
  await insertUsers(sql)
  const csv = join(directory, 'users.csv')
  await pipeline(Readable.from(chunksOfIds(1, MEMBERS)), createWriteStream(csv))
  const measure = (work: (slug: string, segmentId: number) => Promise<unknown>) => async () => {
    const slug = await insertSegment(sql, 0)
    const [segment] = await sql<[{ id: number }]>`select id from segments where slug = ${slug}`
    // After a checkpoint: otherwise the second measurement need not log the full pages that the first one has logged.
    await sql`checkpoint`
    return { rowsPerSecond: (MEMBERS * 1000) / (await timed(() => work(slug, segment.id))) }
  }
  const service = measure((slug) => uploadUsers(address, slug, createReadStream(csv), MEMBERS))
  const copy = measure((_, segmentId) => copyUsers(sql, segmentId))
  for (const warmUp of [service, copy]) await warmUp()
  const results = await comparePairs(options.pairs, ['service', service], ['COPY', copy])
  await rm(csv)
  await settle(sql)

  const rows = [
    toRow(results, ({ rowsPerSecond }) => rowsPerSecond, {
      what: `adding ${MEMBERS.toLocaleString('en')} users to a segment, from the upload's first byte to the answer`,
      reference: 'COPY into the same table',
      unit: 'rows/s',
      target: { atLeast: 0.3 }
    })
  ]
  if (process.platform !== 'linux') return rows

  // A dry run, because this measures the memory of the service and not the time of the database.
  const slug = await insertSegment(sql, 0)
  const measureMemory = (users: number) => async () => {
    const upload = Readable.from(chunksOfIds(100_000_000, users))
    return { memory: await peakMemory(pid, uploadUsers(address, slug, upload, users, '?dry_run=true')) }
  }
  const memory = await comparePairs(
    options.pairs,
    ['100 MB', measureMemory(LARGE_UPLOAD)],
    ['10 MB', measureMemory(SMALL_UPLOAD)]
  )
  const row = toRow(memory, (found) => found.memory, {
    what: 'peak of memory at an upload of 100 MB',
    reference: 'at one of 10 MB',
    unit: 'MB',
    target: { atMost: 1.2 }
  })
  return [...rows, row]
}

export async function insertUsers(sql: Sql): Promise<void> {
  await sql`insert into users (id) select generate_series(1, ${MEMBERS}::bigint) on conflict do nothing`
  await sql`vacuum (analyze) users`
}

export function* chunksOfIds(first: number, count: number): Generator<Buffer> {
  for (let done = 0; done < count; done += CHUNK_LINES)
    yield Buffer.from(Array.from({ length: CHUNK_LINES }, (_, index) => `${first + done + index}\n`).join(''))
}

async function copyUsers(sql: Sql, segmentId: number): Promise<void> {
  const rows = function* () {
    for (const ids of chunksOfIds(1, MEMBERS)) yield ids.toString().replaceAll('\n', `\t${segmentId}\n`)
  }
  await pipeline(
    Readable.from(rows()),
    await sql`copy memberships (user_id, segment_id) from stdin`.writable()
  )
}

/** The peak of a process's memory during `work`, in MB. */
async function peakMemory(pid: number, work: Promise<unknown>): Promise<number> {
  let peak = 0
  let isSampling = false
  const takeSample = async () => {
    if (isSampling) return
    isSampling = true
    const status = await readFile(`/proc/${pid}/status`, 'utf8')
    peak = Math.max(peak, Number(/^VmRSS:\s*(\d+)/m.exec(status)?.[1]) / 1024)
    isSampling = false
  }
  const sampling = setInterval(() => void takeSample(), SAMPLE_INTERVAL)
  await work.finally(() => clearInterval(sampling))
  return peak
}
