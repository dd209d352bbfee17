/**
 * A program that keeps a copy of all memberships in a file, together with the cursor up to which it has read: it may be
 * killed at any moment. Ends with an error if a change does not follow from those before it.
 *
 *     node follower.ts FILE ADDRESS…
 */
import { rename, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { type FeedPage, readCopy } from '../../support/feed.ts'

const [file = '', ...addresses] = process.argv.slice(2)
const consumer = await readCopy(file)
console.log(`begins after ${consumer.cursor}`)

for (let turn = 0; ; turn += 1) {
  const address = addresses[turn % addresses.length]
  const page = await read(`${address}/api/v1/changes?after=${consumer.cursor}&limit=1000&wait=1`)
  if (!page) {
    await sleep(20)
    continue
  }
  // Now and then it stores only a part of a page, and continues after a change in the middle of it.
  const isWhole = turn % 3 > 0
  const changes = isWhole ? page.changes : page.changes.slice(0, Math.ceil(page.changes.length / 2))
  for (const change of changes) consumer.apply(change)
  consumer.cursor = isWhole ? page.cursor : (changes.at(-1)?.cursor ?? page.cursor)
  await writeFile(`${file}.new`, consumer.toText())
  await rename(`${file}.new`, file)
}

/** Undefined if the service has not answered: it was killed, or is starting. */
async function read(url: string): Promise<FeedPage | undefined> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(10_000) }).catch(() => undefined)
  if (answer && answer.status !== 200 && answer.status < 500)
    throw new Error(`${answer.status} ${await answer.text()}`)
  return answer?.status === 200
    ? ((await answer.json().catch(() => undefined)) as FeedPage | undefined)
    : undefined
}
