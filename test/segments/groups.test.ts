import t from 'tap'
import { readAllChanges } from '../support/feed.ts'
import { countBlocked } from '../support/locks.ts'
import { changed, learnUsers, members, ok, outline } from '../support/members.ts'
import { moved } from '../support/periods.ts'
import { shareService, type TestService, waitUntil } from '../support/service.ts'

const emptyService = await shareService(t)

/** A service with the group G. */
async function serviceWithGroup(users = 0): Promise<TestService> {
  const service = await emptyService()
  await learnUsers(service, users)
  t.same(await service.post('/api/v1/groups', { slug: 'g' }), ok)
  return service
}

const create = (service: TestService, body: object, headers = {}) =>
  service.post('/api/v1/segment', body, headers)

const change = (service: TestService, userId: number, body: object) =>
  service.post(`/api/v1/segments/user/${userId}`, body)

const getGroup = async (service: TestService, slug = 'G') =>
  (await service.get(`/api/v1/groups/${slug}`)).body as Record<string, unknown>

const conflict = (userId: number, segment: string, other_segment: string) => ({
  status: 409,
  body: {
    message: `user with id (${userId}) cannot be in segments (${segment}) and (${other_segment}), which are both in group (G)`,
    code: 'GROUP_CONFLICT',
    segment,
    other_segment,
    group: 'G'
  }
})

t.test('a group is created, read and listed, and its slug is never reused', async (t) => {
  const service = await emptyService()
  const body = { slug: 'checkout', description: 'Which checkout sells more' }
  t.same(await service.post('/api/v1/groups', body), ok)
  const exists = {
    status: 409,
    body: { message: 'group with slug (CHECKOUT) already exists', code: 'GROUP_ALREADY_EXISTS' }
  }
  t.same(await service.post('/api/v1/groups', body), exists)
  t.same(await service.createSegment('Checkout'), exists, 'not by a segment either')
  await service.createSegment('A')
  t.same(await service.post('/api/v1/groups', { slug: 'a' }), {
    status: 409,
    body: { message: 'segment with slug (A) already exists', code: 'SEGMENT_ALREADY_EXISTS' }
  })
  const group = {
    slug: 'CHECKOUT',
    description: 'Which checkout sells more',
    created_by: null
  }
  const { created_at, ...report } = await getGroup(service, 'checkout')
  t.same(report, {
    ...group,
    deleted_at: null,
    deleted_by: null,
    users: 0,
    members: 0,
    free_users: 0,
    segments: []
  })
  await create(service, { slug: 'B', group: 'checkout' })
  t.same((await service.get('/api/v1/groups')).body, {
    groups: [{ ...group, created_at, segments: ['B'] }],
    next_cursor: null
  })
  t.same(await service.request({ method: 'DELETE', url: '/api/v1/groups/checkout' }), ok)
  const notFound = {
    status: 404,
    body: { message: 'group with slug (CHECKOUT) not found', code: 'GROUP_NOT_FOUND' }
  }
  t.same(await service.request({ method: 'DELETE', url: '/api/v1/groups/checkout' }), notFound)
  t.same(await create(service, { slug: 'C', group: 'checkout' }), notFound)
  t.same((await service.get('/api/v1/groups')).body, { groups: [], next_cursor: null })
  const deleted = await getGroup(service, 'checkout')
  t.match(deleted, { deleted_at: String, segments: [] })
  const { deleted_at } = deleted
  t.match(await service.post('/api/v1/groups', body), { status: 409, body: { deleted_at } })
  t.match((await service.getSegment('B')).body, { group: null })
  t.equal((await service.get('/api/v1/groups/nowhere')).code, 'GROUP_NOT_FOUND')
})

t.test('groups are listed page by page', async (t) => {
  const service = await emptyService()
  for (const slug of ['B', 'A', 'C']) await service.post('/api/v1/groups', { slug })
  const first = (await service.get('/api/v1/groups?limit=2')).json<{
    groups: { slug: string }[]
    next_cursor: string
  }>()
  t.match(first.groups, [{ slug: 'A' }, { slug: 'B' }])
  const { body } = await service.get(`/api/v1/groups?limit=2&cursor=${first.next_cursor}`)
  t.match(body, { groups: [{ slug: 'C' }], next_cursor: null })
})

