import t from 'tap'
import { randomFrom } from '../soak/form.ts'
import { members, ok } from '../support/members.ts'
import { shareService, type TestService, waitUntil } from '../support/service.ts'

const emptyService = await shareService(t)

type Overlaps = {
  segments: { slug: string; members: number }[]
  overlaps: { segments: [string, string]; users: number }[]
  as_of: string
}

const overlapsOf = async (service: TestService, query = '', group = 'G') =>
  (await service.get(`/api/v1/groups/${group}/overlap${query}`)).body as Overlaps

/** What the service should answer, by the lists of the members. */
async function compareLists(service: TestService, slugs: string[]): Promise<Omit<Overlaps, 'as_of'>> {
  const lists = await Promise.all(slugs.map(async (slug) => ({ slug, users: await members(service, slug) })))
  return {
    segments: lists.map(({ slug, users }) => ({ slug, members: users.size })),
    overlaps: lists.flatMap((one, index) =>
      lists.slice(index + 1).map((other) => ({
        segments: [one.slug, other.slug] as [string, string],
        users: one.users.intersection(other.users).size
      }))
    )
  }
}

t.test('overlaps are those of the lists of members', async (t) => {
  const service = await emptyService()
  const random = randomFrom(20_261_128)
  await service.post('/api/v1/groups', { slug: 'G' })
  const slugs = Array.from({ length: 9 }, (_, n) => `S_${n}`)
  for (const slug of [...slugs, 'EMPTY', 'DELETED']) await service.createSegment(slug)
  // Random periods, of which some have ended, some have expired, and some will expire.
  for (let userId = 1; userId <= 120; userId += 1) {
    const add = [...slugs, 'DELETED'].filter(() => random() < 0.4)
    if (add.length === 0) continue
    const later = random() < 0.3 && { ttl_seconds: 3_600 }
    t.same(await service.post(`/api/v1/segments/user/${userId}`, { segments_to_add: add, ...later }), ok)
    const remove = add.filter(() => random() < 0.2)
    await service.post(`/api/v1/segments/user/${userId}`, { segments_to_delete: remove })
    const again = remove.filter(() => random() < 0.5)
    await service.post(`/api/v1/segments/user/${userId}`, { segments_to_add: again })
  }
  await service.sql`
    update memberships
    set added_at = now() - interval '2 hours', expires_at = now() - interval '1 hour'
    where removed_at is null and (user_id * 7 + segment_id) % 5 = 0`
  // Its periods stay open for a while.
  await Promise.all(Object.values(service.app.backgroundJobs).map((job) => job.stop()))
  await service.deleteSegment('DELETED')
  t.ok((await service.sql`select from memberships where segment_id = 11 and removed_at is null`).length > 20)

  const named = ['S_3', 'EMPTY', 'S_0', ...slugs.filter((slug) => slug !== 'S_3' && slug !== 'S_0')]
  const { as_of, ...answer } = await overlapsOf(service, `?segments=${named.join().toLowerCase()}`)
  t.same(answer, await compareLists(service, named), 'in the order they are named')
  t.equal(answer.overlaps.length, 45)
  const counts = answer.overlaps.map(({ users }) => users)
  t.ok(counts.filter((users) => users > 2).length > 25, `${counts}`)
  t.equal(counts.filter((users) => users === 0).length, 9, 'with the empty segment')
  t.match(as_of, /^\d{4}-.*T.*\.\d{6}Z$/)
  t.same((await overlapsOf(service, '?segments=S_1')).overlaps, [], 'one segment has no pair')
})

