import t from 'tap'
import type { Answer } from '../support/client.ts'
import { crossWrites } from '../support/locks.ts'
import { changed, learnUsers, members, ok, outline } from '../support/members.ts'
import { shareService, type TestService, waitUntil } from '../support/service.ts'
import { upload } from '../support/uploads.ts'

const emptyService = await shareService(t)

t.test('a new user is enrolled with the probability of the share, once', async (t) => {
  const service = await emptyService()
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
  const [enrolled] = half
  t.same(await outline(service, String(enrolled)), [
    ['ALL', 'add', 'enrollment'],
    ['HALF', 'add', 'enrollment']
  ])
  const together = await service.sql`
    select from memberships group by user_id having count(distinct added_at) > 1`
  t.same(together, [], 'at the moment at which the user became known')

  for (const id of ids) await service.changeSegments(id)
  t.same(await members(service, 'HALF'), half, 'the outcome stays the same')
  for (const id of ids) {
    const together = Array.from({ length: 4 }, () => service.changeSegments(id + ids.length))
    t.same(
      await Promise.all(together),
      [ok, ok, ok, ok],
      'the same outcome for several concurrent first requests'
    )
  }
  const all = await members(service, 'HALF')
  t.ok(all.size - half.size > 50 && all.size - half.size < 150, `${all.size - half.size}`)
  await service.patchSegment('HALF', { enroll_new_users: false })
  await service.changeSegments(1_000)
  t.same(await service.getSegments(1_000), { status: 200, body: ['ALL'] })
})

t.test('the first request of a user takes precedence over enrollment', async (t) => {
  const service = await emptyService()
  await service.post('/api/v1/segment', { slug: 'ALL', selection: 1, enroll_new_users: true })
  await service.changeSegments(1, [], ['ALL'])
  t.same(await service.getSegments(1), { status: 200, body: [] })
  await service.changeSegments(2, ['ALL'])
  t.same(await outline(service, 2), [['ALL', 'add', 'request']])
  t.equal((await service.changeSegments(3, ['UNKNOWN'])).status, 404)
  t.equal((await service.getSegments(3)).status, 404, 'a refused request makes no user known')
  const both = await Promise.all(Array.from({ length: 8 }, () => service.changeSegments(4)))
  t.ok(both.every(({ status }) => status === 200))
  t.same(
    await outline(service, 4),
    [['ALL', 'add', 'enrollment']],
    'once, even with several concurrent first requests'
  )
})

t.test('every user is either known when a segment starts to enroll, or is enrolled', async (t) => {
  const create = { slug: 'ALL', selection: 1, enroll_new_users: true }
  const later = { prefer: 'respond-async' }
  const createSegment = (service: TestService, headers = {}) =>
    service.post('/api/v1/segment', create, headers)
  const makeKnown: [string, (service: TestService) => Promise<Answer>][] = [
    ['a first request', (service) => service.changeSegments(4)],
    ['an upload', (service) => upload(service, 'users', '4')]
  ]

  for (const [how, learn] of makeKnown) {
    t.test(`user becomes known by ${how} while the segment is created`, async (t) => {
      const service = await emptyService()
      await learnUsers(service, 3)
      const answers = await crossWrites(
        t,
        service.database,
        'assignments',
        () => createSegment(service),
        () => learn(service)
      )
      t.match(answers, [ok, { status: 200 }])
      t.same(await outline(service, 3), [['ALL', 'add', 'selection']])
      t.same(await outline(service, 4), [['ALL', 'add', 'enrollment']])
    })

    t.test(`user becomes known by ${how} while the segment is created, to be filled later`, async (t) => {
      const service = await emptyService()
      await learnUsers(service, 3)
      const answers = await crossWrites(
        t,
        service.database,
        'assignments',
        () => createSegment(service, later),
        () => learn(service)
      )
      t.match(answers, [{ status: 202 }, { status: 200 }])
      const segment = await waitUntil(
        async () =>
          (await service.getSegment('ALL')).body as { members: number; assignment: { status: string } },
        ({ assignment }) => assignment.status === 'done'
      )
      t.match(segment, { members: 4, assignment: { target: 3 } })
      t.same(await outline(service, 4), [['ALL', 'add', 'enrollment']])
    })

    t.test(`segment is created while ${how} takes effect`, async (t) => {
      const service = await emptyService()
      await learnUsers(service, 3)
      const answers = await crossWrites(
        t,
        service.database,
        'users',
        () => learn(service),
        () => createSegment(service)
      )
      t.match(answers, [{ status: 200 }, ok])
      t.same(await outline(service, 4), [['ALL', 'add', 'selection']])
    })

    t.test(`segment is created, to be filled later, while ${how} takes effect`, async (t) => {
      const service = await emptyService()
      await learnUsers(service, 3)
      const answers = await crossWrites(
        t,
        service.database,
        'users',
        () => learn(service),
        () => createSegment(service, later)
      )
      t.match(answers, [{ status: 200 }, { status: 202 }])
      t.same(await service.changeSegments(5), ok)
      const { members: all } = await waitUntil(
        async () => (await service.getSegment('ALL')).body as { members: number },
        ({ members }) => members === 5
      )
      t.equal(all, 5)
      t.same(await outline(service, 4), [['ALL', 'add', 'selection']])
      t.same(await outline(service, 5), [['ALL', 'add', 'enrollment']])
    })

    t.test(`segment starts to enroll while ${how} takes effect`, async (t) => {
      const service = await emptyService()
      await service.createSegment('ALL', 1)
      const [, answer] = await crossWrites(
        t,
        service.database,
        'users',
        () => learn(service),
        () => service.patchSegment('ALL', { enroll_new_users: true, selection: 1 })
      )
      t.same(answer, changed(1, 0))
      t.same(await outline(service, 4), [['ALL', 'add', 'selection']])
    })
  }
})
