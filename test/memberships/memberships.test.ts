import t from 'tap'
import { connectDatabase } from '../../src/database/connect.ts'
import { batchLookups } from '../../src/database/lookups.ts'
import { selectActiveSegments } from '../../src/memberships/queries.ts'
import { countBlocked, holdTable } from '../support/locks.ts'
import { moved } from '../support/periods.ts'
import {
  shareService,
  startService,
  startServiceOn,
  type TestService,
  waitUntil
} from '../support/service.ts'
import { upload } from '../support/uploads.ts'

const ok = { status: 200, body: '' }
const notFound = (...segments: string[]) => ({
  status: 404,
  body: { message: 'some segments not found', code: 'SEGMENTS_NOT_FOUND', segments }
})
const invalid = (message: string) => ({ status: 400, body: { message, code: 'INVALID_REQUEST' } })

const emptyService = await shareService(t)

t.test("reading a user's segments", async (t) => {
  const service = await emptyService()
  const unknown = (id: string) => ({
    status: 404,
    body: { message: `user with id (${id}) not found`, code: 'USER_NOT_FOUND' }
  })

  t.same(await service.getSegments(10), unknown('10'), 'an unknown user')
  await service.changeSegments(10)
  t.same(await service.getSegments(10), { status: 200, body: [] }, 'a known user in none')

  for (const slug of ['PROTECTED_PHONE_NUMBER', 'VOICE_MSG', 'PROMO_5']) await service.createSegment(slug)
  await service.changeSegments(10, ['PROMO_5', 'PROTECTED_PHONE_NUMBER', 'VOICE_MSG'])
  for (let time = 0; time < 3; time += 1) {
    t.same(
      await service.getSegments(10),
      { status: 200, body: ['PROTECTED_PHONE_NUMBER', 'VOICE_MSG', 'PROMO_5'] },
      'in a stable order'
    )
  }

  t.test('ids are exact past 2^53, up to the largest', async (t) => {
    // Both ids of a pair are the same floating-point number.
    for (const [id, neighbour] of [
      ['9007199254740993', '9007199254740992'],
      ['9223372036854775807', '9223372036854775806']
    ] as const) {
      t.same(await service.changeSegments(id, ['VOICE_MSG']), ok)
      t.same(await service.getSegments(id), { status: 200, body: ['VOICE_MSG'] })
      t.same(await service.getSegments(neighbour), unknown(neighbour))
      t.equal((await service.history(id))[0]?.[0], id)
    }
  })

  t.test('invalid ids are refused', async (t) => {
    const ids = [
      '0',
      '-1',
      '01',
      '1.0',
      '1e3',
      'abc',
      '9223372036854775808',
      '99999999999999999999',
      '%00',
      '1%20',
      '٣'
    ]
    for (const id of ids) {
      const refusal = invalid('path parameter (user_id) must be an integer from 1 to 9223372036854775807')
      t.match(await service.getSegments(id), refusal, id)
      t.match(await service.changeSegments(id), refusal, id)
    }
  })

  t.test('many lookups at once, of known and unknown users, each get the right answer', async (t) => {
    await service.sql`insert into users (id) select generate_series(1000, 1999)`
    await service.sql`
      insert into memberships (user_id, segment_id)
      select u, s.id from generate_series(1000, 1999, 2) u, segments s where s.slug = 'PROMO_5'`
    const ids = Array.from({ length: 1200 }, (_, n) => 1000 + n)
    const expected = (id: number) =>
      id >= 2000 ? unknown(String(id)) : { status: 200, body: id % 2 === 0 ? ['PROMO_5'] : [] }
    // Each user twice, within the limit of requests in flight.
    for (let start = 0; start < ids.length; start += 120) {
      const asked = [...ids.slice(start, start + 120), ...ids.slice(start, start + 120)]
      t.same(await Promise.all(asked.map((id) => service.getSegments(id))), asked.map(expected))
    }
  })
})