t.test('the segments of a group share no user', async (t) => {
  const service = await emptyService()
  await service.sql`insert into users (id) select generate_series(1, 200)`
  await service.post('/api/v1/groups', { slug: 'G' })
  const none = await overlapsOf(service, '', 'g')
  t.same([none.segments, none.overlaps], [[], []])
  for (const slug of ['Z', 'A', 'B'])
    await service.post('/api/v1/segment', { slug, group: 'G', selection: 0.25 })
  await service.createSegment('OTHER', 0.5)
  const inGroup = await overlapsOf(service)
  t.same(
    inGroup.segments,
    ['Z', 'A', 'B'].map((slug) => ({ slug, members: 50 }))
  )
  t.same(inGroup.overlaps, [
    { segments: ['Z', 'A'], users: 0 },
    { segments: ['Z', 'B'], users: 0 },
    { segments: ['A', 'B'], users: 0 }
  ])
  const { as_of: _, ...mixed } = await overlapsOf(service, '?segments=OTHER,A,B,Z')
  t.same(mixed, await compareLists(service, ['OTHER', 'A', 'B', 'Z']), 'segments of the group and others')

  // A fault of the database, which the service cannot make.
  await service.sql`
    insert into memberships (user_id, segment_id)
    select user_id, (select id from segments where slug = 'B') from memberships where segment_id = 2 limit 3`
  t.same((await overlapsOf(service)).overlaps[2], { segments: ['A', 'B'], users: 3 }, 'it would be seen')

  await service.deleteSegment('A')
  t.same(
    (await overlapsOf(service)).segments.map(({ slug }) => slug),
    ['Z', 'B']
  )
})

t.test('what cannot be compared is refused', async (t) => {
  const service = await emptyService()
  await service.post('/api/v1/groups', { slug: 'G' })
  for (const slug of ['A', 'B', 'GONE']) await service.createSegment(slug)
  await service.deleteSegment('GONE')
  const get = (query: string, group = 'g') => service.get(`/api/v1/groups/${group}/overlap${query}`)
  t.same(await get('?segments=a,gone,nowhere,b'), {
    status: 404,
    body: {
      message: 'some segments not found',
      code: 'SEGMENTS_NOT_FOUND',
      segments: ['GONE', 'NOWHERE']
    }
  })
  t.same(await get('?segments=A,B,a'), {
    status: 400,
    body: { message: 'segment with slug (A) appears more than once in the request', code: 'DUPLICATE_SLUG' }
  })
  const notFound = {
    status: 404,
    body: { message: 'group with slug (NOWHERE) not found', code: 'GROUP_NOT_FOUND' }
  }
  t.same(await get('', 'nowhere'), notFound)
  t.same(await get('?segments=A,B', 'nowhere'), notFound)
  const message = 'query parameter (segments) must be up to 50 slugs, separated by commas'
  const many = (count: number) => `?segments=${Array.from({ length: count }, (_, n) => `N_${n}`).join()}`
  for (const query of ['?segments=', '?segments=A,', '?segments=,A', '?segments=A,,B', many(51)])
    t.match(await get(query), { status: 400, body: { code: 'INVALID_REQUEST' } }, query.slice(0, 30))
  t.match(await get(many(51)), { body: { message } })
  t.match(await get(many(50)), { status: 404, body: { segments: { length: 50 } } })
  await service.request({ method: 'DELETE', url: '/api/v1/groups/G' })
  t.equal((await get('')).status, 404, 'a deleted group has no segments')
})

t.test('all counts are of one moment', async (t) => {
  const service = await emptyService()
  await service.post('/api/v1/groups', { slug: 'G' })
  for (const slug of ['A', 'B']) await service.post('/api/v1/segment', { slug, group: 'G' })
  const users = Array.from({ length: 20 }, (_, n) => n + 1)
  for (const userId of users) await service.changeSegments(userId, ['A'])
  let isDone = false
  // Each change moves a user from one segment to the other.
  const moving = (async () => {
    for (let n = 0; !isDone; n += 1) {
      const slug = Math.floor(n / users.length) % 2 === 0 ? 'B' : 'A'
      await service.post(`/api/v1/segments/user/${users[n % users.length]}`, {
        segments_to_add: [slug],
        move: true
      })
    }
  })()
  const seen = new Set<number>()
  await waitUntil(
    async () => {
      const { segments, overlaps } = await overlapsOf(service)
      const [inA = 0, inB = 0] = segments.map(({ members }) => members)
      t.same([inA + inB, overlaps[0]?.users], [users.length, 0])
      seen.add(inA)
    },
    () => seen.size > 5
  )
  isDone = true
  await moving
})
