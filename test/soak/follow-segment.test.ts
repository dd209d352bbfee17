/**
 * The program in the client's README keeps a segment in a file, and a client keeps it in memory, while the program, the
 * instances of the service and the database are killed and restarted. Both are then exactly what the service has.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { SegmentsClient } from '../../client/src/index.ts'
import { Balancer } from '../support/balancer.ts'
import { startOwnPostgres } from '../support/own-postgres.ts'
import { readFollower } from '../support/readme.ts'
import { createFolder, waitUntil } from '../support/service.ts'
import { ChangeLoad, SLUGS, USERS } from './follow-segment/change-load.ts'
import { FollowerProcess } from './follow-segment/follower-process.ts'
import { InstancePair } from './follow-segment/instance-pair.ts'
import { sized, summarize } from './form.ts'

const CHANGES = sized(600, 100_000)
const ROUNDS = sized(1, 4)
/** Milliseconds for which the follower and the database are down. */
const DOWN_MS = sized(200, 1_000)

const [slug] = SLUGS

/** The members whose memberships have not expired, in order, each with its expiry. */
function listCurrent(members: Iterable<[string, string]>): string[] {
  const now = Date.now()
  return [...members]
    .filter(([, expiry]) => expiry === '' || Date.parse(expiry) > now)
    .map((member) => member.join())
    .sort()
}

t.test('a copy of a segment, through restarts of everything', async (t) => {
  const database = await startOwnPostgres(t)
  const balancer = await Balancer.start(t)
  const instances = await InstancePair.start(t, database.url, balancer)
  // The load goes on after any fault, so no write of it is given up.
  const client = new SegmentsClient({ url: balancer.address, retries: 1_000, timeout: 20_000 })
  for (const slug of SLUGS) await client.createSegment({ slug })
  await client.addUsers(Array.from({ length: USERS }, (_, index) => `${index + 1}\n`).join(''))

  const folder = await createFolder(t)
  const program = join(folder, 'follow.ts')
  const source = new URL('../../client/src/index.ts', import.meta.url).href
  await writeFile(
    program,
    (await readFollower())
      .replace("'@user-segments/client'", JSON.stringify(source))
      .replace('http://127.0.0.1:8080', balancer.address)
  )
  const follower = FollowerProcess.start(t, program, slug, join(folder, 'members.json'))
  const copy = client.followSegment(slug)
  t.teardown(() => copy.close())

  /** How the copies differ from the service, if they still do after half a minute. */
  async function findDifferences(): Promise<{ inFile: string[]; inMemory: string[] }> {
    const compare = async () => {
      const download = await client.downloadSegmentUsers(slug, { expires: true })
      const lines = (await download.text()).trim().split('\n').slice(1)
      const expected = listCurrent(lines.map((line) => line.split(',') as [string, string]))
      const inFile = listCurrent(await follower.readMembers())
      const ids = expected.map((member) => member.split(',')[0] ?? '')
      return {
        inFile: findDifference(expected, inFile),
        inMemory: findDifference(ids, [...copy.userIds()])
      }
    }
    let differences = await compare()
    await waitUntil(
      async () => {
        differences = await compare()
        return differences
      },
      ({ inFile, inMemory }) => inFile.length + inMemory.length === 0
    ).catch(() => {})
    return differences
  }

  const load = new ChangeLoad(client)
  const faults = [
    () => follower.restart(DOWN_MS),
    () => instances.restart(0),
    () => follower.restart(DOWN_MS),
    () => instances.restart(1),
    async () => {
      await database.stopImmediately()
      await sleep(DOWN_MS)
      await database.start()
    }
  ]
  for (let round = 0; round < ROUNDS; round += 1) {
    // The changes that the copies have read are no longer kept, so that they begin again.
    if (round > 0) await Promise.all([follower.restart(DOWN_MS), database.execute('delete from changes')])
    // Each fault happens beside changes, and the last ones are read after the last fault.
    const parts = faults.length + 1
    for (const [index, fault] of [...faults, async () => {}].entries()) {
      const done = load.run((CHANGES / ROUNDS) * (round + (index + 1) / parts))
      await fault()
      await done
    }
    await copy.ready
    t.same(await findDifferences(), { inFile: [], inMemory: [] }, `no difference after round ${round + 1}`)
  }
  t.equal(load.changes >= CHANGES, true)
  t.ok(await follower.readMembers().then((members) => members.some(([, expiry]) => expiry !== '')))
  summarize(t, {
    changes: load.changes,
    requests: load.requests,
    faults: ROUNDS * (faults.length + 1) - 1,
    'times the follower ended': follower.ends,
    members: [...copy.userIds()].length
  })
})

/** The first entries that only one of two lists has. */
function findDifference(expected: string[], found: string[]): string[] {
  const [left, right] = [new Set(expected), new Set(found)]
  const differences = [
    ...[...left.difference(right)].map((entry) => `missing ${entry}`),
    ...[...right.difference(left)].map((entry) => `extra ${entry}`)
  ]
  return differences.slice(0, 5)
}
