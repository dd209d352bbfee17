import t from 'tap'
import { type ClosingPosition, closePeriods, continueAssignment } from '../../src/segments/queries.ts'
import { countBlocked } from '../support/locks.ts'
import { startService, startServiceOn, type TestService, waitUntil } from '../support/service.ts'

/** The service without its jobs, as none has been woken: the test takes each step itself. */
async function startServiceWithUsers(
  t: Parameters<typeof startService>[0],
  users: number
): Promise<TestService> {
  const service = await startService(t)
  await service.sql`insert into users (id) select generate_series(1, ${users}::integer)`
  return service
}

const askFor = ({ sql }: TestService, slug: string, selection: number) =>
  sql`select create_segment(${slug}, ${selection}, true)`

const fill = async ({ sql }: TestService, chunkSize: number) => {
  let steps = 0
  while (await continueAssignment(sql, chunkSize)) steps += 1
  return steps
}

const members = async ({ sql }: TestService, slug: string): Promise<number[]> => {
  const rows = await sql<{ id: number }[]>`
    select user_id::integer as id from periods where slug = ${slug} and active order by user_id`
  return rows.map(({ id }) => id)
}

const assignment = async (service: TestService, slug: string) =>
  ((await service.getSegment(slug)).body as { assignment: unknown }).assignment

t.test('users are put into a segment part by part', async (t) => {
  const service = await startServiceWithUsers(t, 100)
  await askFor(service, 'HALF', 0.5)
  t.same(await assignment(service, 'HALF'), { status: 'queued', assigned: 0, target: null })
  await service.changeSegments(101)

  await continueAssignment(service.sql, 20)
  t.same(await assignment(service, 'HALF'), { status: 'running', assigned: 0, target: 50 }, 'drawn')
  t.same(await members(service, 'HALF'), [])
  await continueAssignment(service.sql, 20)
  t.same(await assignment(service, 'HALF'), { status: 'running', assigned: 20, target: 50 })
  t.equal((await members(service, 'HALF')).length, 20)

  // Whoever comes next goes on where the last one was, however that one ended.
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
  t.notOk(ids.includes(101), 'who came later is not among them')
  t.match(await service.getSegment('HALF'), { body: { members: 50, selection: 0.5 } })
  t.equal(await continueAssignment(service.sql, 20), undefined, 'nothing is left to do')
  t.same(await service.sql`select * from assignment_chunks`, [])
})

t.test('an instance that only listens takes up what another has left', async (t) => {
  const service = await startServiceWithUsers(t, 10)
  await askFor(service, 'LEFT', 1)
  const other = await startServiceOn(t, service.database)
  await other.app.listen({ host: '127.0.0.1', port: 0 })
  await waitUntil(
    () => members(service, 'LEFT'),
    (ids) => ids.length === 10
  )
})

