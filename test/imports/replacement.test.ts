/** Uploads that replace the members of a segment. */
import t from 'tap'
import { continueAssignment } from '../../src/segments/filling-queries.ts'
import type { Answer } from '../support/client.ts'
import { FeedConsumer, readAllChanges } from '../support/feed.ts'
import { holdTable, waitForBlocked } from '../support/locks.ts'
import { changed, learnUsers, members, ok, outline } from '../support/members.ts'
import { shareService, type TestService } from '../support/service.ts'
import { JSON_ARRAY, upload } from '../support/uploads.ts'

const emptyService = await shareService(t)

const none = { count: 0, first: [] }

const lines = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, index) => `${first + index}\n`).join('')

const idsOf = (first: number, last: number) => new Set(lines(first, last).trim().split('\n'))

function replace(
  service: TestService,
  body: string,
  { query = '', slug = 'A', type = 'text/csv' } = {}
): Promise<Answer> {
  return upload(service, `segment/${slug}/users`, body, { method: 'PUT', query, type })
}

/** Everything that a replacement may change. */
async function readState({ sql }: TestService): Promise<unknown> {
  const [state] = await sql`
    select
      (select json_agg(u order by id) from users u) as users,
      (select json_agg(m order by user_id, segment_id, added_at) from memberships m) as memberships,
      (select json_agg(e order by user_id, set_at) from expiry_changes e) as expiries,
      (select json_agg(c order by id) from segment_changes c) as record,
      (select json_agg(c order by position) from changes c) as changes`
  return state
}

type Period = { user_id: string; added_at: string; removed_at: string | null; expires_at: string | null }

const periodsOf = ({ sql }: TestService) =>
  sql<Period[]>`
    select user_id, added_at::text, removed_at::text, expires_at::text from memberships order by added_at, user_id`

/** A service whose segment A has the users from 1 on. */
async function serviceWith(users: number): Promise<TestService> {
  const service = await emptyService()
  await service.createSegment('A')
  if (users > 0) await upload(service, 'segment/A/users', lines(1, users))
  return service
}

t.test('who is missing leaves, who is new joins, at one moment; who stays is not touched', async (t) => {
  const service = await serviceWith(4)
  const before = await periodsOf(service)
  const answer = await replace(service, 'user_id\n3\n4\n4\n5\n6\n')
  t.same(answer, {
    status: 200,
    body: { lines: 5, added: 2, already_members: 3, new_users: 2, removed: 2, rejected: none }
  })
  t.same(await members(service, 'A'), new Set(['3', '4', '5', '6']))
  const after = await periodsOf(service)
  t.same(after.slice(2, 4), before.slice(2), 'the periods of 3 and 4 are the same')
  const [moment] = after.slice(-1).map(({ added_at }) => added_at)
  t.same(
    after.map(({ user_id, added_at, removed_at }) => [user_id, added_at === moment, removed_at]),
    [
      ['1', false, moment],
      ['2', false, moment],
      ['3', false, null],
      ['4', false, null],
      ['5', true, null],
      ['6', true, null]
    ]
  )
  t.same(await outline(service, 1), [
    ['A', 'add', 'import'],
    ['A', 'delete', 'import']
  ])
  t.same(await outline(service, 5), [['A', 'add', 'import']])
})

t.test('the record of the segment has a replacement, unless it has changed nothing', async (t) => {
  const service = await serviceWith(3)
  await replace(service, '3\n4\n')
  const before = await readState(service)
  t.match((await replace(service, '3\n4\n')).body, { added: 0, already_members: 2, removed: 0 })
  t.same(await readState(service), before)
  const { entries } = (await service.get('/api/v1/segment/A/history')).json<{ entries: object[] }>()
  t.match(entries, [
    { operation: 'created' },
    { operation: 'replaced', actor: null, changes: {}, added: 1, removed: 2 }
  ])
  t.match((await service.getSegment('A')).body, { members: 2 })
})

t.test('a consumer of the change feed has the same members', async (t) => {
  const service = await serviceWith(50)
  const consumer = FeedConsumer.ofDownload('A', await service.get('/api/v1/segment/A/users.csv?expires=true'))
  await replace(service, lines(20, 80))
  const changes = await consumer.catchUp(service)
  t.equal(changes.length, 19 + 30)
  t.equal(new Set(changes.map(({ time }) => time)).size, 1, 'at one moment')
  t.same(new Set(changes.map(({ cause }) => cause)), new Set(['import']))
  await replace(service, `user_id,expires_at\n20,2100-01-01T00:00:00Z\n81,2100-01-01T00:00:00Z\n`)
  await consumer.catchUp(service)
  const now = new Date().toISOString()
  t.same(consumer.membersAt('A', now), ['20', '81'])
  t.same(consumer.membersAt('A', '2100-01-02'), [])
})

