import { createReadStream, createWriteStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type Bench, type Part, startServer } from '../bench.ts'
import { replaceUsers, timed } from '../calls.ts'
import { comparePairs, type Row, toRow } from '../compare.ts'
import { settle } from '../database.ts'
import { insertSegment } from '../segments.ts'
import { chunksOfIds, insertUsers } from './import.ts'

/** How many users an upload has: fewer than are known. */
const SIZES = [200_000, 990_000]
/** The share of the members who leave, and of the users who join. */
const CHANGED = 0.005

/** Replacing the members of a segment by an upload that has almost the same users. */
export const replacement: Part = async (bench) => {
  const { address } = await startServer(bench, 'service')
  await insertUsers(bench.sql)
  const rows: Row[] = []
  for (const size of SIZES) rows.push(await measureReplacement(bench, address, size))
  return rows
}

async function measureReplacement(
  { directory, options, sql }: Bench,
  address: string,
  size: number
): Promise<Row> {
  const changed = size * CHANGED
  const slug = await insertSegment(sql, size)
  await sql`vacuum (analyze) memberships`
  // Each upload has the users of the other one, except for those who change.
  const files = await Promise.all(
    [1, 1 + changed].map(async (first, index) => {
      const file = join(directory, `replacement-${index}.csv`)
      await pipeline(Readable.from(chunksOfIds(first, size)), createWriteStream(file))
      return file
    })
  )
  let next = 1
  const upload = async (query: string) => {
    await sql`checkpoint`
    const csv = createReadStream(files[next] ?? '')
    return { milliseconds: await timed(() => replaceUsers(address, slug, csv, changed, query)) }
  }
  const replace = async () => {
    const result = await upload('')
    next = 1 - next
    return result
  }
  const compare = () => upload('?dry_run=true')
  for (const warmUp of [compare, replace]) await warmUp()
  const results = await comparePairs(options.pairs, ['replace', replace], ['compare', compare])
  await Promise.all(files.map((file) => rm(file)))
  await settle(sql)
  return toRow(results, ({ milliseconds }) => milliseconds, {
    what: `replacing ${size.toLocaleString('en')} members of a segment, of whom 0.5 % leave while as many join`,
    reference: 'reading the upload and comparing it: a dry run',
    unit: 'ms',
    target: { atMost: 1.5 }
  })
}
