import t, { type Test } from 'tap'
import { type ClosingPosition, closePeriods } from '../../src/segments/deletion-queries.ts'
import { continueAssignment } from '../../src/segments/filling-queries.ts'
import { holdTable, waitForBlocked } from '../support/locks.ts'
import { learnUsers } from '../support/members.ts'
import { startService, startServiceOn, type TestService, waitUntil } from '../support/service.ts'

/** A service without background jobs: the test takes each step. */
async function startRestingService(t: Test, users: number): Promise<TestService> {
  const service = await startService(t)
  const { assignments, closing } = service.app.backgroundJobs
  await Promise.all([assignments.stop(), closing.stop()])
  await learnUsers(service, users)
  return service
}

/** Creates a segment that is filled later. */
const askFor = (service: TestService, slug: string, selection: number) =>
  service.createSegment(slug, selection, { prefer: 'respond-async' })

const fill = async ({ app }: TestService, chunkSize: number) => {
  let steps = 0
  while (await continueAssignment(app.bulk, chunkSize)) steps += 1
  return steps
}

const members = async ({ sql }: TestService, slug: string): Promise<number[]> => {
  const rows = await sql<{ id: number }[]>`
    select user_id::integer as id from periods where slug = ${slug} and active order by user_id`
  return rows.map(({ id }) => id)
}

const assignment = async (service: TestService, slug: string) =>
  ((await service.getSegment(slug)).body as { assignment: unknown }).assignment

t.test('users are added to a segment chunk by chunk', async (t) => {
  const service = await startRestingService(t, 100)
  await askFor(service, 'HALF', 0.5)
  t.same(await assignment(service, 'HALF'), { status: 'queued', assigned: 0, target: null })
  await service.changeSegments(101)

  await continueAssignment(service.app.bulk, 20)
  t.same(await assignment(service, 'HALF'), { status: 'running', assigned: 0, target: 50 }, 'drawn')
  t.same(await members(service, 'HALF'), [])
  await continueAssignment(service.app.bulk, 20)
  t.same(await assignment(service, 'HALF'), { status: 'running', assigned: 20, target: 50 })
  t.equal((await members(service, 'HALF')).length, 20)

  // The next instance continues where the last one ended.
  const next = await startServiceOn(t, service.database)
  next.app.backgroundJobs.assignments.wake()
  const done = { status: 'done', assigned: 50, target: 50 }
  await waitUntil(
    () => assignment(service, 'HALF'),
    (current) => (current as typeof done).status === 'done'
  )
  t.same(await assignment(service, 'HALF'), done)
  const ids = await members(service, 'HALF')
  t.equal(ids.length, 50)
  t.notOk(ids.includes(101), 'users who became known later are not among them')
  t.match(await service.getSegment('HALF'), { body: { members: 50, selection: 0.5 } })
  t.equal(await continueAssignment(service.app.bulk, 20), undefined, 'nothing is left to do')
  t.same(await service.sql`select * from assignment_chunks`, [])
})

t.test('an instance that gets no request continues what another one has left', async (t) => {
  const service = await startRestingService(t, 10)
  await askFor(service, 'LEFT', 1)
  const other = await startServiceOn(t, service.database)
  await other.app.listen({ host: '127.0.0.1', port: 0 })
  await waitUntil(
    () => members(service, 'LEFT'),
    (ids) => ids.length === 10
  )
})

t.test('several instances at once fill several segments, each exactly', async (t) => {
  const service = await startRestingService(t, 1000)
  const shares = [1, 0.5, 0.333, 0.001, 0]
  for (const share of shares) await askFor(service, `SHARE_${share}`, share)
  await Promise.all(Array.from({ length: 5 }, () => fill(service, 50)))
  // An instance may have found all assignments locked by others that were on their last step.
  await fill(service, 50)
  for (const share of shares) {
    const target = Math.ceil(share * 1000)
    t.equal((await members(service, `SHARE_${share}`)).length, target, `${share}`)
    t.same(await assignment(service, `SHARE_${share}`), { status: 'done', assigned: target, target })
  }
  t.not(
    (await members(service, 'SHARE_0.5')).join(),
    (await members(service, 'SHARE_0.333')).slice(0, 500).join()
  )
})