t.test('reading the segments of many users', async (t) => {
  const service = await emptyService()
  const query = (user_ids: unknown) => service.post('/api/v1/segments/users/query', { user_ids })
  for (const slug of ['A', 'B', 'GONE']) await service.createSegment(slug)
  await service.changeSegments(10, ['B', 'A', 'GONE'])
  await service.changeSegments(11)
  await service.changeSegments('9223372036854775807', ['B'])
  await service.deleteSegment('GONE')

  t.same(await query(['10', '11', '12']), {
    status: 200,
    body: { segments: { 10: ['A', 'B'], 11: [] }, unknown: ['12'] }
  })
  t.same(
    await query([10, '10', 12, 12, '9223372036854775807', '9223372036854775806']),
    {
      status: 200,
      body: {
        segments: { 10: ['A', 'B'], '9223372036854775807': ['B'] },
        unknown: ['12', '9223372036854775806']
      }
    },
    'as integers or strings, each once, exact past 2^53'
  )
  const many = Array.from({ length: 1000 }, (_, n) => n + 10)
  t.same(await query(many), {
    status: 200,
    body: { segments: { 10: ['A', 'B'], 11: [] }, unknown: many.slice(2).map(String) }
  })

  t.test('refuses anything but a list of 1 to 1,000 user ids', async (t) => {
    const rule =
      'must be an integer from 1 to 9223372036854775807, as a string where it is above 9007199254740991'
    t.same(await query([]), invalid('body field (user_ids) must be an array of 1 to 1000 user ids'))
    t.same(await query([...many, 1]), invalid('body field (user_ids) must be an array of 1 to 1000 user ids'))
    t.same(await query('10'), invalid('body field (user_ids) must be an array of 1 to 1000 user ids'))
    for (const id of [0, -1, 1.5, 2 ** 53, '0', '01', 'x', '', '9223372036854775808', null, true, [10], {}]) {
      t.match(await query([10, id]), invalid(`body field (user_ids[1]) ${rule}`), JSON.stringify(id))
    }
    t.same(
      await service.post('/api/v1/segments/users/query', {}),
      invalid('body field (user_ids) is missing')
    )
  })
})

t.test('lookups never wait for writes that wait', async (t) => {
  const service = await emptyService()
  await service.createSegment('A')
  await service.changeSegments(1, ['A'])
  const lock = await service.sql.reserve()
  await lock`select pg_advisory_lock(1)`
  const changes = Array.from({ length: 40 }, () => service.changeSegments(1, [], ['A']))
  await waitUntil(
    () => countBlocked(service.database),
    (count) => count === 16
  )
  t.same(await service.getSegments(1), { status: 200, body: ['A'] })
  t.equal(await countBlocked(service.database), 16, 'the writes still wait')
  await lock`select pg_advisory_unlock(1)`
  lock.release()
  for (const answer of await Promise.all(changes)) t.same(answer, ok)
  t.same(await service.getSegments(1), { status: 200, body: [] })
})

t.test('lookups that arrive while all queries are in progress share the next one', async (t) => {
  const service = await emptyService()
  await service.createSegment('A')
  await service.sql`insert into users (id) select generate_series(1, 300)`
  await service.changeSegments(300, ['A'])
  let queries = 0
  const pool = connectDatabase(service.database.url, {
    name: 'test',
    connections: 2,
    lockTimeout: 60_000,
    statementTimeout: 60_000,
    observer: () => {
      queries += 1
      return () => {}
    }
  })
  t.teardown(() => pool.end({ timeout: 1 }))
  const reads = batchLookups(pool, selectActiveSegments, { concurrency: 2, maxWait: 60_000 })
  const release = await holdTable(t, service.database, 'memberships')
  const answers: Promise<string | undefined>[] = []
  for (let id = 1; id <= 301; id += 1) {
    answers.push(reads.load(String(id)))
    // Each one in another turn of the event loop.
    await new Promise(setImmediate)
  }
  await release()
  t.same(await Promise.all(answers), [...Array.from({ length: 299 }, () => '[]'), '["A"]', undefined])
  t.equal(queries, 3, 'two in progress, and one for all other lookups')

  await service.sql`alter view open_periods rename to elsewhere`
  await t.rejects(Promise.all([1, 2, 3].map((id) => reads.load(String(id)))), { code: '42P01' })
  await service.sql`alter view elsewhere rename to open_periods`
  t.equal(await reads.load('300'), '["A"]', 'a failure delays no later lookup')
})

/** Starts lookups while all wait for a lock. Each one starts after the query of the previous one. */
async function readOneByOne(service: TestService, count: number): Promise<Promise<unknown>[]> {
  const answers: Promise<unknown>[] = []
  for (let query = 1; query <= count; query += 1) {
    answers.push(service.getSegments(1))
    await waitUntil(
      () => countBlocked(service.database, 'user-segments reads'),
      (blocked) => blocked === query
    )
  }
  return answers
}

t.test('lookups wait for slow queries of other lookups only briefly', async (t) => {
  const service = await emptyService()
  await service.changeSegments(1)
  const release = await holdTable(t, service.database, 'memberships')
  const answers = await readOneByOne(service, 5)
  await release()
  for (const answer of await Promise.all(answers)) t.same(answer, { status: 200, body: [] })
})

