import { connect } from 'node:net'
import t from 'tap'
import { makeKey } from '../support/keys.ts'
import { holdTable, waitForBlocked } from '../support/locks.ts'
import { readPages } from '../support/pages.ts'
import { dayFromNow, shareService, startService, startServiceOn, waitUntil } from '../support/service.ts'

/** A microsecond before a time. */
function justBefore(time: string): string {
  const micros = BigInt(Date.parse(time)) * 1_000n + BigInt(time.slice(23, 26)) - 1n
  const seconds = new Date(Number(micros / 1_000n)).toISOString().slice(0, 23)
  return `${seconds}${String(micros % 1_000n).padStart(3, '0')}Z`
}

const slugsOf = (items: { slug: string }[]) => items.map(({ slug }) => slug)

const emptyService = await shareService(t)

t.test('segments are listed by their slugs, with their members', async (t) => {
  const service = await emptyService()
  t.same(await service.get('/api/v1/segments'), { status: 200, body: { segments: [], next_cursor: null } })
  for (const slug of ['PROMO_10', 'B', 'A-1', 'A.1', 'A_1', '0', 'PROMO_5']) await service.createSegment(slug)
  await service.patchSegment('B', { description: '50% of all_promos' })
  await service.changeSegments(1, ['PROMO_5'])
  await service.changeSegments(2, ['PROMO_5', 'B'])
  await service.deleteSegment('PROMO_10')
  const { body } = await service.get('/api/v1/segments')
  const { segments } = body as { segments: { slug: string; members: number }[] }
  const counted = segments.map(({ slug, members }) => [slug, members])
  t.same(counted, [
    ['0', 0],
    ['A-1', 0],
    ['A.1', 0],
    ['A_1', 0],
    ['B', 1],
    ['PROMO_5', 2]
  ])
  t.same(segments[4], (await service.getSegment('B')).body, 'as the segment itself is answered')

  const list = async (query: string) => {
    const { items } = await readPages<{ slug: string }>(
      service,
      `/api/v1/segments?limit=2&${query}`,
      'segments'
    )
    return slugsOf(items)
  }
  t.same(await list('include_deleted=true'), ['0', 'A-1', 'A.1', 'A_1', 'B', 'PROMO_10', 'PROMO_5'])
  t.same(await list('include_deleted=false'), ['0', 'A-1', 'A.1', 'A_1', 'B', 'PROMO_5'])
  t.same(await list('q=promo'), ['B', 'PROMO_5'], 'in the slug or the description, in any case')
  t.same(await list('q=PROMO&include_deleted=true'), ['B', 'PROMO_10', 'PROMO_5'])
  t.same(await list('q=_1'), ['A_1'], 'no pattern')
  t.same(await list('q=%25'), ['B'])
  t.same(await list('q=.'), ['A.1'])
  await service.patchSegment('0', { description: 'Über Straßen' })
  t.same(await list(`q=${encodeURIComponent('üBER STRA')}`), ['0'])
})

t.test('a list contains each entry that existed throughout exactly once', async (t) => {
  const service = await emptyService()
  const slugs = Array.from({ length: 25 }, (_, n) => `S${String(n).padStart(2, '0')}`)
  for (const slug of slugs) await service.createSegment(slug)
  let next = 0
  const { items, pages } = await readPages<{ slug: string }>(
    service,
    '/api/v1/segments?limit=4',
    'segments',
    async () => {
      await service.createSegment(`S00A${next++}`)
      await service.createSegment(`Z${next}`)
      if (next === 2) await service.deleteSegment('S24')
    }
  )
  t.ok(pages >= 7)
  const listed = slugsOf(items)
  t.same(listed, [...new Set(listed)].sort(), 'in order, nothing twice')
  t.same(
    listed.filter((slug) => /^S\d\d$/.test(slug)),
    slugs.slice(0, 24)
  )
})