t.test('requests during the filling of a segment take precedence', async (t) => {
  const service = await startRestingService(t, 60)
  await askFor(service, 'ALL', 1)
  t.same(await service.changeSegments(50, [], ['ALL']), { status: 200, body: '' }, 'before the sampling')
  await continueAssignment(service.app.bulk, 20)
  await continueAssignment(service.app.bulk, 20)
  t.equal((await members(service, 'ALL')).length, 20)

  await service.changeSegments(1, [], ['ALL'])
  await service.changeSegments(30, [], ['ALL'])
  await service.changeSegments(40, ['ALL'])
  await service.changeSegments(41, ['ALL'])
  await service.changeSegments(41, [], ['ALL'])
  await service.changeSegments(99, ['ALL'])
  await fill(service, 20)

  const out = [1, 30, 41, 50]
  const expected = Array.from({ length: 60 }, (_, n) => n + 1).filter((id) => !out.includes(id))
  t.same(await members(service, 'ALL'), [...expected, 99])
  t.same(
    await assignment(service, 'ALL'),
    { status: 'done', assigned: 60, target: 60 },
    'all chunks have been processed'
  )
  const operations = async (user: number) => (await service.history(user)).map((row) => row[2])
  t.same(await operations(1), ['add', 'delete'])
  t.same(await operations(30), [], 'a user who was removed before being added was never a member')
  t.same(await operations(40), ['add'])
  t.same(await operations(41), ['add', 'delete'], 'a user who joined and left is not added again')
  t.same(
    await service.sql`select user_id from assignment_exceptions order by user_id`,
    [{ user_id: '30' }, { user_id: '50' }],
    'for the others, their periods record the removal'
  )

  await service.patchSegment('ALL', { selection: 0 })
  t.match(await service.patchSegment('ALL', { selection: 1 }), { status: 200 })
  t.same(await members(service, 'ALL'), [...expected, 99], 'they are not sampled later either')
})

t.test('while users are added, a request for the same segment waits for them', async (t) => {
  const service = await startRestingService(t, 10)
  await askFor(service, 'ALL', 1)
  await service.createSegment('OTHER')
  await continueAssignment(service.app.bulk, 10)
  // This row is written last.
  const release = await holdTable(t, service.database, 'assignments', 'share')
  const other = await startServiceOn(t, service.database)
  other.app.backgroundJobs.assignments.wake()
  await waitForBlocked(service.database, 1, 'user-segments bulk')
  const changes = [service.changeSegments(1, [], ['ALL']), service.changeSegments(2, ['ALL'])]
  await waitForBlocked(service.database, 2, 'user-segments writes')
  t.same(await service.changeSegments(1, ['OTHER']), { status: 200, body: '' }, 'others do not')
  await release()
  await Promise.all(changes)
  await waitUntil(
    () => assignment(service, 'ALL'),
    (current) => (current as { status: string }).status === 'done'
  )
  t.same(await members(service, 'ALL'), [2, 3, 4, 5, 6, 7, 8, 9, 10])
  t.same(
    (await service.history(1)).filter(([, slug]) => slug === 'ALL').map((row) => row[2]),
    ['add', 'delete']
  )
})

t.test('a segment that is deleted while it is filled gets no further users', async (t) => {
  const service = await startRestingService(t, 50)
  await askFor(service, 'GONE', 1)
  await askFor(service, 'NEVER', 1)
  await service.deleteSegment('NEVER')
  await continueAssignment(service.app.bulk, 20)
  await continueAssignment(service.app.bulk, 20)
  await service.deleteSegment('GONE')
  const [before] = await service.sql`select count(*) from memberships`
  await fill(service, 20)
  t.same(await service.sql`select count(*) from memberships`, [before])
  t.same(await assignment(service, 'GONE'), { status: 'cancelled', assigned: 20, target: 50 })
  t.same(await assignment(service, 'NEVER'), { status: 'cancelled', assigned: 0, target: null })
  t.same(await service.sql`select * from assignment_chunks`, [])
})

t.test('an assignment whose step fails is tried five times, and leaves the others alone', async (t) => {
  const service = await startRestingService(t, 10)
  await askFor(service, 'BAD', 1)
  await continueAssignment(service.app.bulk, 4)
  await continueAssignment(service.app.bulk, 4)
  await service.sql`alter table memberships add constraint refuse check (segment_id <> 1) not valid`
  t.match(await continueAssignment(service.app.bulk, 4), { slug: 'BAD', attempt: 1, error: /refuse/ })
  t.match(await assignment(service, 'BAD'), { status: 'running', assigned: 4, target: 10 }, 'it has a pause')
  // Longer than the rest of the test may take.
  await service.sql`update assignments set run_at = now() + interval '1 hour' where status = 'running'`
  await service.changeSegments(10, [], ['BAD'])
  await askFor(service, 'GOOD', 1)
  await fill(service, 4)
  t.match(await assignment(service, 'GOOD'), { status: 'done', assigned: 10 })

  for (const attempt of [2, 3, 4, 5]) {
    await service.sql`update assignments set run_at = now() where status = 'running'`
    t.match(await continueAssignment(service.app.bulk, 4), { slug: 'BAD', attempt })
  }
  t.same(await assignment(service, 'BAD'), { status: 'failed', assigned: 4, target: 10 })
  t.equal((await members(service, 'BAD')).length, 4, 'members stay')
  t.same(await service.sql`select * from assignment_chunks`, [], 'the other chunks are discarded')
  t.equal(await continueAssignment(service.app.bulk, 4), undefined)

  await service.sql`alter table memberships drop constraint refuse`
  t.match(await service.patchSegment('BAD', { selection: 1 }), { body: { added: 5 } })
  t.notOk(
    (await members(service, 'BAD')).includes(10),
    'users whom a request removed meanwhile are not added later'
  )
})