t.test('a lookup uses the most recently used connection', async (t) => {
  const service = await startService(t)
  await service.changeSegments(1)
  const release = await holdTable(t, service.database, 'memberships')
  const burst = await readOneByOne(service, 3)
  await release()
  await Promise.all(burst)

  const [{ now }] = await service.sql<[{ now: Date }]>`select clock_timestamp() as now`
  for (let read = 1; read <= 20; read += 1) await service.getSegments(1)
  const used = await service.sql<{ since: boolean }[]>`
    select query_start > ${now} as since from pg_stat_activity
    where datname = current_database() and application_name like 'user-segments reads %'`
  t.same(used.map(({ since }) => since).sort(), [false, false, true])
})

t.test("changing a user's segments", async (t) => {
  const service = await emptyService()
  for (const slug of ['A', 'B', 'C', 'D']) await service.createSegment(slug)
  await service.deleteSegment('D')

  t.test('adds and deletes in one call', async (t) => {
    t.same(await service.changeSegments(1, ['A', 'B']), ok)
    t.same(await service.changeSegments(1, ['c'], ['a']), ok)
    t.same(await service.getSegments(1), { status: 200, body: ['B', 'C'] })
  })

  t.test('makes the user known, even by an empty call', async (t) => {
    t.same(await service.changeSegments(2, [], []), ok)
    t.same(await service.getSegments(2), { status: 200, body: [] })
  })

  t.test('changes nothing if any slug is unknown or deleted', async (t) => {
    await service.changeSegments(3, ['A'])
    for (const [add, remove, missing] of [
      [['B', 'nowhere'], [], ['NOWHERE']],
      [['B'], ['NOWHERE'], ['NOWHERE']],
      [['B', 'D'], ['A'], ['D']],
      [['B'], ['D', 'A'], ['D']],
      [
        ['X', 'B'],
        ['D', 'Y'],
        ['X', 'D', 'Y']
      ]
    ] as const) {
      t.same(await service.changeSegments(3, [...add], [...remove]), notFound(...missing))
      t.same(await service.getSegments(3), { status: 200, body: ['A'] })
    }
    t.same(await service.changeSegments(4, ['NOWHERE']), notFound('NOWHERE'))
    t.equal((await service.getSegments(4)).status, 404, 'the user does not become known')
  })

  t.test('refuses a slug that appears twice', async (t) => {
    const twice = {
      status: 400,
      body: { message: 'segment with slug (A) appears more than once in the request', code: 'DUPLICATE_SLUG' }
    }
    t.same(await service.changeSegments(5, ['A', 'a']), twice)
    t.same(await service.changeSegments(5, [], ['A', 'A']), twice)
    t.same(await service.changeSegments(5, ['a'], ['A']), twice)
    t.same(await service.changeSegments(5, ['A', 'NOWHERE'], ['A']), twice, 'regardless of other errors')
    t.equal((await service.getSegments(5)).status, 404)
  })

  t.test('refuses invalid bodies, and names what is wrong', async (t) => {
    const change = (body: unknown) => service.post('/api/v1/segments/user/6', body)
    t.same(await change({ segment_to_add: ['A'] }), invalid('unknown body field (segment_to_add)'))
    t.same(
      await change({ segments_to_add: 'A' }),
      invalid('body field (segments_to_add) must be an array of at most 10000 slugs or objects with a slug')
    )
    t.same(
      await change({ segments_to_delete: {} }),
      invalid('body field (segments_to_delete) must be an array of at most 10000 slugs')
    )
    const tooMany = Array.from({ length: 10_001 }, (_, index) => `S${index}`)
    for (const field of ['segments_to_add', 'segments_to_delete'])
      t.match(await change({ [field]: tooMany }), {
        status: 400,
        body: { message: /must be an array of at most 10000 slugs/ }
      })
    t.match(await change({ segments_to_add: ['A', 7] }), {
      status: 400,
      body: { message: /\(segments_to_add\[1\]\) must be 1 to 128/ }
    })
    t.match(await change({ segments_to_add: ['=A'] }), {
      status: 400,
      body: { message: /\(segments_to_add\[0\]\) must be/ }
    })
    t.equal((await service.getSegments(6)).status, 404)
  })

  t.test('a change without an effect leaves no trace in the history', async (t) => {
    await service.changeSegments(7, ['A'])
    await service.changeSegments(7, ['A'], ['B'])
    await service.changeSegments(7, [], ['B', 'C'])
    t.same(
      (await service.history(7)).map(([, slug, operation]) => [slug, operation]),
      [['A', 'add']]
    )
  })

  t.test('leaving and coming back keeps both periods', async (t) => {
    await service.changeSegments(8, ['A'])
    await service.changeSegments(8, ['B'], ['A'])
    await service.changeSegments(8, ['A'])
    const history = await service.history(8)
    t.same(
      history.map(([id, slug, operation]) => [id, slug, operation]),
      [
        ['8', 'A', 'add'],
        ['8', 'A', 'delete'],
        ['8', 'B', 'add'],
        ['8', 'A', 'add']
      ],
      'a swap removes the user before it adds the user'
    )
    const times = history.map((row) => row[3] ?? '')
    t.same(times, times.toSorted())
    t.ok(
      times.every((time) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/.test(time)),
      times.join()
    )
  })

  t.test('accepts as many slugs as fit into a body', async (t) => {
    await service.sql`insert into segments (slug) select 'MANY_' || n from generate_series(1, 5000) n`
    const slugs = Array.from({ length: 5000 }, (_, n) => `MANY_${n + 1}`)
    t.same(await service.changeSegments(9, slugs), ok)
    t.same(await service.getSegments(9), { status: 200, body: slugs })
    t.same(await service.changeSegments(9, [], slugs), ok)
    t.same(await service.getSegments(9), { status: 200, body: [] })
  })
})

