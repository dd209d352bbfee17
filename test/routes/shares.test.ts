import t from 'tap'
import { continueAssignment } from '../../src/routes/segments/queries.ts'
import { countBlocked } from '../support/locks.ts'
import { startService, type TestService, waitUntil } from '../support/service.ts'
import { upload } from '../support/uploads.ts'

type Entry = { slug: string; operation: string; cause: string }

const ok = { status: 200, body: '' }

async function learnUsers(service: TestService, count: number): Promise<void> {
  await service.sql`insert into users (id) select generate_series(1, ${count}::integer)`
}

async function members(service: TestService, slug: string): Promise<Set<string>> {
  const { body } = await service.get(`/api/v1/segment/${slug}/users?limit=1000`)
  return new Set((body as { users: { user_id: string }[] }).users.map(({ user_id }) => user_id))
}

async function outline(service: TestService, userId: string | number): Promise<string[][]> {
  const { body } = await service.get(`/api/v1/segments/user/${userId}/history`)
  return (body as { entries: Entry[] }).entries.map(({ slug, operation, cause }) => [slug, operation, cause])
}

const changed = (added: number, removed: number) => ({ status: 200, body: { added, removed } })

t.test('a share that is raised adds random users, and moves nobody', async (t) => {
  const service = await startService(t)
  await learnUsers(service, 1_000)
  await service.createSegment('A', 0.1)
  const before = await members(service, 'A')
  t.equal(before.size, 100)
  t.same(await service.patchSegment('a', { selection: 0.2505 }), changed(151, 0), 'exactly, rounded up')
  const after = await members(service, 'A')
  t.equal(after.size, 251)
  t.ok(before.isSubsetOf(after))
  const [added] = after.difference(before)
  t.same(await outline(service, String(added)), [['A', 'add', 'selection']])
  t.match((await service.getSegment('A')).body, { selection: 0.2505, members: 251 })
  t.same(await service.patchSegment('A', { selection: 0.2505 }), changed(0, 0), 'once more changes nothing')
  t.same(await service.patchSegment('A', { selection: 1 }), changed(749, 0))
  t.same(await service.patchSegment('A', { selection: 0 }), changed(0, 1_000))
  t.same(await members(service, 'A'), new Set())

  // Who is added is drawn: of 749 in a row, as ids are, nobody would guess so few.
  const ids = [...after.difference(before)].map(Number)
  const mean = ids.reduce((sum, id) => sum + id, 0) / ids.length
  t.ok(mean > 400 && mean < 600, `${mean}`)
})

t.test('a share that is lowered takes out random ones of those who came in by chance', async (t) => {
  const service = await startService(t)
  await learnUsers(service, 100)
  await service.createSegment('A', 0.5)
  const drawn = await members(service, 'A')
  const others = Array.from({ length: 100 }, (_, n) => String(n + 1)).filter((id) => !drawn.has(id))
  const byHand = new Set(others.slice(0, 20))
  for (const id of byHand) await service.changeSegments(id, ['A'])

  t.same(await service.patchSegment('A', { selection: 0.1 }), changed(0, 40))
  const left = await members(service, 'A')
  t.equal(left.size, 30)
  t.ok(byHand.isSubsetOf(left), 'whom a request put in stays')
  const [removed] = drawn.difference(left)
  t.same(await outline(service, String(removed)), [
    ['A', 'add', 'selection'],
    ['A', 'delete', 'selection_lowered']
  ])
  t.same(await service.patchSegment('A', { selection: 0 }), changed(0, 10))
  t.same(await members(service, 'A'), byHand)
  t.same(
    await service.patchSegment('A', { selection: 0.8 }),
    changed(80, 0),
    'who was taken out by chance may be back'
  )
  t.same((await members(service, 'A')).size, 100)
})

t.test('nobody leaves where a share is raised, however many have joined by luck', async (t) => {
  const service = await startService(t)
  await learnUsers(service, 100)
  await service.createSegment('A', 0.6)
  await service.sql`update segments set selection = 0.4`
  t.same(await service.patchSegment('A', { selection: 0.5 }), changed(0, 0))
  t.same(
    await service.patchSegment('A', { selection: 0.5 }),
    changed(0, 0),
    'nor where it is asked for again'
  )
  t.same(await service.patchSegment('A', { selection: 0.49 }), changed(0, 11))
})

