import { createReadStream, createWriteStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Sql } from 'postgres'
import { type Part, prepareLoad, startServer } from '../bench.ts'
import { timed, uploadUsers } from '../calls.ts'
import { comparePairs, type Row, toRow } from '../compare.ts'
import { settle } from '../database.ts'
import { startLoad } from '../processes.ts'
import { insertSegment } from '../segments.ts'
import { chunksOfIds, insertUsers, MEMBERS } from './import.ts'

const CONNECTIONS = 32
/** Writes after each of which the time to its event is measured. */
const EVENTS = 100
/** The longest time, in milliseconds, in which half of the events must arrive. */
const TARGET_MS = 50

/** What the log of changes costs writes, and how soon a waiting consumer learns of a write. */
export const feed: Part = async (bench) => {
  const { database, directory, options, server, sql } = bench
  await createUnloggedFunction(sql)
  const searchPath = encodeURIComponent('-c search_path=unlogged,public')
  const logged = await startServer(bench, 'service')
  const unlogged = await startServer(bench, 'unlogged', {
    DATABASE_URL: `${server.url(database)}?options=${searchPath}`
  })
  const rows: Row[] = []

  const load = await startLoad(directory)
  const [change, unloggedChange] = [
    await prepareLoad(bench, load, { kind: 'change', address: logged.address, connections: CONNECTIONS }),
    await prepareLoad(bench, load, { kind: 'change', address: unlogged.address, connections: CONNECTIONS })
  ]
  const changes = await comparePairs(options.pairs, ['logged', change], ['unlogged', unloggedChange])
  rows.push(
    toRow(changes, ({ requestsPerSecond }) => requestsPerSecond, {
      what: `changes with the log of the change feed, ${CONNECTIONS} connections`,
      reference: 'without it',
      unit: 'changes/s',
      target: { atLeast: 0.85 }
    })
  )

  await insertUsers(sql)
  const csv = join(directory, 'users.csv')
  await pipeline(Readable.from(chunksOfIds(1, MEMBERS)), createWriteStream(csv))
  const upload = (address: string) => async () => {
    const slug = await insertSegment(sql, 0)
    await sql`checkpoint`
    const milliseconds = await timed(() => uploadUsers(address, slug, createReadStream(csv), MEMBERS))
    return { rowsPerSecond: (MEMBERS * 1000) / milliseconds }
  }
  for (const { address } of [logged, unlogged]) await upload(address)()
  const uploads = await comparePairs(
    options.pairs,
    ['logged', upload(logged.address)],
    ['unlogged', upload(unlogged.address)]
  )
  await rm(csv)
  rows.push(
    toRow(uploads, ({ rowsPerSecond }) => rowsPerSecond, {
      what: `adding ${MEMBERS.toLocaleString('en')} users to a segment with the log of the change feed`,
      reference: 'without it',
      unit: 'rows/s',
      target: { atLeast: 0.95 }
    })
  )

  // Autovacuum would go over ten million memberships meanwhile.
  await settle(sql)
  const slug = await insertSegment(sql, 0)
  const latencies = await comparePairs(
    options.pairs,
    ['events', () => measureEvents(logged.address, slug)],
    ['limit', async () => ({ p50: TARGET_MS })]
  )
  rows.push(
    toRow(latencies, ({ p50 }) => p50, {
      what: "from a write's answer to its event at a consumer that waits, half of the events",
      reference: `${TARGET_MS} ms`,
      unit: 'ms',
      target: { atMost: 1 }
    })
  )
  return rows
}

/** Creates a variant of `change_user_segments` that logs no changes, in a schema of its own. */
async function createUnloggedFunction(sql: Sql): Promise<void> {
  const [{ definition }] = await sql<[{ definition: string }]>`
    select pg_get_functiondef('public.change_user_segments'::regproc) as definition`
  const changed = definition
    .replace('public.change_user_segments', 'unlogged.change_user_segments')
    .replace(/insert into changes [^;]*;/, '')
  if (changed.includes('insert into changes') || !definition.includes('insert into changes'))
    throw new Error('change_user_segments logs changes in another way than this part knows')
  await sql.unsafe(`create schema if not exists unlogged; ${changed}`)
}

/** Adds and removes a user, again and again, while a consumer waits. */
async function measureEvents(address: string, slug: string): Promise<{ p50: number }> {
  const readPage = async (after: string, wait: number) => {
    const response = await fetch(`${address}/api/v1/changes?after=${after}&wait=${wait}&segment=${slug}`)
    if (response.status !== 200) throw new Error(`the feed answered ${response.status}`)
    return (await response.json()) as { cursor: string; changes: object[] }
  }
  const latencies: number[] = []
  let { cursor } = await readPage('now', 0)
  for (let event = 0; event < EVENTS; event += 1) {
    const waiting = readPage(cursor, 30).then((page) => ({ page, arrived: performance.now() }))
    // Writes come at any moment between two looks at the log.
    await sleep(20 + Math.random() * 80)
    const field = event % 2 === 0 ? 'segments_to_add' : 'segments_to_delete'
    const answer = await fetch(`${address}/api/v1/segments/user/1`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ [field]: [slug] })
    })
    await answer.text()
    const answered = performance.now()
    const { page, arrived } = await waiting
    if (page.changes.length !== 1) throw new Error(`the feed answered ${page.changes.length} changes`)
    latencies.push(arrived - answered)
    cursor = page.cursor
  }
  const sorted = latencies.toSorted((a, b) => a - b)
  return { p50: sorted[EVENTS / 2] ?? 0 }
}
