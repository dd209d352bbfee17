/** The memory that an upload takes does not depend on its length. */
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { residentMegabytes } from '../support/metrics.ts'
import { startServerProcess } from '../support/server-process.ts'
import { createDatabase, createFolder } from '../support/service.ts'
import { sized, summarize } from './form.ts'

const IDS_OF_A_MB = 5_000
const LONG_LINES_OF_A_MB = 950
const LINES_OF_A_MB = IDS_OF_A_MB + LONG_LINES_OF_A_MB
const SMALL_MB = 10
const LARGE_MB = sized(100, 1_000)
/** In MB. */
const TOLERANCE = 40

/** Lines with an id, and long lines that are rejected, which take less time. */
function* lines(megabytes: number): Generator<Buffer> {
  const long = `${'x'.repeat(999)}\n`.repeat(LONG_LINES_OF_A_MB)
  for (let first = 100_000_000; megabytes > 0; first += IDS_OF_A_MB, megabytes -= 1)
    yield Buffer.from(Array.from({ length: IDS_OF_A_MB }, (_, index) => `${first + index}\n`).join('') + long)
}

t.test('a long upload takes no more memory than a short one', async (t) => {
  const database = await createDatabase(t)
  const server = startServerProcess(t, {
    DATABASE_URL: database.url,
    PORT: '0',
    REPORTS_DIR: await createFolder(t),
    // By default V8 allocates more memory before it collects garbage.
    NODE_OPTIONS: '--max-semi-space-size=8 --max-old-space-size=96'
  })
  const address = await server.address()

  /** The peak memory of the service meanwhile. */
  const peakAt = async (megabytes: number) => {
    let peak = 0
    let isDone = false
    const watch = async () => {
      while (!isDone) {
        peak = Math.max(peak, await residentMegabytes(address))
        await sleep(20)
      }
    }
    const watching = watch()
    const answer = await fetch(`${address}/api/v1/users?dry_run=true`, {
      method: 'POST',
      headers: { 'content-type': 'text/csv' },
      body: Readable.toWeb(Readable.from(lines(megabytes))) as ReadableStream,
      duplex: 'half'
    })
    const account = await answer.json()
    isDone = true
    await watching
    t.match(account, { lines: megabytes * LINES_OF_A_MB, new_users: megabytes * IDS_OF_A_MB })
    return peak
  }

  // Twice, because the first upload also fills caches of the process.
  await peakAt(SMALL_MB)
  const small = await peakAt(SMALL_MB)
  const large = await peakAt(LARGE_MB)
  t.ok(large - small < TOLERANCE, `${Math.round(large)} MB after ${Math.round(small)} MB`)
  summarize(t, {
    'MB of memory at the small one': Math.round(small),
    'at the large one': Math.round(large)
  })
})