t.test('what expires while a change of the share waits is no member', async (t) => {
  for (const [selection, outcome] of [
    [0.3, changed(0, 2)],
    [1, changed(5, 0)]
  ] as const) {
    const service = await startService(t)
    await learnUsers(service, 10)
    await service.createSegment('A', 1)
    for (let id = 1; id <= 5; id += 1)
      await service.post(`/api/v1/segments/user/${id}`, { segments_to_add: ['A'], ttl_seconds: 3600 })
    const holder = await service.sql.reserve()
    await holder`begin`
    await holder`select pg_advisory_xact_lock_shared(1, id) from segments`
    const answer = service.patchSegment('A', { selection })
    await waitUntil(
      () => countBlocked(service.database),
      (count) => count === 1
    )
    await holder`
    update memberships set expires_at = clock_timestamp() where expires_at is not null`
    await holder`commit`
    holder.release()
    t.same(await answer, outcome)
    t.equal((await members(service, 'A')).size, selection * 10)
  }
})

t.test('who was taken out by name is not put back', async (t) => {
  const service = await startService(t)
  await learnUsers(service, 100)
  await service.createSegment('A', 0.5)
  const gone = new Set([...(await members(service, 'A'))].slice(0, 10))
  const [first, ...others] = gone
  await service.changeSegments(Number(first), [], ['A'])
  await service.request({
    method: 'DELETE',
    url: '/api/v1/segment/A/users',
    headers: { 'content-type': 'text/csv' },
    body: others.join('\n')
  })
  t.same(await service.patchSegment('A', { selection: 1 }), changed(50, 0), 'all there are: ten too few')
  const all = await members(service, 'A')
  t.equal(all.size, 90)
  t.ok(all.isDisjointFrom(gone))
})

t.test('a share counts the users of now, and what has expired is no member', async (t) => {
  const service = await startService(t)
  await learnUsers(service, 10)
  await service.createSegment('A')
  await service.post('/api/v1/segments/user/1', { segments_to_add: ['A'], ttl_seconds: 60 })
  await service.sql`update memberships set added_at = added_at - interval '1 hour', expires_at = added_at - interval '1 minute'`
  t.same(await service.patchSegment('A', { selection: 1 }), changed(10, 0))
  t.same(await outline(service, 1), [
    ['A', 'add', 'request'],
    ['A', 'delete', 'expiry'],
    ['A', 'add', 'selection']
  ])
  await service.sql`insert into users (id) select generate_series(11, 20)`
  t.same(await service.patchSegment('A', { selection: 1 }), changed(10, 0))
})

t.test('a segment’s description and enrolling can be changed alone', async (t) => {
  const service = await startService(t)
  await service.post('/api/v1/segment', { slug: 'A', description: 'One “line”, ünïcode 🎯' })
  const plain = { description: 'One “line”, ünïcode 🎯', enroll_new_users: false, selection: null }
  t.match((await service.getSegment('A')).body, plain)
  t.same(await service.patchSegment('A', { description: 'Another' }), changed(0, 0))
  t.match((await service.getSegment('A')).body, { ...plain, description: 'Another' })
  t.same(await service.patchSegment('A', { selection: 0.5, enroll_new_users: true }), changed(0, 0))
  t.match((await service.getSegment('A')).body, {
    description: 'Another',
    enroll_new_users: true,
    selection: 0.5
  })
  t.same(await service.patchSegment('A', { description: null }), changed(0, 0))
  t.match((await service.getSegment('A')).body, { description: null, enroll_new_users: true, selection: 0.5 })
})

t.test('changes of a segment that make no sense are refused', async (t) => {
  const service = await startService(t)
  await service.createSegment('A')
  await service.createSegment('GONE')
  await service.deleteSegment('GONE')
  const cases: [string, object, number, string][] = [
    ['A', {}, 400, 'INVALID_REQUEST'],
    ['A', { selection: 1.1 }, 400, 'INVALID_REQUEST'],
    ['A', { selection: null }, 400, 'INVALID_REQUEST'],
    ['A', { slug: 'B' }, 400, 'INVALID_REQUEST'],
    ['A', { description: '' }, 400, 'INVALID_REQUEST'],
    ['A', { description: 'a\nb' }, 400, 'INVALID_REQUEST'],
    ['A', { description: '\u0000' }, 400, 'INVALID_REQUEST'],
    ['A', { description: '\ud800' }, 400, 'INVALID_REQUEST'],
    ['A', { description: 'x'.repeat(1_001) }, 400, 'INVALID_REQUEST'],
    ['A', { enroll_new_users: true }, 400, 'INVALID_REQUEST'],
    ['B', { selection: 1 }, 404, 'SEGMENT_NOT_FOUND'],
    ['GONE', { selection: 1 }, 404, 'SEGMENT_NOT_FOUND']
  ]
  for (const [slug, change, status, code] of cases)
    t.match(await service.patchSegment(slug, change), { status, body: { code } }, JSON.stringify(change))
  t.match(await service.post('/api/v1/segment', { slug: 'B', enroll_new_users: true }), {
    status: 400,
    body: { message: 'body field (enroll_new_users) needs a selection' }
  })
  t.match((await service.getSegment('B')).status, 404)
})

