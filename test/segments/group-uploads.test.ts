/** Exclusive groups: uploads, enrollment of new users, and filling in the background. */
import t from 'tap'
import { continueAssignment } from '../../src/segments/filling-queries.ts'
import { changed, learnUsers, members, ok, outline } from '../support/members.ts'
import { createDatabase, shareService, startServiceOn, type TestService } from '../support/service.ts'
import { JSON_ARRAY, upload } from '../support/uploads.ts'

const emptyService = await shareService(t)

/** A service with the group G. */
async function serviceWithGroup(users = 0): Promise<TestService> {
  const service = await emptyService()
  await learnUsers(service, users)
  await service.post('/api/v1/groups', { slug: 'G' })
  return service
}

const create = (service: TestService, body: object, headers = {}) =>
  service.post('/api/v1/segment', body, headers)

const lines = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, n) => `${first + n}\n`).join('')

const reason = 'is in segment (A) of the same group'

t.test('an upload rejects lines whose user is in another segment of the group', async (t) => {
  const service = await serviceWithGroup()
  for (const slug of ['A', 'B']) await create(service, { slug, group: 'G' })
  for (const user of [2, 4]) await service.changeSegments(user, ['A'])
  await service.changeSegments(3, ['B'])
  const rejected = {
    count: 3,
    first: [
      { line: 2, value: '2', reason },
      { line: 4, value: '4', reason },
      { line: 6, value: '2', reason }
    ]
  }
  const account = { lines: 6, added: 2, already_members: 1, new_users: 2, rejected }
  const body = '1\n2\n3\n4\n5\n2\n'
  t.same(await upload(service, 'segment/B/users', body), {
    status: 400,
    body: {
      message: `nothing has changed, as lines were rejected: 3 of 6, line 2 (2) ${reason}`,
      code: 'LINES_REJECTED',
      ...account
    }
  })
  t.same(await members(service, 'B'), new Set(['3']))
  t.same(await upload(service, 'segment/B/users', body, { query: '?dry_run=true' }), {
    status: 200,
    body: account
  })
  t.same(await members(service, 'B'), new Set(['3']))
  t.same(await upload(service, 'segment/B/users', body, { query: '?on_error=skip' }), {
    status: 200,
    body: account
  })
  t.same(await members(service, 'B'), new Set(['1', '3', '5']))
  t.same(await members(service, 'A'), new Set(['2', '4']))
})

t.test('a line counts once: with an expiry that has passed, or with a user of another segment', async (t) => {
  const service = await serviceWithGroup()
  for (const slug of ['A', 'B']) await create(service, { slug, group: 'G' })
  await service.changeSegments(2, ['A'])
  const body = JSON.stringify([
    1,
    { user_id: 2, expires_at: '2020-01-01T00:00:00Z' },
    { user_id: 2, expires_at: '2100-01-01T00:00:00Z' },
    'two',
    { user_id: 3, expires_at: '2100-01-01T00:00:00Z' }
  ])
  const { body: account } = await upload(service, 'segment/B/users', body, {
    type: JSON_ARRAY,
    query: '?on_error=skip'
  })
  t.match(account, { lines: 5, added: 2, already_members: 0, new_users: 2, rejected: { count: 3 } })
  t.match((account as { rejected: { first: object[] } }).rejected.first, [
    { line: 2, reason: 'has passed' },
    { line: 3, value: '2', reason },
    { line: 4, value: 'two' }
  ])
})

t.test('an upload to a holdout is refused, and one that removes users is not', async (t) => {
  const service = await serviceWithGroup(10)
  await create(service, { slug: 'H', group: 'G', selection: 1, holdout: true })
  t.equal((await upload(service, 'segment/H/users', '1\n')).code, 'SEGMENT_IS_HOLDOUT')
  t.match(await upload(service, 'segment/H/users', '1\n2\n', { method: 'DELETE' }), { body: { removed: 2 } })
})

