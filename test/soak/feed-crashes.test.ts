/** Consumers of the change feed and instances are killed while others write: the copy is exact in the end. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { readCopy } from '../support/feed.ts'
import { endWithParent, startServerProcess } from '../support/server-process.ts'
import { createDatabase, createFolder, waitUntil } from '../support/service.ts'
import { pick, randomFrom, seed, sized, summarize } from './form.ts'

const KILLS = sized(4, 40)
const WRITERS = 6
const USERS = 20
const SLUGS = ['S0', 'S1', 'S2'] as const

t.test('kill -9 of consumer and service during writes', async (t) => {
  const database = await createDatabase(t)
  await database.sql`insert into segments (slug) select unnest(${[...SLUGS, 'BULK']}::text[])`
  const folder = await createFolder(t)
  const random = randomFrom(seed)

  const startInstance = (port = '0') =>
    startServerProcess(t, { DATABASE_URL: database.url, PORT: port, REPORTS_DIR: folder })
  const instances = [startInstance(), startInstance()]
  const addresses = await Promise.all(instances.map((instance) => instance.address()))

  const file = join(folder, 'copy.json')
  const script = fileURLToPath(new URL('feed/follower.ts', import.meta.url))
  let failure = ''
  const startFollower = (): ChildProcess => {
    const follower = spawn(process.execPath, [endWithParent, script, file, ...addresses], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc']
    })
    follower.stderr?.on('data', (text) => {
      failure += text
    })
    return follower
  }
  let follower = startFollower()
  t.teardown(() => follower.kill('SIGKILL'))

  let isOver = false
  let answered = 0
  const send = async (path: string, init: RequestInit) => {
    const address = pick(random, [addresses[0] ?? '', addresses[1] ?? ''])
    // An instance that is killed does not answer; whether the write has taken effect does not matter here.
    const answer = await fetch(`${address}/api/v1/${path}`, {
      ...init,
      signal: AbortSignal.timeout(30_000)
    }).catch(() => undefined)
    await answer?.text().catch(() => {})
    if (answer?.ok) answered += 1
    else await sleep(5)
  }
  const writers = Array.from({ length: WRITERS }, async () => {
    while (!isOver) {
      const [add, remove] = random() < 0.5 ? [[pick(random, SLUGS)], []] : [[], [pick(random, SLUGS)]]
      await send(`segments/user/${1 + Math.floor(random() * USERS)}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ segments_to_add: add, segments_to_delete: remove })
      })
    }
  })
  const uploading = (async () => {
    const body = Array.from({ length: 2_500 }, (_, n) => `${n + 1}\n`).join('')
    for (let turn = 0; !isOver; turn += 1) {
      await send('segment/BULK/users', {
        method: turn % 2 === 0 ? 'POST' : 'DELETE',
        headers: { 'content-type': 'text/csv' },
        body
      })
      // Otherwise most changes would be these.
      await sleep(300)
    }
  })()

  for (let kill = 0; kill < KILLS && failure === ''; kill += 1) {
    await sleep(100 + random() * 400)
    if (random() < 0.5) {
      follower.kill('SIGKILL')
      await once(follower, 'close')
      follower = startFollower()
      await once(follower.stdout ?? follower, 'data')
      continue
    }
    const index = random() < 0.5 ? 0 : 1
    instances[index]?.process.kill('SIGKILL')
    await instances[index]?.exitCode()
    const instance = startInstance(new URL(addresses[index] ?? '').port)
    await instance.address()
    instances[index] = instance
  }
  isOver = true
  await Promise.all([...writers, uploading])
  t.equal(failure, '', 'each change followed from those before it')

  const now = new Date().toISOString()
  for (const slug of [...SLUGS, 'BULK']) {
    const answer = await fetch(`${addresses[0]}/api/v1/segment/${slug}/users.csv`)
    const members = (await answer.text()).trim().split('\n').slice(1)
    await waitUntil(
      async () => (await readCopy(file)).membersAt(slug, now),
      (copy) => copy.join() === members.join()
    )
    t.pass(`${slug} has ${members.length} members in the copy`)
  }
  t.equal(failure, '')
  t.ok(answered > KILLS)
  summarize(t, { kills: KILLS, 'writes answered': answered })
})
