import t from 'tap'
import { shareService, startService, waitUntil } from '../support/service.ts'

const emptyService = await shareService(t)

t.test('creating a segment', async (t) => {
  const service = await emptyService()

  t.test('answers 200 with an empty body, and the segment can be used in any case', async (t) => {
    t.same(await service.createSegment('Voice_Msg'), { status: 200, body: '' })
    t.same(await service.changeSegments(1, ['vOICE_msg']), { status: 200, body: '' })
    t.same(await service.getSegments(1), { status: 200, body: ['VOICE_MSG'] })
  })

  t.test('refuses a slug that is taken, in whatever case', async (t) => {
    const conflict = (slug: string) => ({
      status: 409,
      body: { message: `segment with slug (${slug}) already exists`, code: 'SEGMENT_ALREADY_EXISTS' }
    })
    await service.createSegment('TAKEN')
    t.same(await service.createSegment('TAKEN'), conflict('TAKEN'))
    t.same(await service.createSegment('taken'), conflict('TAKEN'))
    await service.deleteSegment('TAKEN')
    const { deleted_at } = (await service.getSegment('TAKEN')).json<{ deleted_at: string }>()
    const { status, body } = conflict('TAKEN')
    t.same(
      await service.createSegment('Taken'),
      { status, body: { ...body, deleted_at } },
      'a slug is never reused, and the answer says when its segment was deleted'
    )
  })

  t.test('creates one segment for many concurrent requests with the same slug', async (t) => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => service.createSegment('RACE', 0.5)))
    const statuses = answers.map(({ status }) => status).sort()
    t.same(statuses, [200, ...Array.from({ length: 19 }, () => 409)])
  })

  t.test('accepts slugs up to the limits', async (t) => {
    for (const slug of ['A', '7', 'z', 'A.b_C-d', `L${'O'.repeat(126)}G`]) {
      t.same(await service.createSegment(slug), { status: 200, body: '' }, slug)
      t.same(await service.deleteSegment(slug), { status: 200, body: '' }, slug)
    }
  })

  const badSlug = '1 to 128 characters: a letter or digit, then letters, digits, "_", "-" or "."'
  const invalid = (message: string) => ({ status: 400, body: { message, code: 'INVALID_REQUEST' } })

  t.test('refuses slugs past the limits', async (t) => {
    const slugs = [
      '',
      '-A',
      '_A',
      '.A',
      'A B',
      'A/B',
      'Ä',
      'A\u0000',
      'A\n',
      '=1',
      '+1',
      '@A',
      '\tA',
      'A'.repeat(129)
    ]
    for (const slug of slugs) {
      t.match(
        await service.createSegment(slug),
        invalid(`body field (slug) must be ${badSlug}`),
        JSON.stringify(slug)
      )
    }
    t.same(
      await service.deleteSegment('A'.repeat(129)),
      invalid(`path parameter (slug) must be ${badSlug}`),
      'in the path as well'
    )
    t.same(await service.deleteSegment('%00'), invalid(`path parameter (slug) must be ${badSlug}`))
  })

  t.test('refuses invalid bodies, and names what is wrong', async (t) => {
    const create = (body: unknown) => service.post('/api/v1/segment', body)
    const share = 'body field (selection) must be a number from 0 to 1'
    t.same(await create({}), invalid('body field (slug) is missing'))
    t.same(await create([]), invalid('the body must be a JSON object'))
    t.same(await create(null), invalid('the body must be a JSON object'))
    t.same(await create({ slug: 5 }), invalid(`body field (slug) must be ${badSlug}`))
    t.same(await create({ slug: 'X', slag: 1 }), invalid('unknown body field (slag)'))
    t.same(await create({ slug: 'X', selection: '0.5' }), invalid(share))
    t.same(await create({ slug: 'X', selection: -0.1 }), invalid(share))
    t.same(await create({ slug: 'X', selection: 1.0000001 }), invalid(share))
    t.same((await service.deleteSegment('X')).status, 404, 'none of them created a segment')
  })
})