t.test('a failure of the whole server does not count as an attempt', async (t) => {
  const service = await startRestingService(t, 10)
  await askFor(service, 'ALL', 1)
  await service.sql`
    create function refuse() returns trigger language plpgsql as $$ begin raise sqlstate '53100'; end $$`
  await service.sql`create trigger refuse before insert on assignment_chunks for each row execute function refuse()`
  await t.rejects(continueAssignment(service.app.bulk, 4), { code: '53100' })
  t.match(await service.sql`select attempt, status from assignments`, [{ attempt: 0, status: 'queued' }])
})

t.test('closing the periods of deleted segments changes no answer', async (t) => {
  const service = await startRestingService(t, 0)
  for (const slug of ['GONE', 'KEPT', 'LATER', 'EMPTY']) await service.createSegment(slug)
  await service.sql`
    insert into memberships (user_id, segment_id) select u, id from generate_series(1, 25) u, segments where slug <> 'EMPTY'`
  await service.sql`insert into users (id) select generate_series(1, 25)`
  await service.changeSegments(1, [], ['GONE'])
  await service.changeSegments(2, [], ['GONE'])
  await service.changeSegments(2, ['GONE'])
  // Expired before the deletion.
  await service.sql`
    update memberships set added_at = now() - interval '2 days', expires_at = now() - interval '1 day'
    where user_id = 3 and segment_id = (select id from segments where slug = 'GONE')`
  for (const slug of ['GONE', 'EMPTY', 'LATER']) await service.deleteSegment(slug)

  const answers = async () => [
    ...(await Promise.all([1, 2, 3, 4, 25].map((user) => service.getSegments(user)))),
    ...(await Promise.all([1, 2, 3, 4, 25].map((user) => service.history(user)))),
    await service.getSegment('GONE')
  ]
  const expected = await answers()
  const open = async () => {
    const [row] = await service.sql<[{ count: number }]>`
      select count(*)::integer as count from memberships where removed_at is null`
    return row.count
  }
  t.equal(await open(), 74)

  // A crash has undone work before this position.
  const position500 = { segmentId: 1, userId: '500' }
  t.same(
    await closePeriods(service.app.bulk, position500, 10),
    { segmentId: 1, userId: '0' },
    'it begins again'
  )
  t.same(await service.sql`select from segments where closed_at is not null`, [])

  const first = (await closePeriods(service.app.bulk, undefined, 10)) as ClosingPosition
  t.equal(first.userId, '11', 'ten of the users who are in it')
  t.equal(await open(), 64)
  t.same(await answers(), expected, 'half-way')

  const holder = await service.sql.reserve()
  await holder`select pg_advisory_lock(2, 0)`
  t.equal(await closePeriods(service.app.bulk, first, 10), undefined, 'another instance is closing it')
  await holder`select pg_advisory_unlock(2, 0)`
  holder.release()
  t.equal(await open(), 64)

  // Another instance starts over and finishes the segment; the first one continues with the next segment.
  let other = await closePeriods(service.app.bulk, undefined, 10)
  t.equal(other?.userId, '21')
  while (other && other.userId !== '0') other = await closePeriods(service.app.bulk, other, 10)
  let position: ClosingPosition | undefined = first
  while (position) position = await closePeriods(service.app.bulk, position, 10)
  t.equal(await open(), 25, 'those of the segment that is kept')
  t.same(await answers(), expected, 'afterwards')
  t.same(
    await service.sql`
      select from memberships join periods using (user_id, segment_id, added_at)
      where slug = 'GONE' and user_id > 2 and removed_at is distinct from ended_at`,
    [],
    'what was written is when each ended'
  )
  t.same(await service.sql`select slug, closed_at is not null as closed from segments order by slug`, [
    { slug: 'EMPTY', closed: true },
    { slug: 'GONE', closed: true },
    { slug: 'KEPT', closed: false },
    { slug: 'LATER', closed: true }
  ])
})

t.test('deleting a segment starts the closing of its periods', async (t) => {
  const service = await startService(t)
  await learnUsers(service, 2_000)
  await service.createSegment('GONE', 1)
  await service.deleteSegment('GONE')
  await waitUntil(
    () => service.sql`select from memberships where removed_at is null limit 1`,
    (rows) => rows.length === 0
  )
  t.same(await service.getSegments(1), { status: 200, body: [] })
})

t.test('a job continues when the database is back', async (t) => {
  const service = await startService(t)
  await learnUsers(service, 10)
  await service.sql`alter table assignments rename to elsewhere`
  service.app.backgroundJobs.assignments.wake()
  await service.sql`alter table elsewhere rename to assignments`
  await service.sql`
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and application_name like 'user-segments bulk %'`
  await askFor(service, 'ALL', 1)
  await waitUntil(
    () => members(service, 'ALL'),
    (ids) => ids.length === 10
  )
})