t.test('shares are of all users, and sampled from those who are free', async (t) => {
  const service = await serviceWithGroup(100)
  t.same(await create(service, { slug: 'A', group: 'G', selection: 0.3 }), ok)
  t.same(await create(service, { slug: 'B', group: 'g', selection: 0.505 }), ok)
  const [a, b] = [await members(service, 'A'), await members(service, 'B')]
  t.same([a.size, b.size], [30, 51])
  t.ok(a.isDisjointFrom(b))
  t.same(await create(service, { slug: 'C', group: 'G', selection: 0.2 }), {
    status: 409,
    body: {
      message: '20 more users are needed, but only 19 are free in group (G)',
      code: 'GROUP_EXHAUSTED',
      free_users: 19
    }
  })
  t.equal((await service.getSegment('C')).status, 404, 'nothing has been created')
  t.same(await create(service, { slug: 'C', group: 'G', selection: 0.19, holdout: true }), ok)
  t.match((await service.getSegment('C')).body, { group: 'G', holdout: true, members: 19 })
  const { segments, ...report } = await getGroup(service)
  t.match(report, { users: 100, members: 100, free_users: 0 })
  t.match(segments, [
    { slug: 'A', selection: 0.3, members: 30, holdout: false },
    { slug: 'B', members: 51 },
    { slug: 'C', members: 19, holdout: true, assignment: { status: 'done', assigned: 19, target: 19 } }
  ])
})

t.test('a share is raised by users who are free, and lowering it frees users', async (t) => {
  const service = await serviceWithGroup(100)
  await create(service, { slug: 'A', group: 'G', selection: 0.3 })
  await create(service, { slug: 'B', group: 'G', selection: 0.3 })
  t.same(await service.patchSegment('B', { selection: 0.6 }), changed(30, 0))
  t.match(await service.patchSegment('B', { selection: 0.71 }), {
    status: 409,
    body: { code: 'GROUP_EXHAUSTED', free_users: 10 }
  })
  t.match((await service.getSegment('B')).body, { selection: 0.6, members: 60 })
  t.same(await service.patchSegment('A', { selection: 0.2 }), changed(0, 10))
  t.same(await service.patchSegment('B', { selection: 0.71 }), changed(11, 0))
  t.ok((await members(service, 'A')).isDisjointFrom(await members(service, 'B')))

  // Users who were removed from a segment by name are free, but it does not sample them again.
  await service.patchSegment('A', { selection: 0.29 })
  const [removed] = await members(service, 'A')
  await service.changeSegments(Number(removed), [], ['A'])
  t.match(await service.patchSegment('A', { selection: 0.29 }), { status: 409, body: { free_users: 0 } })
  t.same(await service.patchSegment('B', { selection: 0.72 }), changed(1, 0))
})

t.test('users whose membership has expired, and those of deleted segments, are free', async (t) => {
  const service = await serviceWithGroup(3)
  for (const slug of ['A', 'B', 'C']) await create(service, { slug, group: 'G' })
  await change(service, 1, { segments_to_add: ['A'], ttl_seconds: 3600 })
  await service.changeSegments(2, ['B'])
  t.match(await getGroup(service), { members: 2, free_users: 1 })
  await service.sql`update memberships set added_at = ${moved(service.sql, 'added_at', '-2 hours')}, expires_at = ${moved(service.sql, 'expires_at', '-2 hours')}`
  await service.deleteSegment('B')
  t.match(await getGroup(service), { members: 0, free_users: 3, segments: [{ slug: 'A' }, { slug: 'C' }] })
  t.same(await service.changeSegments(1, ['C']), ok)
  t.same(await service.changeSegments(2, ['C']), ok)
  t.same(await create(service, { slug: 'D', group: 'G', selection: 0.34 }), {
    status: 409,
    body: {
      message: '2 more users are needed, but only 1 are free in group (G)',
      code: 'GROUP_EXHAUSTED',
      free_users: 1
    }
  })
})

