import t from 'tap'
import { continueAssignment } from '../../src/segments/queries.ts'
import { countBlocked } from '../support/locks.ts'
import { changed, learnUsers, members, ok, outline } from '../support/members.ts'
import { startService, type TestService, waitUntil } from '../support/service.ts'
import { upload } from '../support/uploads.ts'

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