t.test('a segment that is being filled keeps its share until it is full', async (t) => {
  const service = await startService(t)
  await learnUsers(service, 10)
  await service.app.backgroundJobs.assignments.stop()
  const headers = { 'content-type': 'application/json', prefer: 'respond-async' }
  await service.request({
    method: 'POST',
    url: '/api/v1/segment',
    headers,
    body: '{"slug":"A","selection":0.5}'
  })
  t.match(await service.patchSegment('A', { selection: 1 }), {
    status: 409,
    body: { code: 'SEGMENT_BEING_FILLED' }
  })
  t.same(await service.patchSegment('A', { description: 'Its other properties don’t wait' }), changed(0, 0))
  t.match((await service.getSegment('A')).body, { selection: 0.5 })
})

t.test('a user who is first seen joins with the probability of the share, once and for all', async (t) => {
  const service = await startService(t)
  await service.post('/api/v1/segment', { slug: 'ALL', selection: 1, enroll_new_users: true })
  await service.post('/api/v1/segment', { slug: 'NONE', selection: 0, enroll_new_users: true })
  await service.post('/api/v1/segment', { slug: 'HALF', selection: 0.5, enroll_new_users: true })
  await service.post('/api/v1/segment', { slug: 'FIXED', selection: 1 })
  await service.createSegment('GONE', 1)
  await service.patchSegment('GONE', { enroll_new_users: true })
  await service.deleteSegment('GONE')
  const ids = Array.from({ length: 200 }, (_, n) => n + 1)
  for (const id of ids) t.same(await service.changeSegments(id), ok)
  t.equal((await members(service, 'ALL')).size, 200)
  t.equal((await members(service, 'NONE')).size, 0)
  t.equal((await members(service, 'FIXED')).size, 0)
  const half = await members(service, 'HALF')
  // Seven standard deviations.
  t.ok(half.size > 50 && half.size < 150, `${half.size}`)
  const [lucky] = half
  t.same(await outline(service, String(lucky)), [
    ['ALL', 'add', 'enrollment'],
    ['HALF', 'add', 'enrollment']
  ])
  const together = await service.sql`
    select from memberships group by user_id having count(distinct added_at) > 1`
  t.same(together, [], 'at the moment at which the user became known')

  for (const id of ids) await service.changeSegments(id)
  t.same(await members(service, 'HALF'), half, 'the outcome is kept')
  for (const id of ids) {
    const together = Array.from({ length: 4 }, () => service.changeSegments(id + ids.length))
    t.same(await Promise.all(together), [ok, ok, ok, ok], 'and is one, of several first requests')
  }
  const all = await members(service, 'HALF')
  t.ok(all.size - half.size > 50 && all.size - half.size < 150, `${all.size - half.size}`)
  await service.patchSegment('HALF', { enroll_new_users: false })
  await service.changeSegments(1_000)
  t.same(await service.getSegments(1_000), { status: 200, body: ['ALL'] })
})

t.test('what the first request says of an enrolling segment stands', async (t) => {
  const service = await startService(t)
  await service.post('/api/v1/segment', { slug: 'ALL', selection: 1, enroll_new_users: true })
  await service.changeSegments(1, [], ['ALL'])
  t.same(await service.getSegments(1), { status: 200, body: [] })
  await service.changeSegments(2, ['ALL'])
  t.same(await outline(service, 2), [['ALL', 'add', 'request']])
  t.equal((await service.changeSegments(3, ['UNKNOWN'])).status, 404)
  t.equal((await service.getSegments(3)).status, 404, 'and a request that is refused makes nobody known')
  const both = await Promise.all(Array.from({ length: 8 }, () => service.changeSegments(4)))
  t.ok(both.every(({ status }) => status === 200))
  t.same(
    await outline(service, 4),
    [['ALL', 'add', 'enrollment']],
    'once, however many first requests there are'
  )
})