t.test('several instances at once fill several segments, each exactly', async (t) => {
  const service = await startServiceWithUsers(t, 1000)
  const shares = [1, 0.5, 0.333, 0.001, 0]
  for (const share of shares) await askFor(service, `SHARE_${share}`, share)
  await Promise.all(Array.from({ length: 5 }, () => fill(service, 50)))
  // One may have found all of them taken by others that were then on their last step.
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

t.test('what is decided by request while a segment is filled stands', async (t) => {
  const service = await startServiceWithUsers(t, 60)
  await askFor(service, 'ALL', 1)
  t.same(await service.changeSegments(50, [], ['ALL']), { status: 200, body: '' }, 'before the draw')
  await continueAssignment(service.sql, 20)
  await continueAssignment(service.sql, 20)
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
  t.same(await assignment(service, 'ALL'), { status: 'done', assigned: 60, target: 60 }, 'all had their turn')
  const operations = async (user: number) => (await service.history(user)).map((row) => row[2])
  t.same(await operations(1), ['add', 'delete'])
  t.same(await operations(30), [], 'who was taken out before their turn was never in')
  t.same(await operations(40), ['add'])
  t.same(await operations(41), ['add', 'delete'], 'who was in and out is not put back')
  t.same(
    await service.sql`select user_id from assignment_exceptions order by user_id`,
    [{ user_id: '30' }, { user_id: '50' }],
    'of the others, their periods tell'
  )

  await service.patchSegment('ALL', { selection: 0 })
  t.match(await service.patchSegment('ALL', { selection: 1 }), { status: 200 })
  t.same(await members(service, 'ALL'), [...expected, 99], 'nor are they drawn later')
})

t.test('while users are put in, a request that decides on the same segment waits for them', async (t) => {
  const service = await startServiceWithUsers(t, 10)
  await askFor(service, 'ALL', 1)
  await service.createSegment('OTHER')
  await continueAssignment(service.sql, 10)
  const filling = await service.sql.reserve()
  await filling`begin`
  await filling`select continue_assignment(10)`
  const changes = [service.changeSegments(1, [], ['ALL']), service.changeSegments(2, ['ALL'])]
  await waitUntil(
    () => countBlocked(service.database, 'user-segments write'),
    (count) => count === 2
  )
  t.same(await service.changeSegments(1, ['OTHER']), { status: 200, body: '' }, 'others do not')
  await filling`commit`
  filling.release()
  await Promise.all(changes)
  await fill(service, 10)
  t.same(await members(service, 'ALL'), [2, 3, 4, 5, 6, 7, 8, 9, 10])
  t.same(
    (await service.history(1)).filter(([, slug]) => slug === 'ALL').map((row) => row[2]),
    ['add', 'delete']
  )
})

t.test('a segment that is deleted while it is filled gets nobody any more', async (t) => {
  const service = await startServiceWithUsers(t, 50)
  await askFor(service, 'GONE', 1)
  await askFor(service, 'NEVER', 1)
  await service.deleteSegment('NEVER')
  await continueAssignment(service.sql, 20)
  await continueAssignment(service.sql, 20)
  await service.deleteSegment('GONE')
  const [before] = await service.sql`select count(*) from memberships`
  await fill(service, 20)
  t.same(await service.sql`select count(*) from memberships`, [before])
  t.same(await assignment(service, 'GONE'), { status: 'cancelled', assigned: 20, target: 50 })
  t.same(await assignment(service, 'NEVER'), { status: 'cancelled', assigned: 0, target: null })
  t.same(await service.sql`select * from assignment_chunks`, [])
})

t.test('an assignment whose step fails is tried five times, and leaves the others alone', async (t) => {
  const service = await startServiceWithUsers(t, 10)
  await askFor(service, 'BAD', 1)
  await continueAssignment(service.sql, 4)
  await continueAssignment(service.sql, 4)
  await service.sql`
    create function refuse() returns trigger language plpgsql as $$ begin raise 'no more of it'; end $$`
  await service.sql`
    create trigger refuse before insert on memberships for each row when (new.segment_id = 1) execute function refuse()`
  t.same(await continueAssignment(service.sql, 4), { slug: 'BAD', attempt: 1, error: 'no more of it' })
  t.match(await assignment(service, 'BAD'), { status: 'running', assigned: 4, target: 10 }, 'it has a pause')
  await service.changeSegments(10, [], ['BAD'])
  await askFor(service, 'GOOD', 1)
  await fill(service, 4)
  t.match(await assignment(service, 'GOOD'), { status: 'done', assigned: 10 })

  for (const attempt of [2, 3, 4, 5]) {
    await service.sql`update assignments set run_at = now() where status = 'running'`
    t.match(await continueAssignment(service.sql, 4), { slug: 'BAD', attempt })
  }
  t.same(await assignment(service, 'BAD'), { status: 'failed', assigned: 4, target: 10 })
  t.equal((await members(service, 'BAD')).length, 4, 'who is in it stays')
  t.same(await service.sql`select * from assignment_chunks`, [], 'the others are given up')
  t.equal(await continueAssignment(service.sql, 4), undefined)

  await service.sql`drop trigger refuse on memberships`
  t.match(await service.patchSegment('BAD', { selection: 1 }), { body: { added: 5 } })
  t.notOk(
    (await members(service, 'BAD')).includes(10),
    'whom a request took out meanwhile is not put in later'
  )
})

t.test('an assignment that the whole server has kept from going on is not to blame', async (t) => {
  const service = await startServiceWithUsers(t, 10)
  await askFor(service, 'ALL', 1)
  await service.sql`
    create function refuse() returns trigger language plpgsql as $$ begin raise sqlstate '53100'; end $$`
  await service.sql`create trigger refuse before insert on assignment_chunks for each row execute function refuse()`
  await t.rejects(continueAssignment(service.sql, 4), { code: '53100' })
  t.match(await service.sql`select attempt, status from assignments`, [{ attempt: 0, status: 'queued' }])
})

t.test('closing the periods of deleted segments changes no answer', async (t) => {
  const service = await startServiceWithUsers(t, 0)
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
  await service.sql`select delete_segment(slug) from segments where slug in ('GONE', 'EMPTY', 'LATER')`

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

  // What lies before it has been taken back by a crash since.
  const position500 = { segment_id: 1, user_id: '500' }
  t.same(await closePeriods(service.sql, position500, 10), { segment_id: 1, user_id: '0' }, 'it begins anew')
  t.same(await service.sql`select from segments where closed_at is not null`, [])

  const first = (await closePeriods(service.sql, undefined, 10)) as ClosingPosition
  t.equal(first.user_id, '11', 'ten of the users who are in it')
  t.equal(await open(), 64)
  t.same(await answers(), expected, 'half-way')

  const holder = await service.sql.reserve()
  await holder`select pg_advisory_lock(2, 0)`
  t.equal(await closePeriods(service.sql, first, 10), undefined, 'another instance is at it')
  await holder`select pg_advisory_unlock(2, 0)`
  holder.release()
  t.equal(await open(), 64)

  // Another instance begins anew and finishes the segment; the first goes on, with the next one, from where it was.
  let other = await closePeriods(service.sql, undefined, 10)
  t.equal(other?.user_id, '21')
  while (other && other.user_id !== '0') other = await closePeriods(service.sql, other, 10)
  let position: ClosingPosition | undefined = first
  while (position) position = await closePeriods(service.sql, position, 10)
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

t.test('deleting a segment sets the closing going', async (t) => {
  const service = await startServiceWithUsers(t, 2000)
  await service.createSegment('GONE', 1)
  await service.deleteSegment('GONE')
  await waitUntil(
    () => service.sql`select from memberships where removed_at is null limit 1`,
    (rows) => rows.length === 0
  )
  t.same(await service.getSegments(1), { status: 200, body: [] })
})

t.test('a job goes on when the database is back', async (t) => {
  const service = await startServiceWithUsers(t, 10)
  await service.sql`alter table assignments rename to elsewhere`
  service.app.backgroundJobs.assignments.wake()
  await service.sql`alter table elsewhere rename to assignments`
  await service.sql`
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and application_name = 'user-segments background'`
  await askFor(service, 'ALL', 1)
  await waitUntil(
    () => members(service, 'ALL'),
    (ids) => ids.length === 10
  )
})