t.test('users who become known are enrolled into at most one segment of a group, by its share', async (t) => {
  const service = await serviceWithGroup()
  const NEW = 20_000
  await create(service, { slug: 'A', group: 'G', selection: 0.5, enroll_new_users: true })
  await create(service, { slug: 'B', group: 'G', selection: 0.3, enroll_new_users: true })
  await create(service, { slug: 'H', group: 'G', selection: 0.1, enroll_new_users: true, holdout: true })
  await create(service, { slug: 'OTHER', selection: 0.5, enroll_new_users: true })
  t.match(await upload(service, 'users', lines(1, NEW)), { body: { new_users: NEW } })
  const overlaps = await service.sql`
    select user_id from memberships join segments on segments.id = segment_id
    where group_id is not null group by user_id having count(*) > 1`
  t.same(overlaps, [])
  const count = async (slug: string) => (await service.getSegment(slug)).json<{ members: number }>().members
  for (const [slug, share] of Object.entries({ A: 0.5, B: 0.3, H: 0.1, OTHER: 0.5 })) {
    // Six standard deviations: fails once in 500 million times.
    const tolerance = 6 * Math.sqrt(NEW * share * (1 - share))
    const size = await count(slug)
    t.ok(Math.abs(size - NEW * share) < tolerance, `${slug}: ${size} of ${NEW}`)
  }
  const [both] = await service.sql<[{ users: number }]>`
    select count(*)::integer as users
    from memberships a join memberships o using (user_id)
    where a.segment_id = 1 and o.segment_id = (select id from segments where slug = 'OTHER')`
  t.ok(
    Math.abs(both.users - NEW / 4) < 6 * Math.sqrt(NEW * 0.25 * 0.75),
    'other segments have a draw of their own'
  )
})

t.test('a user who becomes known by name is enrolled into at most one segment of a group', async (t) => {
  const service = await serviceWithGroup()
  await create(service, { slug: 'A', group: 'G', selection: 0.6, enroll_new_users: true })
  await create(service, { slug: 'B', group: 'G', selection: 0.4, enroll_new_users: true })
  await create(service, { slug: 'C', group: 'G' })
  for (let user = 1; user <= 40; user += 1) {
    await service.changeSegments(user)
    t.match(
      (await service.getSegments(user)).body,
      [/^[AB]$/],
      'the shares together are 1, so in exactly one'
    )
  }
  t.same(await service.changeSegments(100, ['C']), ok)
  t.same(await outline(service, 100), [['C', 'add', 'request']], 'not into others of a group that is named')
  await upload(service, 'segment/C/users', lines(101, 140))
  t.equal((await members(service, 'C')).size, 41)
  t.same((await service.get('/api/v1/groups/G')).json<{ free_users: number }>().free_users, 0)
})

t.test('one draw enrolls a new user into a group, in whatever order the tables are joined', async (t) => {
  const database = await createDatabase(t)
  // Nested loops read one side of the join again for each row of the other.
  const name = new URL(database.url).pathname.slice(1)
  for (const setting of ['enable_hashjoin', 'enable_mergejoin', 'enable_material', 'enable_memoize'])
    await database.sql.unsafe(`alter database ${name} set ${setting} = off`)
  const service = await startServiceOn(t, database)
  await service.post('/api/v1/groups', { slug: 'G' })
  for (const slug of ['A', 'B'])
    await create(service, { slug, group: 'G', selection: 0.5, enroll_new_users: true })
  // The planner chooses the order of the join by the statistics.
  for (const first of [0, 1_000]) {
    await upload(service, 'users', lines(first + 1, first + 100))
    for (let user = first + 101; user <= first + 140; user += 1) await service.changeSegments(user)
    t.same(
      await service.sql`
        select user_id from users left join memberships on user_id = id group by id, user_id having count(user_id) <> 1`,
      []
    )
    await service.sql`analyze`
  }
})

t.test('the shares of new users in a group are at most 1 together', async (t) => {
  const service = await serviceWithGroup()
  await create(service, { slug: 'A', group: 'G', selection: 0.6, enroll_new_users: true })
  const refused = (share: string) => ({
    status: 409,
    body: {
      message: `the segments of group (G) cannot enroll new users with shares of ${share} together: at most 1`,
      code: 'GROUP_EXHAUSTED'
    }
  })
  t.same(
    await create(service, { slug: 'B', group: 'G', selection: 0.5, enroll_new_users: true }),
    refused('1.1')
  )
  t.same(await create(service, { slug: 'B', group: 'G', selection: 0.5 }), ok)
  t.same(await service.patchSegment('B', { enroll_new_users: true }), refused('1.1'))
  t.same(await service.patchSegment('B', { enroll_new_users: true, selection: 0.4 }), changed(0, 0))
  t.same(await service.patchSegment('B', { selection: 0.41 }), refused('1.01'))
  await create(service, { slug: 'C', selection: 0.1, enroll_new_users: true })
  t.same(await service.patchSegment('C', { group: 'G' }), refused('1.1'))
})