t.test('a share of the users is sampled for a new segment', async (t) => {
  const service = await emptyService()
  const members = async (slug: string) => {
    const rows = await service.sql<
      { user_id: string }[]
    >`select user_id from periods where slug = ${slug} and active`
    return rows.map(({ user_id }) => user_id)
  }

  t.same(await service.createSegment('NOBODY', 1), { status: 200, body: '' }, 'of no users')
  t.same(await members('NOBODY'), [])

  await service.changeSegments(1)
  await service.createSegment('TINY_SHARE_OF_ONE', 0.000001)
  t.same(await members('TINY_SHARE_OF_ONE'), ['1'], 'a share above 0 is at least one user')
  t.same(await service.getSegments(1), { status: 200, body: ['TINY_SHARE_OF_ONE'] })

  await service.sql`insert into users (id) select generate_series(2, 100)`
  const exact: [number, number][] = [
    [0, 0],
    [0.07, 7],
    [0.071, 8],
    [0.29, 29],
    [0.57, 57],
    [0.999, 100],
    [1.0, 100],
    [1e-7, 1]
  ]
  for (const [selection, count] of exact) {
    const slug = `SHARE_${selection}`
    t.same(await service.createSegment(slug, selection), { status: 200, body: '' })
    const ids = await members(slug.toUpperCase())
    t.equal(ids.length, count, `${selection} of 100 users`)
    t.equal(new Set(ids).size, count, 'each once')
  }

  await service.createSegment('NO_SHARE')
  t.same(await members('NO_SHARE'), [], 'without a selection nobody is added')

  t.test('sampled at random: two samples differ, and over many samples every user is sampled', async (t) => {
    const draws = await Promise.all(
      Array.from({ length: 20 }, async (_, n) => {
        await service.createSegment(`DRAW_${n}`, 0.5)
        return members(`DRAW_${n}`)
      })
    )
    t.equal(new Set(draws.map((ids) => ids.join())).size, 20)
    t.equal(new Set(draws.flat()).size, 100)
  })

  t.test('sampled from the users known at the request, and in their history from then on', async (t) => {
    await service.createSegment('ALL', 1)
    await service.changeSegments(101)
    t.same(
      await service.getSegments(101),
      { status: 200, body: [] },
      'a user who became known later is not in it'
    )
    const history = await service.history(100)
    t.ok(history.some(([, slug, operation]) => slug === 'ALL' && operation === 'add'))
  })
})

t.test('a segment and its members appear together or not at all', async (t) => {
  const service = await emptyService()
  await service.sql`insert into users (id) select generate_series(1, 50)`
  // The last member cannot be inserted: nothing of the segment may stay.
  await service.sql`alter table memberships add constraint refuse_50 check (user_id <> 50)`
  t.match(await service.createSegment('ATOMIC', 1), { status: 500, body: { code: 'INTERNAL_ERROR' } })
  await service.sql`alter table memberships drop constraint refuse_50`
  t.same(await service.createSegment('ATOMIC', 1), { status: 200, body: '' })
  t.same(await service.getSegments(50), { status: 200, body: ['ATOMIC'] })
})