t.test('everybody is known when a segment begins to enroll, or has a lot of their own', async (t) => {
  /** Does something while others wait for the lock; they began before it. */
  const takeEffect = async (
    service: TestService,
    lock: string,
    statement: string,
    others: () => Promise<unknown>
  ) => {
    const session = await service.sql.reserve()
    await session`begin`
    await session.unsafe(`select ${lock}(3, 0)`)
    const answer = others()
    await waitUntil(
      () => countBlocked(service.database),
      (count) => count === 1
    )
    await session.unsafe(statement)
    await session`commit`
    session.release()
    return answer
  }
  const exclusively = 'pg_advisory_xact_lock'
  const shared = 'pg_advisory_xact_lock_shared'
  const create = { slug: 'ALL', selection: 1, enroll_new_users: true }

  const learn: [string, (service: TestService) => Promise<unknown>][] = [
    ['by a first request', (service) => service.changeSegments(4)],
    ['by an upload', (service) => upload(service, 'users', '4')]
  ]
  for (const [how, makeKnown] of learn) {
    t.test(`made known ${how} while it is created`, async (t) => {
      const service = await startService(t)
      await learnUsers(service, 3)
      const statement = "select create_segment('ALL', 1, false, null, true)"
      await takeEffect(service, exclusively, statement, () => makeKnown(service))
      t.same(await outline(service, 3), [['ALL', 'add', 'selection']])
      t.same(await outline(service, 4), [['ALL', 'add', 'enrollment']])
    })

    t.test(`made known ${how} while it is created, to be filled later`, async (t) => {
      const service = await startService(t)
      await learnUsers(service, 3)
      const statement = "select create_segment('ALL', 1, true, null, true)"
      await takeEffect(service, exclusively, statement, () => makeKnown(service))
      while (await continueAssignment(service.sql, 10));
      t.match((await service.getSegment('ALL')).body, {
        members: 4,
        assignment: { status: 'done', target: 3 }
      })
      t.same(await outline(service, 4), [['ALL', 'add', 'enrollment']])
    })
  }

  for (const [first, statement] of [
    ['the first request', "select change_user_segments(4, '{}', '{}')"],
    [
      'an upload',
      'select begin_import(); insert into import_lines values (4); select import_users(false, null)'
    ]
  ] as const) {
    t.test(`created while ${first} takes effect`, async (t) => {
      const service = await startService(t)
      await learnUsers(service, 3)
      const answer = await takeEffect(service, shared, statement, () =>
        service.post('/api/v1/segment', create)
      )
      t.same(answer, ok)
      t.same(await outline(service, 4), [['ALL', 'add', 'selection']])
    })

    t.test(`filled later, and created while ${first} takes effect`, async (t) => {
      const service = await startService(t)
      await learnUsers(service, 3)
      const headers = { prefer: 'respond-async' }
      const answer = await takeEffect(service, shared, statement, () =>
        service.request({ method: 'POST', url: '/api/v1/segment', headers, body: create })
      )
      t.match(answer, { status: 202 })
      t.same(await service.changeSegments(5), ok)
      const { members: all } = await waitUntil(
        async () => (await service.getSegment('ALL')).body as { members: number },
        ({ members }) => members === 5
      )
      t.equal(all, 5)
      t.same(await outline(service, 4), [['ALL', 'add', 'selection']])
      t.same(await outline(service, 5), [['ALL', 'add', 'enrollment']])
    })

    t.test(`beginning to enroll while ${first} takes effect`, async (t) => {
      const service = await startService(t)
      await service.createSegment('ALL', 1)
      const answer = await takeEffect(service, shared, statement, () =>
        service.patchSegment('ALL', { enroll_new_users: true, selection: 1 })
      )
      t.same(answer, changed(1, 0))
      t.same(await outline(service, 4), [['ALL', 'add', 'selection']])
    })
  }
})

t.test('shares and requests that change at the same time leave a history that fits', async (t) => {
  const service = await startService(t)
  await learnUsers(service, 60)
  await service.createSegment('A', 0.5)
  const ids = Array.from({ length: 60 }, (_, n) => String(n + 1))
  const work = ids.map(async (id) => {
    for (let round = 0; round < 6; round += 1)
      t.equal((await service.changeSegments(id, round % 2 ? ['A'] : [], round % 2 ? [] : ['A'])).status, 200)
  })
  for (const selection of [0.9, 0.1, 0.7, 0, 1, 0.3])
    t.equal((await service.patchSegment('A', { selection })).status, 200)
  await Promise.all(work)
  const overlaps = await service.sql`
    select from memberships a
    join memberships b using (user_id, segment_id)
    where a.added_at < b.added_at
      and b.added_at < coalesce(a.removed_at, 'infinity')`
  t.same(overlaps, [])
  t.same(await members(service, 'A'), new Set(ids.toSorted()), 'the last request of each put them in')
})