t.test('a segment of a group is filled in the background at one moment, exactly', async (t) => {
  const service = await serviceWithGroup(100)
  await service.app.backgroundJobs.assignments.stop()
  await create(service, { slug: 'A', group: 'G', selection: 0.3 })
  const later = { prefer: 'respond-async' }
  t.equal((await create(service, { slug: 'B', group: 'G', selection: 0.5 }, later)).status, 202)
  t.match((await service.getSegment('B')).body, { members: 0, assignment: { status: 'queued', target: 50 } })
  t.match((await service.get('/api/v1/groups/G')).body, { members: 30, free_users: 20 })
  t.match(await create(service, { slug: 'C', group: 'G', selection: 0.3 }), {
    status: 409,
    body: { free_users: 20 }
  })
  t.match(await create(service, { slug: 'C', group: 'G', selection: 0.3 }, later), { status: 409 })
  for (const change of [{ group: null }, { selection: 0.1 }])
    t.equal((await service.patchSegment('B', change)).code, 'SEGMENT_BEING_FILLED')

  // Meanwhile users join segments of the group by name, or are removed from the one that is to be filled.
  const inA = await members(service, 'A')
  const others = Array.from({ length: 100 }, (_, n) => String(n + 1)).filter((id) => !inA.has(id))
  for (const id of others.slice(0, 5)) await service.changeSegments(id, ['A'])
  for (const id of others.slice(5, 10)) await service.changeSegments(id, ['B'])
  for (const id of others.slice(10, 15)) await service.changeSegments(id, [], ['B'])

  t.ok(await continueAssignment(service.app.bulk, 10))
  t.match((await service.getSegment('B')).body, {
    members: 55,
    assignment: { status: 'done', assigned: 50, target: 50 }
  })
  const [a, b] = [await members(service, 'A'), await members(service, 'B')]
  t.ok(a.isDisjointFrom(b))
  t.ok(b.isDisjointFrom(new Set(others.slice(10, 15))), 'who was removed by name is not sampled')
  t.equal(await continueAssignment(service.app.bulk, 10), undefined)
  t.match((await service.get('/api/v1/segment/B/history')).body, {
    entries: [{ operation: 'created' }, { operation: 'filled', added: 50 }]
  })
})

t.test(
  'filling fails if too few users are free any more, and the share can be asked for again',
  async (t) => {
    const service = await serviceWithGroup(10)
    await service.app.backgroundJobs.assignments.stop()
    await create(service, { slug: 'A', group: 'G' })
    await create(service, { slug: 'B', group: 'G', selection: 0.5 }, { prefer: 'respond-async' })
    for (let user = 1; user <= 6; user += 1) await service.changeSegments(user, ['A'])
    for (let attempt = 1; attempt <= 5; attempt += 1) {
      await service.sql`update assignments set run_at = now()`
      t.match(await continueAssignment(service.app.bulk, 10), {
        attempt,
        error: '5 users are needed, but only 4 are free in the group'
      })
    }
    t.match((await service.getSegment('B')).body, { members: 0, assignment: { status: 'failed' } })
    await service.changeSegments(6, [], ['A'])
    t.same(await service.patchSegment('B', { selection: 0.5 }), changed(5, 0))
  }
)

t.test('a segment whose group is deleted before it is filled is filled from all users', async (t) => {
  const service = await serviceWithGroup(10)
  await service.app.backgroundJobs.assignments.stop()
  await create(service, { slug: 'A', group: 'G', selection: 0.5 })
  await create(service, { slug: 'B', group: 'G', selection: 0.5 }, { prefer: 'respond-async' })
  await service.request({ method: 'DELETE', url: '/api/v1/groups/G' })
  while (await continueAssignment(service.app.bulk, 3));
  t.match((await service.getSegment('B')).body, { members: 5, assignment: { status: 'done' } })
})
