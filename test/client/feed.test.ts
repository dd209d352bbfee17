import t from 'tap'
import { type Change, type LookupCache, SegmentsClient } from '../../client/src/index.ts'
import { startClientService } from '../support/client-service.ts'
import { emptyTables, waitUntil } from '../support/service.ts'

const catchError = (error: unknown) => error
/** An address where nothing listens. */
const nowhere = 'http://127.0.0.1:1'

/** Takes changes until there are as many as wanted. */
async function take(changes: AsyncIterable<Change>, count: number): Promise<Change[]> {
  const taken: Change[] = []
  for await (const change of changes) {
    taken.push(change)
    if (taken.length === count) break
  }
  return taken
}

/** Changes without their cursors, which depend on how they were read. */
const withoutCursors = (changes: Change[]) => changes.map(({ cursor: _, ...change }) => change)

/** The changes of each user, in order. */
function groupByUser(changes: Change[]): Record<string, string[]> {
  const groups: Record<string, string[]> = {}
  for (const { user_id, type, slug } of changes) {
    const user = String(user_id)
    groups[user] = [...(groups[user] ?? []), `${type} ${slug}`]
  }
  return groups
}

const { address, proxy, database, createClient } = await startClientService(t)
/** Reaches the service always. */
const writer = new SegmentsClient({ url: address })

t.test('the change feed', async (t) => {
  const client = createClient()
  await writer.createSegment({ slug: 'A' })
  await writer.createSegment({ slug: 'B' })
  const users = Array.from({ length: 20 }, (_, index) => String(index + 1))
  const changesOfUser = ['membership_added A', 'membership_removed A', 'membership_added B']
  const expected = Object.fromEntries(users.map((user) => [user, changesOfUser]))

  t.test('brings each change once, whatever fails', async (t) => {
    proxy.planFor('/changes', 'none', 'lost', 'busy', 'cut', 'reset', 'foreign')
    const taken = take(client.changes(), 60)
    await waitUntil(
      async () => proxy.seen.length,
      (count) => count > 1
    )
    for (const user of users) {
      await writer.changeUserSegments(user, { segments_to_add: ['A'] })
      await writer.changeUserSegments(user, { segments_to_add: ['B'], segments_to_delete: ['A'] })
    }
    const changes = await taken
    t.same(groupByUser(changes), expected)
    t.ok(proxy.seen.length > 6, 'all faults have happened')

    const rest = await take(client.changes({ after: changes[29]?.cursor ?? '', limit: 7 }), 30)
    t.same(withoutCursors(rest), withoutCursors(changes).slice(30), 'another feed continues after a change')
    const all = await take(client.changes({ after: 'start' }), 62)
    t.same(withoutCursors(all).slice(2), withoutCursors(changes))
    const ofUser = await take(client.changes({ after: 'start', user_id: 3 }), 3)
    t.same(withoutCursors(ofUser), withoutCursors(changes).slice(6, 9))
  })

  t.test('says what it goes on after', async (t) => {
    const faults: string[] = []
    proxy.planFor('/changes', 'busy', 'reset')
    await take(client.changes({ after: 'start', onFault: ({ code }) => faults.push(code) }), 62)
    t.same(faults, ['OVERLOADED', 'CONNECTION_FAILED'])
  })

  t.test('its cursor moves on without changes', async (t) => {
    const ending = new AbortController()
    const feed = client.changes({ segment: 'a', wait: 1, signal: ending.signal })
    const iterated = take(feed, 1)
    const first = await waitUntil(
      async () => feed.cursor,
      (cursor) => cursor !== 'now'
    )
    await writer.changeUserSegments(1, { segments_to_delete: ['B'] })
    await waitUntil(
      async () => feed.cursor,
      (cursor) => cursor !== first
    )
    ending.abort(new Error('enough'))
    await t.rejects(iterated, { message: 'enough' })
  })

  t.test('follows a download', async (t) => {
    const download = await client.downloadSegmentUsers('B')
    t.equal((await download.text()).split('\n').length, 21)
    await writer.changeUserSegments(21, { segments_to_add: ['B'] })
    t.match(await take(client.changes({ after: download.cursor, segment: 'B' }), 1), [
      { type: 'membership_added', user_id: '21' }
    ])
  })

  t.test('ends with a permanent error', async (t) => {
    t.match(await take(client.changes({ after: 'x' }), 1).catch(catchError), { code: 'INVALID_CURSOR' })
    t.match(await take(client.changes({ segment: 'NONE' }), 1).catch(catchError), {
      code: 'SEGMENT_NOT_FOUND'
    })
  })
})