t.test('getting a segment', async (t) => {
  const service = await emptyService()
  await service.sql`insert into users (id) select generate_series(1, 10)`
  await service.createSegment('PLAIN')
  await service.createSegment('SHARE', 0.25)
  await service.changeSegments(1, ['PLAIN'])
  await service.changeSegments(2, ['PLAIN'])
  await service.changeSegments(2, [], ['PLAIN'])
  await service.sql`
    update memberships set added_at = now() - interval '2 s', expires_at = now() - interval '1 s'
    where user_id = 2 and segment_id = (select id from segments where slug = 'PLAIN')`

  const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/
  const plain = await service.getSegment('plain')
  t.match(plain.body, { created_at: time })
  const { created_at } = plain.body as { created_at: string }
  t.same(plain, {
    status: 200,
    body: {
      slug: 'PLAIN',
      selection: null,
      from: null,
      description: null,
      enroll_new_users: false,
      group: null,
      holdout: false,
      created_at,
      deleted_at: null,
      members: 1,
      assignment: null
    }
  })
  t.match(await service.getSegment('SHARE'), {
    status: 200,
    body: { selection: 0.25, members: 3, assignment: { status: 'done', assigned: 3, target: 3 } }
  })
  await service.deleteSegment('SHARE')
  t.match(await service.getSegment('SHARE'), {
    status: 200,
    body: { deleted_at: time, members: 0, assignment: { status: 'done', assigned: 3, target: 3 } }
  })
  t.same(await service.getSegment('nowhere'), {
    status: 404,
    body: { message: 'segment with slug (NOWHERE) not found', code: 'SEGMENT_NOT_FOUND' }
  })
})

t.test('creating a segment with Prefer: respond-async', async (t) => {
  const service = await emptyService()
  await service.sql`insert into users (id) select generate_series(1, 100)`
  const create = (prefer: string, body: object) =>
    service.app.inject({ method: 'POST', url: '/api/v1/segment', headers: { prefer }, body })

  const answer = await create('respond-async', { slug: 'later', selection: 0.07 })
  t.equal(answer.statusCode, 202)
  t.match(answer.headers, {
    'preference-applied': 'respond-async',
    location: '/api/v1/segment/LATER',
    'content-length': '0'
  })
  const segment = await waitUntil(
    () => service.request({ method: 'GET', url: answer.headers.location ?? '' }),
    ({ body }) => (body as { assignment: { status: string } }).assignment.status === 'done'
  )
  t.match(segment, { status: 200, body: { members: 7, assignment: { assigned: 7, target: 7 } } })

  t.equal((await create('respond-async', { slug: 'LATER', selection: 1 })).statusCode, 409)
  t.match(await service.getSegment('LATER'), { body: { members: 7, selection: 0.07 } }, 'as it was')

  t.equal((await create('respond-async', { slug: 'NOBODY' })).statusCode, 202)
  t.match(await service.getSegment('NOBODY'), { body: { members: 0, assignment: null } })

  for (const [n, prefer] of [
    'wait=10, Respond-Async',
    'respond-async; x="a, b"',
    'a="b,c" ,respond-async'
  ].entries()) {
    t.equal((await create(prefer, { slug: `A${n}`, selection: 1 })).statusCode, 202, prefer)
  }
  for (const [n, prefer] of [
    '',
    'wait=10',
    'respond-asynchronous',
    'x="respond-async, respond-async"',
    'x="without an end, respond-async'
  ].entries()) {
    const synchronous = await create(prefer, { slug: `S${n}`, selection: 1 })
    t.equal(synchronous.statusCode, 200, prefer)
    t.notOk(synchronous.headers['preference-applied'])
    t.match(await service.getSegment(`S${n}`), { body: { members: 100 } })
  }

  // As long as Node.js accepts: other requests wait while it is parsed.
  const longest = `"${'\\"'.repeat(7_500)}`
  const times: number[] = []
  for (let n = 0; n < 5; n += 1) {
    const begun = performance.now()
    t.equal((await create(longest, { slug: `LONG${n}` })).statusCode, 200)
    times.push(performance.now() - begun)
  }
  t.ok(Math.min(...times) < 75, `${times} ms`)
})