t.test('a replacement is refused if more members than allowed would be removed', async (t) => {
  const service = await serviceWith(10)
  const before = await readState(service)
  t.same(await replace(service, lines(9, 12), { query: '?max_removed=7' }), {
    status: 409,
    body: {
      message: '8 users would be removed from segment with slug (A), and at most 7 may be: see max_removed',
      code: 'TOO_MANY_REMOVED',
      removed: 8
    }
  })
  t.same(await readState(service), before, 'nothing has changed')
  const account = { lines: 4, added: 2, already_members: 2, new_users: 2, removed: 8, rejected: none }
  t.same(
    await replace(service, lines(9, 12), { query: '?max_removed=7&dry_run=true' }),
    { status: 200, body: account },
    'a dry run answers the account'
  )
  t.same(await readState(service), before)
  t.same(await replace(service, lines(9, 12), { query: '?max_removed=8' }), { status: 200, body: account })
  for (const limit of ['-1', '1.5', 'all', ''])
    t.equal(
      (await replace(service, '1\n', { query: `?max_removed=${limit}` })).code,
      'INVALID_REQUEST',
      limit
    )
})

t.test('an upload without an accepted line removes nobody, unless it may', async (t) => {
  const service = await serviceWith(2)
  const empty = { lines: 0, added: 0, already_members: 0, new_users: 0, rejected: none }
  for (const [body, type, query] of [
    ['', 'text/csv', ''],
    ['user_id\n', 'text/csv', ''],
    ['[]', JSON_ARRAY, ''],
    ['x\n', 'text/csv', '?on_error=skip'],
    ['user_id,expires_at\n1,2020-01-01T00:00:00Z\n', 'text/csv', '?on_error=skip']
  ] as const)
    t.match(await replace(service, body, { type, query }), {
      status: 409,
      body: { code: 'TOO_MANY_REMOVED', removed: 2 }
    })
  t.same(await replace(service, '', { query: '?dry_run=true' }), {
    status: 200,
    body: { ...empty, removed: 2 }
  })
  t.match(await replace(service, '', { query: '?max_removed=1' }), { status: 409 })
  t.same(await members(service, 'A'), new Set(['1', '2']))
  t.same(await replace(service, '', { query: '?max_removed=2' }), {
    status: 200,
    body: { ...empty, removed: 2 }
  })
  t.same(await members(service, 'A'), new Set())
  t.same(await replace(service, ''), { status: 200, body: { ...empty, removed: 0 } }, 'nobody is removed')
})

t.test('a user whose line is rejected is missing', async (t) => {
  const service = await serviceWith(3)
  const before = await readState(service)
  const account = {
    lines: 4,
    added: 1,
    already_members: 1,
    new_users: 1,
    removed: 2,
    rejected: {
      count: 2,
      first: [
        { line: 2, value: 'x', reason: 'is not a time such as 2026-11-23T08:51:00Z' },
        { line: 3, value: '2020-01-01T00:00:00.000000Z', reason: 'has passed' }
      ]
    }
  }
  const body = '1\n2,x\n3,2020-01-01T00:00:00Z\n4\n'
  t.match(await replace(service, body), { status: 400, body: { code: 'LINES_REJECTED', ...account } })
  t.same(await readState(service), before)
  t.same(await replace(service, body, { query: '?dry_run=true' }), { status: 200, body: account })
  t.same(await readState(service), before)
  t.same(await replace(service, body, { query: '?on_error=skip' }), { status: 200, body: account })
  t.same(await members(service, 'A'), new Set(['1', '4']))
})