t.test('a followed segment', async (t) => {
  await emptyTables(database)
  await writer.createSegment({ slug: 'A' })
  const ids = Array.from({ length: 1_500 }, (_, index) => String(index + 1))
  await writer.addSegmentUsers('A', ids.join('\n'))
  await writer.changeUserSegments(1, { segments_to_add: [{ slug: 'A', ttl_seconds: 4 }] })

  // Users change after the moment that the download shows, and before it has come.
  proxy.planFor('/users.csv', 'busy', 'cut', 'delayed')
  const copy = createClient().followSegment('a')
  t.teardown(() => copy.close())
  t.equal(copy.age, Number.POSITIVE_INFINITY)
  await waitUntil(
    async () => proxy.delayed,
    (count) => count === 1
  )
  await writer.changeUserSegments(2, { segments_to_delete: ['A'] })
  await writer.changeUserSegments(1_400, { segments_to_delete: ['A'] })
  await writer.changeUserSegments(1_501, { segments_to_add: ['A'] })
  proxy.release()
  await copy.ready
  t.same(
    [copy.has(2), copy.has('1400'), copy.has(1_501n), copy.has(3), copy.has(2_000)],
    [false, false, true, true, false]
  )
  const members = ['1', ...ids.slice(2), '1501'].filter((id) => id !== '1400')
  t.same([...copy.userIds()].toSorted(), members.toSorted())
  t.ok(copy.age < 5_000)

  await writer.changeUserSegments(3, { segments_to_delete: ['A'] })
  await waitUntil(
    async () => copy.has(3),
    (isMember) => !isMember
  )
  await waitUntil(
    async () => copy.has(1),
    (isMember) => !isMember
  )

  // The client reaches no service.
  proxy.moveTo(nowhere)
  await writer.changeUserSegments(4, { segments_to_delete: ['A'] })
  await writer.eraseUser(5)
  t.equal(copy.has(4), true, 'it answers what it last knew')
  const { age } = copy
  await waitUntil(
    async () => copy.age,
    (later) => later > age + 500
  )
  proxy.moveTo(address)
  await waitUntil(
    async () => copy.has(4) || copy.has(5),
    (isMember) => !isMember
  )
  t.ok(copy.age < 5_000)

  // The changes are no longer kept.
  proxy.moveTo(nowhere)
  await database.sql`delete from changes where position > 2`
  await database.sql`update memberships set removed_at = now(), removed_cause = 'request' where user_id = 6`
  proxy.moveTo(address)
  await waitUntil(
    async () => copy.has(6),
    (isMember) => !isMember
  )
  await writer.deleteSegment('A')
  await waitUntil(
    async () => [...copy.userIds()].length,
    (count) => count === 0
  )
  copy.close()
  await copy.ended
  const missing = writer.followSegment('NONE')
  t.match(await missing.ready.catch(catchError), { code: 'SEGMENT_NOT_FOUND' })
})

t.test('the cache of lookups', async (t) => {
  await emptyTables(database)
  for (const slug of ['A', 'B']) await writer.createSegment({ slug })
  for (const user of [1, 2]) await writer.changeUserSegments(user, { segments_to_add: ['A', 'B'] })
  const cache = createClient({ retries: 0 }).cacheLookups({ maxUsers: 2 })
  t.teardown(() => cache.close())
  const lookUp = async (user: number) => (await cache.getUserSegments(user)).segments
  const requests = () => proxy.seen.filter(({ path }) => path.includes('memberships')).length
  const changesTo = (user: number, segments: string[], of: LookupCache = cache) =>
    waitUntil(
      async () => (await of.getUserSegments(user)).segments.join(),
      (found) => found === segments.join()
    )

  // From the moment on at which it follows the feed, it asks once.
  await waitUntil(
    async () => {
      const before = requests()
      await lookUp(1)
      return requests() - before
    },
    (asked) => asked === 0
  )
  t.ok((await cache.getUserSegments(1)).age < 6_000)
  const before = requests()
  t.same(
    [await lookUp(2), await lookUp(2), await lookUp(1)],
    [
      ['A', 'B'],
      ['A', 'B'],
      ['A', 'B']
    ]
  )
  t.equal(requests() - before, 1)

  await writer.changeUserSegments(1, { segments_to_delete: ['A'] })
  await changesTo(1, ['B'])

  t.test('a lookup that misses a change is not kept', async (t) => {
    await writer.changeUserSegments(2, { segments_to_delete: ['A'] })
    await changesTo(2, ['B'])
    await writer.changeUserSegments(3, { segments_to_add: ['A'] })
    proxy.planFor('memberships', 'delayed')
    const missing = cache.getUserSegments(3)
    await waitUntil(
      async () => requests(),
      (count) => count === 1
    )
    await writer.changeUserSegments(3, { segments_to_add: ['B'] })
    await writer.changeUserSegments(1, { segments_to_add: ['A'] })
    await changesTo(1, ['A', 'B'])
    proxy.release()
    t.same((await missing).segments, ['A'])
    t.same(await lookUp(3), ['A', 'B'])
    t.ok(requests() >= 3)
    await lookUp(1)
    const asked = requests()
    await lookUp(2)
    t.equal(requests(), asked + 1, 'the least recently used user has been forgotten')
  })

  t.test('while the service is away, it answers what was known', async (t) => {
    await lookUp(1)
    await lookUp(2)
    proxy.moveTo(nowhere)
    await writer.deleteSegment('B')
    const { age } = await cache.getUserSegments(1)
    t.same(await lookUp(1), ['A', 'B'])
    await t.rejects(cache.getUserSegments(9), { code: 'CONNECTION_FAILED' })
    await waitUntil(
      async () => (await cache.getUserSegments(1)).age,
      (later) => later > age + 500
    )
    proxy.moveTo(address)
    await changesTo(1, ['A'])
    await changesTo(2, [])
    await writer.changeUserSegments(1, { segments_to_add: [{ slug: 'A', ttl_seconds: 2 }] })
    await changesTo(1, [])
    t.match((await writer.getUserMemberships(1)).length, 0)
    await writer.eraseUser(2)
    await waitUntil(
      async () => cache.getUserSegments(2).catch(catchError),
      (error) => error instanceof Error
    )
  })
})