t.test('a list of segments whose members take long to count has shorter pages', async (t) => {
  const service = await startService(t)
  for (const slug of ['A', 'B', 'C', 'D']) await service.createSegment(slug)
  await service.changeSegments(1, ['A', 'B', 'C', 'D'])
  // As if each segment had tens of millions of members.
  const [view] = await service.sql<[{ text: string }]>`select pg_get_viewdef('open_periods') as text`
  const slow = view.text.replace(/ AS active\b/, " AND pg_sleep(2)::text = '' AS active")
  await service.sql.unsafe(`create or replace view open_periods as ${slow}`)
  const { items, pages } = await readPages<{ slug: string; members: number }>(
    service,
    '/api/v1/segments',
    'segments'
  )
  t.same(
    items.map(({ slug, members }) => [slug, members]),
    [
      ['A', 1],
      ['B', 1],
      ['C', 1],
      ['D', 1]
    ]
  )
  t.equal(pages, 2)
})

t.test('the users of a segment are listed by their ids', async (t) => {
  const service = await emptyService()
  await service.createSegment('A')
  await service.createSegment('B')
  const ids = ['2', '10', '9', '9007199254740993', '9223372036854775807', '9223372036854775806']
  for (const id of ids) await service.changeSegments(id, ['A', 'B'])
  await service.changeSegments(9, [], ['A'])
  await service.post('/api/v1/segments/user/7', {
    segments_to_add: ['A'],
    expires_at: '2100-01-01T00:00:00Z'
  })
  const { items } = await readPages<{ user_id: string; expires_at: string | null }>(
    service,
    '/api/v1/segment/a/users?limit=1',
    'users'
  )
  t.same(
    items.map(({ user_id, expires_at }) => [user_id, expires_at]),
    [
      ['2', null],
      ['7', '2100-01-01T00:00:00.000000Z'],
      ['10', null],
      ['9007199254740993', null],
      ['9223372036854775806', null],
      ['9223372036854775807', null]
    ]
  )
  t.match(items[0], { added_at: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/ })
  t.equal((await service.get('/api/v1/segment/NONE/users')).status, 404)
  await service.deleteSegment('A')
  t.same((await service.get('/api/v1/segment/A/users')).body, { users: [], next_cursor: null })
})

t.test('a page has as many entries as `limit` says, a hundred by default', async (t) => {
  const service = await emptyService()
  await service.sql`insert into users (id) select generate_series(1, 1500)`
  await service.createSegment('A', 1)
  const lengths = async (query: string) => {
    const { items, pages } = await readPages(service, `/api/v1/segment/A/users${query}`, 'users')
    return [items.length, pages]
  }
  t.same(await lengths(''), [1_500, 15])
  t.same(await lengths('?limit=1000'), [1_500, 2])
  t.same(await lengths('?limit=750'), [1_500, 2], 'and no empty page at the end')
})

t.test('invalid limits and cursors are refused', async (t) => {
  const service = await emptyService()
  await service.createSegment('A')
  await service.createSegment('B')
  await service.changeSegments(1, ['A', 'B'])
  await service.changeSegments(2, ['A', 'B'])
  const lists = [
    '/api/v1/segments',
    ...['A', 'B'].map((slug) => `/api/v1/segment/${slug}/users`),
    ...[1, 2].map((id) => `/api/v1/segments/user/${id}/history`)
  ]
  const cursors = await Promise.all(
    lists.map(async (url) =>
      String(((await service.get(`${url}?limit=1`)).body as { next_cursor: string }).next_cursor)
    )
  )
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const forged = [
    ...['', 'x', '%00', 'bnVsbA', 'W10', encode({}), encode(['users/A']), encode([['users/A'], '1'])],
    ...[encode(['users/A', '0']), encode(['users/A', 1]), encode(['users/A', '9223372036854775808'])],
    ...[encode(['users/A', '1', '1']), encode(['segments', 'a']), encode(['segments', "'"])],
    ...[
      encode(['history/1', '1', '4', '1']),
      encode(['history/1', '-1', '1', '1']),
      encode(['history/1', 'x', '1', '1'])
    ],
    ...['x'.repeat(600)]
  ]
  for (const [index, url] of lists.entries()) {
    for (const limit of [
      '0',
      '1001',
      '-1',
      '1.5',
      '01',
      '010',
      '%205',
      '0x5',
      'x',
      '',
      '1e2',
      '9'.repeat(30)
    ])
      t.match(
        await service.get(`${url}?limit=${limit}`),
        { status: 400, body: { message: 'query parameter (limit) must be an integer from 1 to 1000' } },
        `${url} ${limit}`
      )
    const own = cursors[index] ?? ''
    t.equal((await service.get(`${url}?cursor=${own}`)).status, 200)
    const others = cursors.filter((cursor) => cursor !== own)
    for (const cursor of [...forged, ...others, `${own}=`, `${own}A`, own.slice(0, -3)])
      t.match(await service.get(`${url}?cursor=${cursor}`), { status: 400 }, `${url} ${cursor.slice(0, 30)}`)
    t.match(await service.get(`${url}?cursor=${others[0]}`), { body: { code: 'INVALID_CURSOR' } })
  }
  for (const flag of ['yes', 'TRUE', '1', ''])
    t.match(await service.get(`/api/v1/segments?include_deleted=${flag}`), {
      status: 400,
      body: { message: 'query parameter (include_deleted) must be true or false' }
    })
  t.equal((await service.get('/api/v1/segments?q=')).status, 400)
  t.equal((await service.get('/api/v1/segments?q=%00')).status, 400)
})