t.test('who stays keeps the expiry, unless the upload gives another one', async (t) => {
  const service = await emptyService()
  await service.createSegment('A')
  const [early, late] = ['2090-01-01T00:00:00Z', '2100-01-01T00:00:00Z']
  await upload(service, 'segment/A/users', `user_id,expires_at\n1,${early}\n2,${early}\n3,${early}\n4,\n5,\n`)
  const answer = await replace(
    service,
    `user_id,expires_at\n1,\n2,${late}\n3,${late}\n3,${early}\n4,${late}\n6,${late}\n`
  )
  t.same(answer.body, {
    lines: 6,
    added: 1,
    already_members: 5,
    new_users: 1,
    removed: 1,
    rejected: none
  })
  const { sql } = service
  t.same(
    await sql`select user_id, extract(year from expires_at)::integer as year from open_periods order by user_id`,
    [
      { user_id: '1', year: 2090 },
      { user_id: '2', year: 2100 },
      { user_id: '3', year: 2090 },
      { user_id: '4', year: 2100 },
      { user_id: '6', year: 2100 }
    ]
  )
  t.same(
    await sql`
      select e.user_id, set_at = m.added_at as same_moment
      from expiry_changes e, memberships m where m.user_id = 6 order by e.user_id`,
    [
      { user_id: '2', same_moment: true },
      { user_id: '4', same_moment: true }
    ],
    'only what differs is set'
  )
})

t.test('an expired membership is not removed, and begins again', async (t) => {
  const service = await serviceWith(4)
  await service.sql`
    update memberships set added_at = now() - interval '2 hours', expires_at = now() - interval '1 hour' where user_id <= 2`
  t.same((await replace(service, '2\n3\n')).body, {
    lines: 2,
    added: 1,
    already_members: 1,
    new_users: 0,
    removed: 1,
    rejected: none
  })
  t.same(await outline(service, 1), [
    ['A', 'add', 'import'],
    ['A', 'delete', 'expiry']
  ])
  t.same(await outline(service, 2), [
    ['A', 'add', 'import'],
    ['A', 'delete', 'expiry'],
    ['A', 'add', 'import']
  ])
})

t.test('there is one moment even if the clock of the server has gone back', async (t) => {
  const service = await serviceWith(3)
  await service.sql`update memberships set added_at = now() + interval '1 hour' where user_id = 1`
  await replace(service, '2\n3\n4\n')
  t.same(
    await service.sql`
      select ended.removed_at = ended.added_at as at_once, ended.removed_at = began.added_at as together
      from memberships ended, memberships began where ended.user_id = 1 and began.user_id = 4`,
    [{ at_once: true, together: true }]
  )
})

t.test('who is missing is removed by name: the user is not sampled again', async (t) => {
  const service = await emptyService()
  await learnUsers(service, 10)
  await service.createSegment('A', 1)
  t.match((await replace(service, lines(1, 4))).body, { removed: 6 })
  t.same(await service.patchSegment('A', { selection: 1 }), changed(0, 0))
  await learnUsersFrom(service, 11, 12)
  t.same(await service.patchSegment('A', { selection: 1 }), changed(2, 0))
  t.same(await members(service, 'A'), new Set(['1', '2', '3', '4', '11', '12']))
})

async function learnUsersFrom({ sql }: TestService, first: number, last: number): Promise<void> {
  await sql`insert into users (id) select generate_series(${first}::integer, ${last}::integer)`
}

t.test('a segment that is being filled is not replaced: users would join it afterwards', async (t) => {
  const service = await emptyService()
  await service.app.backgroundJobs.assignments.stop()
  await learnUsers(service, 10)
  await service.createSegment('A', 1, { prefer: 'respond-async' })
  for (const query of ['', '?dry_run=true'])
    t.equal((await replace(service, '1\n', { query })).code, 'SEGMENT_BEING_FILLED')
  while (await continueAssignment(service.app.bulk, 10));
  t.match((await replace(service, '1\n')).body, { removed: 9 })
})

t.test('users who become known are enrolled into other segments', async (t) => {
  const service = await emptyService()
  await service.post('/api/v1/segment', { slug: 'A', selection: 1, enroll_new_users: true })
  await service.post('/api/v1/segment', { slug: 'B', selection: 1, enroll_new_users: true })
  t.match((await replace(service, lines(1, 3))).body, { added: 3, new_users: 3 })
  t.same(await outline(service, 1), [
    ['A', 'add', 'import'],
    ['B', 'add', 'enrollment']
  ])
})

