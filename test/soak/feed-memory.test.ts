/** A consumer that is millions of changes behind reads each once, and the memory of the service does not grow meanwhile. */
import t from 'tap'
import { connectClient } from '../support/client.ts'
import { readChanges } from '../support/feed.ts'
import { residentMegabytes } from '../support/metrics.ts'
import { startServerProcess } from '../support/server-process.ts'
import { createDatabase, createFolder, type TestDatabase } from '../support/service.ts'
import { sized, summarize } from './form.ts'

/** Changes in rows of 2,000, as an upload writes them. */
const BULK = sized(180_000, 9_000_000)
/** Changes of single users. */
const SINGLE = sized(20_000, 1_000_000)
const TOTAL = BULK + SINGLE
/** In MB. */
const TOLERANCE = 40

/** Logs changes of the users 1, 2, 3 and so on, in this order. */
async function logChanges({ sql }: TestDatabase): Promise<void> {
  await sql`insert into segments (slug) values ('A')`
  await sql`
    insert into changes (type, segment_id, changed_at, cause, user_ids)
    select
      'membership_added', 1, now(), 'import',
      (select array_agg(user_id order by user_id) from generate_series(first, first + 1999) as user_id)
    from generate_series(1, ${BULK}::bigint, 2000) as first`
  await sql`
    insert into changes (type, segment_id, changed_at, cause, user_ids)
    select 'membership_added', 1, now(), 'request', array[user_id]
    from generate_series(${BULK + 1}::bigint, ${TOTAL}::bigint) as user_id`
  await sql`analyze changes`
}

t.test('millions of changes', async (t) => {
  const database = await createDatabase(t)
  await logChanges(database)
  const server = startServerProcess(t, {
    DATABASE_URL: database.url,
    PORT: '0',
    REPORTS_DIR: await createFolder(t),
    // By default V8 allocates more memory before it collects garbage.
    NODE_OPTIONS: '--max-semi-space-size=8 --max-old-space-size=96'
  })
  const address = await server.address()
  const http = connectClient(address)

  let last = 0
  let peak = 0
  /** Takes the changes as they come. Throws unless they are those of the next users. */
  const take = (user: string | null | undefined) => {
    last += 1
    if (Number(user) !== last) throw new Error(`a change of user ${user} instead of ${last}`)
  }
  /** Now and then, looks at the memory. */
  const watch = async (part: number) => {
    if (part % 100 === 0) peak = Math.max(peak, await residentMegabytes(address))
  }
  /** Reads pages up to a user. Returns the cursor. */
  const readPages = async (end: number) => {
    let cursor = 'start'
    for (let pages = 0; last < end; pages += 1) {
      const page = await readChanges(http, cursor, '&limit=1000')
      for (const { user_id } of page.changes) take(user_id)
      cursor = page.cursor
      await watch(pages)
    }
    return cursor
  }
  /** Reads the stream to its end, or up to a user. */
  const readStream = async (cursor: string, end: number) => {
    const stream = await fetch(`${address}/api/v1/changes/stream?after=${cursor}&wait=0`)
    let rest = ''
    let chunks = 0
    for await (const chunk of stream.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      const events = (rest + chunk).split('\n\n')
      rest = events.pop() ?? ''
      for (const event of events) {
        const data = event.split('\ndata: ')[1]
        if (data !== undefined) take(/"user_id":"(\d+)"/.exec(data)?.[1])
      }
      chunks += 1
      await watch(chunks)
      if (last >= end) break
    }
  }

  // The first ones also fill what the process keeps.
  const tenth = TOTAL / 10
  await readStream(await readPages(tenth), 2 * tenth)
  const earlyPeak = peak
  last = 0
  const begun = performance.now()
  await readStream(await readPages(tenth), TOTAL)
  t.equal(last, TOTAL, 'each change came once, in order')
  t.ok(peak - earlyPeak < TOLERANCE, `${Math.round(peak)} MB after ${Math.round(earlyPeak)} MB`)
  const seconds = (performance.now() - begun) / 1_000
  summarize(t, {
    changes: last,
    'changes a second': Math.round(TOTAL / seconds),
    'MB of memory at the beginning': Math.round(earlyPeak),
    'at most': Math.round(peak)
  })
})