t.test("time never goes back in a user's history, even if the clock of the database does", async (t) => {
  const service = await emptyService()
  await service.createSegment('A')
  await service.changeSegments(1, ['A'])
  // As after a failover to a server whose clock is an hour behind.
  await service.sql`update memberships set added_at = now() + interval '1 hour'`
  await service.changeSegments(1, [], ['A'])
  t.same(await service.getSegments(1), { status: 200, body: [] })
  await service.changeSegments(1, ['A'])
  t.same(await service.getSegments(1), { status: 200, body: ['A'] })
  const periods = await service.sql`
    select added_at, removed_at,
      removed_at >= added_at as forward,
      added_at > lag(removed_at) over (order by added_at) as after_the_last
    from memberships order by added_at`
  t.match(periods, [
    { forward: true, after_the_last: null },
    { removed_at: null, after_the_last: true }
  ])
})

t.test('a clock that goes back does not change history that has been reported', async (t) => {
  const service = await emptyService()
  for (const slug of ['A', 'B']) await service.createSegment(slug)
  await service.changeSegments(1, ['A', 'B'])
  await service.changeSegments(1, [], ['A'])
  const aMinuteAhead = (column: string) => moved(service.sql, column, '1 minute')
  await service.sql`
    update memberships set added_at = ${aMinuteAhead('added_at')}, removed_at = ${aMinuteAhead('removed_at')}`
  const before = await service.history(1)
  t.same(before.map(([, slug, operation]) => [slug, operation]).slice(0, 3), [
    ['A', 'add'],
    ['B', 'add'],
    ['A', 'delete']
  ])
  await service.deleteSegment('A')
  t.same(await service.history(1), before, 'if the segment is deleted')

  // By the earlier clock, the user stays in B for another minute and a second.
  await service.sql`
    update memberships set expires_at = now() - interval '1 second'
    where removed_at is null`
  for (const add of [() => service.changeSegments(1, ['B']), () => upload(service, 'segment/B/users', '1')]) {
    t.match(await add(), { status: 200 })
    const overlaps = await service.sql`
      select from memberships a
      join memberships b using (user_id, segment_id)
      where a.added_at < b.added_at
        and b.added_at <= coalesce(a.removed_at, 'infinity')`
    t.same(overlaps, [], 'if it is added after its expiry')
    t.same(await service.getSegments(1), { status: 200, body: ['B'] })
    await service.sql`
      update memberships
      set added_at = ${aMinuteAhead('added_at')}, expires_at = now() - interval '1 second'
      where removed_at is null`
  }
})

t.test('an acknowledged write is visible on every instance', async (t) => {
  const first = await emptyService()
  const second = await startServiceOn(t, first.database)
  await first.createSegment('A')
  for (let round = 0; round < 50; round += 1) {
    const id = 1 + (round % 5)
    const wasIn = round % 10 >= 5
    await (wasIn ? first : second).changeSegments(id, wasIn ? [] : ['A'], wasIn ? ['A'] : [])
    t.same(await (wasIn ? second : first).getSegments(id), { status: 200, body: wasIn ? [] : ['A'] })
  }
})