t.test('lines whose user is in another segment of the group are rejected', async (t) => {
  const service = await emptyService()
  await service.post('/api/v1/groups', { slug: 'G' })
  for (const slug of ['A', 'B']) await service.post('/api/v1/segment', { slug, group: 'G' })
  await upload(service, 'segment/A/users', lines(1, 3))
  await upload(service, 'segment/B/users', lines(11, 12))
  const reason = 'is in segment (B) of the same group'
  const account = {
    lines: 4,
    added: 1,
    already_members: 1,
    new_users: 1,
    removed: 2,
    rejected: {
      count: 2,
      first: [
        { line: 2, value: '11', reason },
        { line: 4, value: '12', reason }
      ]
    }
  }
  t.match(await replace(service, '3\n11\n4\n12\n'), { status: 400, body: account })
  for (const query of ['?on_error=skip&dry_run=true', '?on_error=skip'])
    t.same(await replace(service, '3\n11\n4\n12\n', { query }), { status: 200, body: account })
  t.same(
    [await members(service, 'A'), await members(service, 'B')],
    [new Set(['3', '4']), new Set(['11', '12'])]
  )
  t.match(
    await replace(service, '1\n', { slug: 'B' }),
    { status: 200, body: { added: 1, removed: 2 } },
    'who has left is free'
  )
  await service.patchSegment('A', { holdout: true })
  t.equal((await replace(service, '3\n')).code, 'SEGMENT_IS_HOLDOUT')
})

t.test('a dry run has the account of what is done after it', async (t) => {
  const service = await serviceWith(60)
  await service.sql`update memberships set expires_at = added_at where user_id % 7 = 0`
  for (let round = 0; round < 12; round += 1) {
    const body = Array.from({ length: 40 }, (_, n) => {
      const id = 1 + ((n * (round + 3) * 17 + round * 29) % 90)
      const year = n % 5 === 0 ? '2100-01-01T00:00:00Z' : n % 11 === 0 ? '2001-01-01T00:00:00Z' : ''
      return `${n % 13 === 12 ? 'x' : id},${year}\n`
    }).join('')
    const dry = await replace(service, body, { query: '?dry_run=true&on_error=skip' })
    const real = await replace(service, body, { query: '?on_error=skip' })
    t.same(real.body, dry.body)
    t.match(real.body, { lines: 40 })
  }
})

t.test('of two lists at the same time, the segment has one exactly, and the feed has it too', async (t) => {
  const service = await serviceWith(100)
  const [first, second] = [lines(50, 250), lines(200, 400)]
  for (let round = 0; round < 5; round += 1) {
    const answers = await Promise.all([replace(service, first), replace(service, second)])
    t.same(
      answers.map(({ status }) => status),
      [200, 200]
    )
    const found = await members(service, 'A')
    const [one, other] = [idsOf(50, 250), idsOf(200, 400)]
    t.ok(found.size === 201 && (found.isSubsetOf(one) || found.isSubsetOf(other)))
    const consumer = new FeedConsumer('start')
    for (const change of (await readAllChanges(service, 'start')).changes) consumer.apply(change)
    t.same(new Set(consumer.membersAt('A', '2100-01-01')), found)
  }
})

t.test('if the segment is deleted meanwhile, nothing is replaced', async (t) => {
  const service = await serviceWith(3)
  const deletion = await service.sql.reserve()
  await deletion`begin`
  await deletion`select pg_advisory_xact_lock(1, id) from segments`
  const replaced = replace(service, '3\n4\n')
  await waitForBlocked(service.database, 1, 'user-segments bulk')
  await deletion`update segments set deleted_at = now()`
  await deletion`commit`
  deletion.release()
  t.same(await replaced, {
    status: 404,
    body: { message: 'segment with slug (A) not found', code: 'SEGMENT_NOT_FOUND' }
  })
  t.equal((await service.getSegments(4)).code, 'USER_NOT_FOUND')
})

t.test('a replacement whose connection is lost at its end leaves nothing, and is repeated', async (t) => {
  const service = await serviceWith(20)
  const before = await readState(service)
  // The record of the segment is written last.
  const release = await holdTable(t, service.database, 'segment_changes', 'share')
  const answer = replace(service, lines(15, 30))
  await waitForBlocked(service.database, 1, 'user-segments bulk')
  await service.sql`
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and application_name = 'user-segments bulk' and wait_event_type = 'Lock'`
  await waitForBlocked(service.database, 1, 'user-segments bulk')
  t.same(await readState(service), before)
  await release()
  t.match(await answer, { status: 200, body: { added: 10, removed: 14 } })
  t.same(await members(service, 'A'), idsOf(15, 30))
})

t.test('a single change is as usual afterwards', async (t) => {
  const service = await serviceWith(2)
  await replace(service, '1\n')
  t.same(await service.changeSegments(2, ['A']), ok)
  t.same(await members(service, 'A'), new Set(['1', '2']))
})