t.test('a timeline says what happened, why, and by whom', async (t) => {
  const keys = [
    makeKey('marketing', 'admin'),
    makeKey('shop', 'editor'),
    makeKey('support', 'reader')
  ] as const
  const [marketing, shop, support] = keys
  const service = await startService(t, { API_KEYS: keys.map(({ setting }) => setting).join() })
  const send = (key: { headers: object }, method: 'POST' | 'PATCH' | 'DELETE', url: string, body?: object) =>
    service.request({
      method,
      url: `/api/v1${url}`,
      headers: { ...key.headers, ...(body && { 'content-type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) })
    })
  const at = (key: { headers: object }, url: string) =>
    service.request({ method: 'GET', url: `/api/v1${url}`, headers: { ...key.headers } })

  await send(marketing, 'POST', '/segment', { slug: 'NEW', selection: 1, enroll_new_users: true })
  await send(marketing, 'POST', '/segment', { slug: 'HAND' })
  await send(shop, 'POST', '/segments/user/1', { segments_to_add: ['HAND'] })
  await send(marketing, 'POST', '/segment', { slug: 'DRAWN', selection: 1 })
  await send(shop, 'POST', '/segments/user/1', { segments_to_delete: ['HAND'] })
  await send(marketing, 'PATCH', '/segment/DRAWN', { selection: 0 })
  await send(marketing, 'PATCH', '/segment/DRAWN', { selection: 1 })
  await send(marketing, 'DELETE', '/segment/DRAWN')
  const { body } = await at(support, '/segments/user/1/history')
  type Entry = { slug: string; operation: string; cause: string; actor: string | null; time: string }
  const { entries } = body as { entries: Entry[] }
  t.same(
    entries.map(({ slug, operation, cause, actor }) => [slug, operation, cause, actor]),
    [
      ['NEW', 'add', 'enrollment', 'shop'],
      ['HAND', 'add', 'request', 'shop'],
      ['DRAWN', 'add', 'selection', 'marketing'],
      ['HAND', 'delete', 'request', 'shop'],
      ['DRAWN', 'delete', 'selection_lowered', 'marketing'],
      ['DRAWN', 'add', 'selection', 'marketing'],
      ['DRAWN', 'delete', 'segment_deleted', 'marketing']
    ]
  )
  t.same(
    entries.map(({ time }) => time),
    entries.map(({ time }) => time).toSorted()
  )

  t.test('segments at an earlier time', async (t) => {
    const active = new Set<string>()
    for (const time of new Set(entries.map(({ time }) => time))) {
      const before = await at(support, `/segments/user/1?at=${justBefore(time)}`)
      t.same(new Set(before.body as string[]), active, `before ${time}`)
      for (const { slug, operation } of entries.filter((entry) => entry.time === time)) {
        if (operation === 'add') active.add(slug)
        else active.delete(slug)
      }
      const now = await at(support, `/segments/user/1?at=${time}`)
      t.same(new Set(now.body as string[]), active, time)
    }
    t.same((await at(support, `/segments/user/1?at=1970-01-01T00:00:00Z`)).body, [])
  })

  t.test('a part of it, page by page', async (t) => {
    const times = entries.map(({ time }) => time)
    const part = await at(support, `/segments/user/1/history?from=${times[2]}&to=${times[5]}`)
    t.same((part.body as { entries: Entry[] }).entries, entries.slice(2, 5), 'from is in it, to is not')
    const [first, tomorrow] = [String(times[0]).slice(0, 10), dayFromNow(1)]
    for (const [interval, expected] of [
      [`from=${first}&to=${tomorrow}`, entries],
      [`from=${tomorrow}`, []],
      [`to=${first}`, []]
    ])
      t.same((await at(support, `/segments/user/1/history?${interval}`)).body, {
        entries: expected,
        next_cursor: null
      })
    let cursor: string | null = ''
    const pages: Entry[][] = []
    while (cursor !== null) {
      const page = await at(
        support,
        `/segments/user/1/history?limit=2&from=${times[2]}${cursor && `&cursor=${cursor}`}`
      )
      const answer = page.body as { entries: Entry[]; next_cursor: string | null }
      pages.push(answer.entries)
      cursor = answer.next_cursor
    }
    t.same(pages.flat(), entries.slice(2))
    t.same(
      pages.map(({ length }) => length),
      [2, 2, 1]
    )
  })

  t.test('invalid queries are refused', async (t) => {
    const future = new Date(Date.now() + 60_000).toISOString()
    const cases: [string, number, string][] = [
      [
        '/segments/user/1/history?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z',
        400,
        'query parameter (from) must be before query parameter (to)'
      ],
      [
        '/segments/user/1/history?from=2026-01-02&to=2026-01-02T01:00:00%2B01:00',
        400,
        'query parameter (from) must be before query parameter (to)'
      ],
      ...['2026-02-30', '2026-01-02T24:00:00Z', 'tuesday'].map((from): [string, number, string] => [
        `/segments/user/1/history?from=${from}`,
        400,
        'query parameter (from) must be a day, as YYYY-MM-DD, or a time as in RFC 3339, such as 2026-11-23T08:51:00Z'
      ]),
      ['/segments/user/404/history', 404, 'user with id (404) not found'],
      [`/segments/user/1?at=${future}`, 400, 'query parameter (at) must not be in the future'],
      [
        '/segments/user/1?at=now',
        400,
        'query parameter (at) must be a time as in RFC 3339, such as 2026-11-23T08:51:00Z'
      ],
      ['/segments/user/404?at=2026-01-01T00:00:00Z', 404, 'user with id (404) not found']
    ]
    for (const [url, status, message] of cases)
      t.match(await at(support, url), { status, body: { message } }, url)
  })

  t.test('without keys there is no actor', async (t) => {
    const open = await startServiceOn(t, service.database)
    await open.changeSegments(5, ['HAND'])
    const { body } = await open.get('/api/v1/segments/user/5/history')
    t.match(body, { entries: [{ actor: null }, { actor: null }] })
  })
})

t.test(
  'lists whose clients have gone are cancelled, and hold up neither changes nor readiness',
  async (t) => {
    const service = await startService(t)
    await service.createSegment('A')
    const address = await service.app.listen({ host: '127.0.0.1', port: 0 })
    const release = await holdTable(t, service.database, 'memberships')
    const clients = Array.from({ length: 30 }, () => {
      const socket = connect(Number(new URL(address).port), '127.0.0.1')
      socket.on('error', () => {})
      socket.write('GET /api/v1/segments?limit=1000 HTTP/1.1\r\nhost: localhost\r\n\r\n')
      return socket
    })
    await waitForBlocked(service.database, 4, 'user-segments lists')
    t.match(await service.patchSegment('A', { description: 'changed' }), { status: 200 })
    t.match(await service.get('/health/ready'), { status: 200 })
    t.match(await service.get('/api/v1/segments'), { status: 503, body: { code: 'OVERLOADED' } })
    for (const socket of clients) socket.destroy()
    await waitForBlocked(service.database, 0)
    await waitUntil(
      async () => service.app.load.inFlight,
      (count) => count === 0
    )
    await release()
    t.match(await service.getSegment('A'), { status: 200, body: { description: 'changed', members: 0 } })
  }
)