t.test('deleting a segment', async (t) => {
  const service = await emptyService()
  const notFound = (slug: string) => ({
    status: 404,
    body: { message: `segment with slug (${slug}) is not found for delete`, code: 'SEGMENT_NOT_FOUND' }
  })

  t.same(await service.deleteSegment('nowhere'), notFound('NOWHERE'))

  await service.createSegment('KEPT')
  await service.createSegment('GONE')
  for (const user of [1, 2, 3]) await service.changeSegments(user, ['GONE', 'KEPT'])
  t.same(await service.deleteSegment('Gone'), { status: 200, body: '' })
  t.same(await service.deleteSegment('GONE'), notFound('GONE'), 'only once')

  const [{ deleted_at } = { deleted_at: '' }] = await service.sql<{ deleted_at: string }[]>`
    select to_char(deleted_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as deleted_at
    from segments
    where slug = 'GONE'`
  for (const user of [1, 2, 3]) {
    t.same(await service.getSegments(user), { status: 200, body: ['KEPT'] })
    const history = await service.history(user)
    t.same(
      history.map(([, slug, operation]) => [slug, operation]),
      [
        ['KEPT', 'add'],
        ['GONE', 'add'],
        ['GONE', 'delete']
      ]
    )
    t.equal(history.at(-1)?.[3], deleted_at, "ended at the segment's time of deletion")
  }
  t.same(
    await service.changeSegments(1, [], ['GONE']),
    {
      status: 404,
      body: { message: 'some segments not found', code: 'SEGMENTS_NOT_FOUND', segments: ['GONE'] }
    },
    'a deleted segment is unknown to later calls'
  )
})

t.test('the history of a segment tells who created, changed, filled and deleted it', async (t) => {
  const service = await emptyService()
  for (const user of [1, 2, 3, 4]) await service.changeSegments(user)
  await service.post('/api/v1/segment', { slug: 'a', selection: 0.5, description: 'Half' })
  await service.patchSegment('A', { selection: 1, enroll_new_users: true })
  await service.patchSegment('A', { selection: 1, description: 'Half' })
  await service.patchSegment('A', { description: null })
  await service.deleteSegment('A')
  const entries = async (query = '') => {
    const { body } = await service.get(`/api/v1/segment/a/history${query}`)
    return (body as { entries: object[] }).entries
  }
  const change = (from: unknown, to: unknown) => ({ from, to })
  const all = await entries()
  t.match(all, [
    {
      operation: 'created',
      changes: { selection: change(null, 0.5), description: change(null, 'Half') },
      added: 2,
      removed: 0
    },
    {
      operation: 'changed',
      changes: { selection: change(0.5, 1), enroll_new_users: change(false, true) },
      added: 2,
      removed: 0
    },
    { operation: 'changed', changes: { description: change('Half', null) }, added: 0, removed: 0 },
    { operation: 'deleted', changes: {}, actor: null }
  ])
  t.equal(all.length, 4, 'a request that changes nothing is no entry')
  const { created_at, deleted_at, assignment } = (await service.getSegment('A')).body as Record<
    string,
    unknown
  >
  t.match([all[0], all[3]], [{ time: created_at }, { time: deleted_at }])
  t.same(assignment, { status: 'done', assigned: 4, target: 4 }, 'of the share that was last asked for')
  t.same(await entries('?limit=2'), all.slice(0, 2))

  await service.post('/api/v1/segment', { slug: 'B', selection: 0.5 }, { prefer: 'respond-async' })
  const filled = await waitUntil(
    async () => (await service.get('/api/v1/segment/B/history')).body as { entries: object[] },
    (history) => history.entries.length === 2
  )
  t.match(filled.entries, [
    { operation: 'created', added: 0 },
    { operation: 'filled', added: 2 }
  ])
  t.match(await service.get('/api/v1/segment/C/history'), { status: 404, code: 'SEGMENT_NOT_FOUND' })
})

t.test('a refused creation uses up no id; when all are used up, creation is unavailable', async (t) => {
  const service = await startService(t)
  await service.createSegment('A')
  for (let count = 0; count < 20; count += 1) t.equal((await service.createSegment('A', 0.5)).status, 409)
  await service.createSegment('B')
  t.same([...(await service.sql`select id from segments order by id`)], [{ id: 1 }, { id: 2 }])
  await service.sql`select setval(pg_get_serial_sequence('segments', 'id'), 2147483647)`
  t.match(await service.createSegment('C'), { status: 503, body: { code: 'DATABASE_UNAVAILABLE' } })
  t.equal((await service.getSegment('C')).status, 404)
})