t.test('a user is added by name to one segment of a group only', async (t) => {
  const service = await serviceWithGroup()
  for (const slug of ['A', 'B']) await create(service, { slug, group: 'G' })
  await service.createSegment('OTHER')
  t.same(await service.changeSegments(1, ['A', 'B']), conflict(1, 'A', 'B'), 'not two at once')
  t.equal((await service.getSegments(1)).status, 404, 'nothing has changed')
  t.same(await service.changeSegments(1, ['A', 'OTHER']), ok)
  t.same(await service.changeSegments(1, ['B', 'OTHER']), conflict(1, 'B', 'A'))
  t.same(await service.changeSegments(1, ['A']), ok, 'the one with the user is no conflict')
  t.same(await service.changeSegments(1, ['B'], ['A']), ok, 'leaving the other one is none either')
  t.same((await service.getSegments(1)).body, ['B', 'OTHER'])
})

t.test('with `move` the user leaves the other segment at the same moment', async (t) => {
  const service = await serviceWithGroup()
  for (const slug of ['A', 'B', 'C']) await create(service, { slug, group: 'G' })
  await service.changeSegments(1, ['A'])
  t.same(await change(service, 1, { segments_to_add: ['B'], move: true }), ok)
  t.same(await outline(service, 1), [
    ['A', 'add', 'request'],
    ['A', 'delete', 'request'],
    ['B', 'add', 'request']
  ])
  const { changes } = await readAllChanges(service, 'start', '&user_id=1')
  t.same(
    changes.map(({ type, slug }) => [type, slug]),
    [
      ['membership_added', 'A'],
      ['membership_removed', 'A'],
      ['membership_added', 'B']
    ]
  )
  t.equal(changes[1]?.time, changes[2]?.time)
  t.same(await change(service, 1, { segments_to_add: ['B', 'C'], move: true }), conflict(1, 'B', 'C'))
  t.same(
    await change(service, 2, { segments_to_add: ['C'], move: true }),
    ok,
    'without another one, it has no effect'
  )
})

t.test('nobody is added to a holdout by name', async (t) => {
  const service = await serviceWithGroup(10)
  t.match(await create(service, { slug: 'H', selection: 0.5, holdout: true }), {
    status: 400,
    body: { message: 'body field (holdout) needs a group' }
  })
  await create(service, { slug: 'H', group: 'G', selection: 0.5, holdout: true })
  await create(service, { slug: 'A', group: 'G' })
  t.equal((await members(service, 'H')).size, 5)
  const refused = {
    status: 409,
    body: {
      message: 'segment with slug (H) is a holdout: users join it only by sampling and enrollment',
      code: 'SEGMENT_IS_HOLDOUT'
    }
  }
  t.same(await service.changeSegments(99, ['H']), refused)
  const [member] = await members(service, 'H')
  t.same(await service.changeSegments(Number(member), ['A']), conflict(Number(member), 'A', 'H'))
  t.same(await change(service, Number(member), { segments_to_add: ['A'], move: true }), ok)
  t.same(await service.patchSegment('H', { holdout: false }), changed(0, 0))
  t.same(await service.changeSegments(99, ['H']), ok)
  t.same(await service.patchSegment('H', { holdout: true }), changed(0, 0))
  t.same(await service.patchSegment('H', { group: null }), changed(0, 0))
  t.match((await service.getSegment('H')).body, { group: null, holdout: false })
  t.match(await service.patchSegment('H', { holdout: true }), { status: 400 })
})

t.test('a segment enters a group if no user would be in two of its segments, and leaves it', async (t) => {
  const service = await serviceWithGroup(10)
  await create(service, { slug: 'A', group: 'G' })
  await service.createSegment('B')
  for (const user of [1, 2]) await service.changeSegments(user, ['A', 'B'])
  await service.changeSegments(3, ['B'])
  t.same(await service.patchSegment('B', { group: 'g' }), {
    status: 409,
    body: {
      message: 'segment with slug (B) has 2 users who are in another segment of group (G)',
      code: 'GROUP_CONFLICT',
      users: 2
    }
  })
  for (const user of [1, 2]) await service.changeSegments(user, [], ['A'])
  t.same(await service.patchSegment('B', { group: 'g', selection: 0.7 }), changed(7, 0))
  t.same(await service.changeSegments(3, ['A']), conflict(3, 'A', 'B'))
  t.match(await service.patchSegment('B', { group: 'nowhere' }), {
    status: 404,
    body: { code: 'GROUP_NOT_FOUND' }
  })
  t.same(await service.patchSegment('B', { group: 'G', description: 'the same' }), changed(0, 0))
  t.same(await service.patchSegment('B', { group: null }), changed(0, 0))
  t.same(await service.changeSegments(3, ['A']), ok)

  const changes = [
    { selection: { from: null, to: 0.7 }, group: { from: null, to: 'G' } },
    { description: { from: null, to: 'the same' } },
    { group: { from: 'G', to: null } }
  ]
  const { body } = await service.get('/api/v1/segment/B/history')
  t.same(
    (body as { entries: { changes: object }[] }).entries.slice(1).map((entry) => entry.changes),
    changes
  )
  const feed = (await readAllChanges(service, 'start', '&segment=B')).changes
  t.same(
    feed.filter(({ type }) => type === 'segment_changed').map((entry) => entry.changes),
    changes
  )
})

t.test('the deletion of a group is in the history of its segments', async (t) => {
  const service = await serviceWithGroup(10)
  await create(service, { slug: 'A', group: 'G', holdout: true, selection: 0.5 })
  await create(service, { slug: 'B', group: 'G' })
  await service.request({ method: 'DELETE', url: '/api/v1/groups/G' })
  const entriesOf = async (slug: string) => {
    const { body } = await service.get(`/api/v1/segment/${slug}/history`)
    return (body as { entries: { changes: object }[] }).entries.map(({ changes }) => changes)
  }
  t.same((await entriesOf('A'))[0], {
    selection: { from: null, to: 0.5 },
    group: { from: null, to: 'G' },
    holdout: { from: null, to: true }
  })
  t.same((await entriesOf('A'))[1], { group: { from: 'G', to: null }, holdout: { from: true, to: false } })
  t.same((await entriesOf('B'))[1], { group: { from: 'G', to: null } })
  const [member] = await members(service, 'A')
  t.same(await service.changeSegments(Number(member), ['A', 'B']), ok)
})

t.test(
  'a user whom an import enrolls at the same moment is not added to another segment of the group',
  async (t) => {
    const service = await serviceWithGroup()
    for (const slug of ['A', 'B']) await create(service, { slug, group: 'G' })
    const pending = await service.sql.begin(async (sql) => {
      await sql`insert into users (id) values (5)`
      await sql`insert into memberships (user_id, segment_id, added_cause) values (5, 1, 'enrollment')`
      const answer = service.changeSegments(5, ['B'])
      await waitUntil(
        () => countBlocked(service.database),
        (blocked) => blocked === 1
      )
      return { answer }
    })
    t.same(await pending.answer, conflict(5, 'B', 'A'))
  }
)

t.test('the clock of a server that is behind does not let periods in a group overlap', async (t) => {
  const service = await serviceWithGroup(10)
  for (const slug of ['A', 'B', 'C']) await create(service, { slug, group: 'G' })
  // As after a failover: what has happened is in the future.
  await service.changeSegments(1, ['A'])
  await service.changeSegments(1, [], ['A'])
  await service.changeSegments(2, ['A'])
  await service.sql`
    update memberships
    set added_at = ${moved(service.sql, 'added_at', '1 hour')}, removed_at = ${moved(service.sql, 'removed_at', '1 hour')}`
  await service.deleteSegment('C')
  await service.sql`update segments set deleted_at = ${moved(service.sql, 'deleted_at', '2 hours')} where slug = 'C'`
  t.same(await service.changeSegments(1, ['B']), ok)
  await service.changeSegments(2, [], ['A'])
  t.same(await create(service, { slug: 'D', group: 'G', selection: 0.9 }), ok)
  // Materialized, because Citus does not join the view with itself or with a table.
  const overlaps = await service.sql`
    with copied as materialized (select * from periods)
    select user_id from copied one join copied other using (user_id)
    where one.segment_id < other.segment_id
      and greatest(one.added_at, other.added_at) < least(coalesce(one.ended_at, 'infinity'), coalesce(other.ended_at, 'infinity'))`
  t.same(overlaps, [])
  const early = await service.sql`
    with copied as materialized (select * from periods)
    select from copied, segments c where c.slug = 'C' and copied.slug in ('B', 'D') and added_at < c.deleted_at`
  t.same(early, [])
})
