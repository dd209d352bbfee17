import { gzipSync } from 'node:zlib'
import * as fc from 'fast-check'
import t from 'tap'
import { continueAssignment } from '../../src/segments/filling-queries.ts'
import { configureKeys, makeKey } from '../support/keys.ts'
import { isDistributed, shareService, startService, type TestService } from '../support/service.ts'
import { CSV, JSON_ARRAY, NDJSON, upload } from '../support/uploads.ts'

type Account = {
  code?: string
  lines: number
  added: number
  already_members: number
  removed: number
  not_members: number
  new_users: number
  already_known: number
  rejected: { count: number; first: { line: number; value: string; reason: string }[] }
}

const none = { count: 0, first: [] }

async function accountOf(...parameters: Parameters<typeof upload>): Promise<Account> {
  return (await upload(...parameters)).body as Account
}

/** Everything that an upload may change. */
async function readState({ sql }: TestService): Promise<unknown> {
  const [state] = await sql`
    select
      (select json_agg(u order by id) from users u) as users,
      (select json_agg(m order by user_id, segment_id, added_at) from memberships m) as memberships,
      (select json_agg(e order by user_id) from assignment_exceptions e) as exceptions`
  return state
}

/** The active members of a segment, in the order of their ids. */
async function membersOf({ sql }: TestService, slug: string): Promise<string[]> {
  const rows = await sql<{ user_id: string }[]>`
    select user_id from periods where slug = ${slug} and active order by user_id`
  return rows.map(({ user_id }) => user_id)
}

const emptyService = await shareService(t)

t.test('an upload adds its users to the segment, and accounts for every line', async (t) => {
  const service = await emptyService()
  await service.createSegment('A')
  await service.changeSegments(1, ['A'])
  await service.changeSegments(2)
  t.same(await upload(service, 'segment/a/users', 'user_id\n1\n2\n3\n\n3\n9223372036854775807\n'), {
    status: 200,
    body: { lines: 5, added: 3, already_members: 2, new_users: 2, rejected: none }
  })
  t.same(await membersOf(service, 'A'), ['1', '2', '3', '9223372036854775807'])
  t.same(await service.getSegments('9223372036854775807'), { status: 200, body: ['A'] })

  const before = await readState(service)
  t.same(await accountOf(service, 'segment/A/users', 'user_id\n1\n2\n3\n3\n9223372036854775807\n'), {
    lines: 5,
    added: 0,
    already_members: 5,
    new_users: 0,
    rejected: none
  })
  t.same(await readState(service), before, 'repeating the upload changes nothing')
})

t.test('an upload removes its users from the segment', async (t) => {
  const service = await emptyService()
  await service.createSegment('A')
  await service.createSegment('B')
  for (const user of [1, 2, 3]) await service.changeSegments(user, ['A', 'B'])
  t.same(await upload(service, 'segment/A/users', '1\n2\n2\n77\n', { method: 'DELETE' }), {
    status: 200,
    body: { lines: 4, removed: 2, not_members: 2, rejected: none }
  })
  t.same([await membersOf(service, 'A'), await membersOf(service, 'B')], [['3'], ['1', '2', '3']])
  t.equal((await service.getSegments(77)).status, 404, 'no user becomes known')
  const before = await readState(service)
  t.match(await accountOf(service, 'segment/A/users', '1\n2\n2\n77\n', { method: 'DELETE' }), {
    removed: 0,
    not_members: 4
  })
  t.same(await readState(service), before)

  t.match(await accountOf(service, 'segment/A/users', '1\n'), { added: 1 })
  const history = await service.history(1)
  t.same(
    history.filter(([, slug]) => slug === 'A').map(([, , operation]) => operation),
    ['add', 'delete', 'add']
  )
})

t.test('an upload makes its users known', async (t) => {
  const service = await emptyService()
  await service.changeSegments(1)
  t.same(await upload(service, 'users', '[1, "2", {"user_id": 3}, 3]', { type: JSON_ARRAY }), {
    status: 200,
    body: { lines: 4, new_users: 2, already_known: 2, rejected: none }
  })
  t.same((await service.getSegments(3)).body, [])
  t.match(await accountOf(service, 'users', '1\n2\n3\n'), { new_users: 0, already_known: 3 })
})

t.test('a rejected line means that nothing is changed, unless it may be skipped', async (t) => {
  const service = await emptyService()
  await service.createSegment('A')
  await service.changeSegments(1, ['A'])
  const past = '2020-01-01T00:00:00Z'
  const body = `user_id,expires_at\n1,\n2,\n0,\n3,${past}\n2,\n4,2100-01-01T00:00:00Z\n${'x'.repeat(500)},\n`
  const account = {
    lines: 7,
    added: 2,
    already_members: 2,
    new_users: 2,
    rejected: {
      count: 3,
      first: [
        { line: 4, value: '0', reason: 'is not a user id: an integer from 1 to 9223372036854775807' },
        { line: 5, value: '2020-01-01T00:00:00.000000Z', reason: 'has passed' },
        {
          line: 8,
          value: `${'x'.repeat(100)}…`,
          reason: 'is not a user id: an integer from 1 to 9223372036854775807'
        }
      ]
    }
  }
  const before = await readState(service)
  const refused = await upload(service, 'segment/A/users', body)
  t.match(refused, {
    status: 400,
    body: { code: 'LINES_REJECTED', message: /3 of 7, line 4 \(0\) is not/, ...account }
  })
  t.same(await upload(service, 'segment/A/users', body, { query: '?dry_run=true' }), {
    status: 200,
    body: account
  })
  t.match(await upload(service, 'segment/A/users', `user_id,expires_at\n9,${past}\n8,`), {
    status: 400,
    body: { code: 'LINES_REJECTED', lines: 2, added: 1, rejected: { count: 1 } }
  })
  for (const [path, method] of [
    ['segment/A/users', 'DELETE'],
    ['users', 'POST']
  ] as const) {
    t.match(await upload(service, path, '1\n5\nx\n', { method }), {
      status: 400,
      body: { code: 'LINES_REJECTED', lines: 3, rejected: { count: 1, first: [{ line: 3, value: 'x' }] } }
    })
    t.match(await upload(service, path, '1\n5\n', { method, query: '?dry_run=true' }), { status: 200 })
  }
  t.same(await readState(service), before, 'nothing has changed')

  t.same(await upload(service, 'segment/A/users', body, { query: '?on_error=skip' }), {
    status: 200,
    body: account
  })
  t.same(await membersOf(service, 'A'), ['1', '2', '4'])

  const many = await accountOf(service, 'users', 'x\n'.repeat(50))
  t.same([many.rejected.count, many.rejected.first.length], [50, 20])
})

t.test('the account adds up and the members are correct for any upload', async (t) => {
  const service = await emptyService()
  const id = fc.integer({ min: 1, max: 12 }).map(String)
  const line = fc.oneof(
    { weight: 6, arbitrary: id },
    { weight: 1, arbitrary: fc.constantFrom('0', 'x', '1.5', '') }
  )
  let round = 0
  await fc.assert(
    fc.asyncProperty(fc.array(id), fc.array(line), fc.array(line), async (present, additions, removals) => {
      round += 1
      const slug = `S${round}`
      await service.createSegment(slug)
      await upload(service, `segment/${slug}/users`, present.join('\n'))
      const path = `segment/${slug}/users`
      const members = new Set(present)
      for (const [method, lines] of [
        ['POST', additions],
        ['DELETE', removals]
      ] as const) {
        let changed = 0
        let unchanged = 0
        for (const text of lines.filter((text) => /^[1-9]\d*$/.test(text))) {
          if (method === 'POST' ? members.has(text) : !members.has(text)) unchanged += 1
          else changed += 1
          if (method === 'POST') members.add(text)
          else members.delete(text)
        }
        const said = lines.filter((text) => text !== '').length
        const account = await accountOf(service, path, lines.join('\n'), { method, query: '?on_error=skip' })
        t.match(account, {
          lines: said,
          ...(method === 'POST'
            ? { added: changed, already_members: unchanged }
            : { removed: changed, not_members: unchanged }),
          rejected: { count: said - changed - unchanged }
        })
        t.same(new Set(await membersOf(service, slug)), members)
      }
    }),
    { numRuns: 25 }
  )
})

t.test('expiries', async (t) => {
  const service = await emptyService()
  await service.createSegment('A')
  const expiries = async () => {
    const rows = await service.sql<{ user_id: string; year: number | null }[]>`
      select user_id, extract(year from expires_at)::integer as year from periods where active order by user_id`
    return rows.map(({ user_id, year }) => [user_id, year])
  }
  const year = (number: number) => `${number}-06-01T00:00:00Z`
  await upload(
    service,
    'segment/A/users',
    `user_id,expires_at\n1,${year(2101)}\n2,\n3,${year(2101)}\n3,${year(2102)}\n3,\n`
  )
  t.same(
    await expiries(),
    [
      ['1', 2101],
      ['2', null],
      ['3', 2102]
    ],
    'the last one that is given'
  )

  await upload(service, 'segment/A/users', '1\n2\n3\n')
  t.same(
    await expiries(),
    [
      ['1', 2101],
      ['2', null],
      ['3', 2102]
    ],
    'without a column they stay'
  )

  const lines = [1, 2].map((user_id) => JSON.stringify({ user_id, expires_at: year(2103) }))
  t.match(await accountOf(service, 'segment/A/users', lines.join('\n'), { type: NDJSON }), {
    added: 0,
    already_members: 2
  })
  t.same(
    await expiries(),
    [
      ['1', 2103],
      ['2', 2103],
      ['3', 2102]
    ],
    'replaced'
  )
  t.equal((await service.sql`select from memberships`).length, 3, 'in the existing period')

  await service.sql`
    update memberships
    set added_at = now() - interval '2 days', expires_at = now() - interval '1 day'
    where user_id in (1, 2)`
  t.match(await accountOf(service, 'segment/A/users', '2\n', { method: 'DELETE' }), {
    removed: 0,
    not_members: 1
  })
  t.match(await accountOf(service, 'segment/A/users', '1\n'), { added: 1, already_members: 0 })
  t.same(
    await expiries(),
    [
      ['1', null],
      ['3', 2102]
    ],
    'expired users are not members, and are added again'
  )
  const periods = await service.sql`
    select added_cause as added, ended_cause as ended, ended_at = expires_at as at_expiry
    from periods where user_id = 1 order by added_at`
  t.same(periods, [
    { added: 'import', ended: 'expiry', at_expiry: true },
    { added: 'import', ended: null, at_expiry: null }
  ])
})

t.test('new users of an upload are enrolled, once', async (t) => {
  const key = makeKey('crm', 'editor')
  const admin = makeKey('boss', 'admin')
  const service = await startService(t, { API_KEYS: configureKeys(key, admin) })
  await service.sql`
    insert into segments (slug, selection, enroll_new_users, deleted_at)
    values ('ALL', 1, true, null), ('NONE', 0, true, null), ('HALF', 0.5, true, null),
      ('GONE', 1, true, now()), ('A', 1, true, null), ('B', null, false, null)`
  await service.sql`insert into users (id) values (1)`
  const send = (method: 'POST' | 'DELETE', path: string, body: string) =>
    service.request({
      method,
      url: `/api/v1/${path}`,
      headers: { 'content-type': 'text/csv', ...key.headers },
      body
    })
  const ids = Array.from({ length: 400 }, (_, index) => index + 1)
  t.match(await send('POST', 'segment/A/users', ids.slice(0, 200).join('\n')), {
    status: 200,
    body: { new_users: 199 }
  })
  t.match(await send('POST', 'users', ids.join('\n')), { status: 200, body: { new_users: 200 } })
  t.match(await send('DELETE', 'segment/A/users', '1\n2\n'), { status: 200, body: { removed: 2 } })

  const causes = await service.sql`
    select slug, added_cause::text as cause, added_by as actor, count(*)::integer
    from periods where slug <> 'HALF' group by 1, 2, 3 order by 1, 2`
  t.same(causes, [
    { slug: 'A', cause: 'enrollment', actor: 'crm', count: 200 },
    { slug: 'A', cause: 'import', actor: 'crm', count: 200 },
    { slug: 'ALL', cause: 'enrollment', actor: 'crm', count: 399 }
  ])
  const half = (await membersOf(service, 'HALF')).length
  t.ok(half > 130 && half < 270, `each sampled separately: ${half} of 399`)
  t.same(
    await service.sql`select ended_cause as cause, ended_by as actor from periods where not active`,
    [1, 2].map(() => ({ cause: 'import', actor: 'crm' }))
  )
})

t.test('an upload into a segment that is being filled takes precedence', async (t) => {
  const service = await startService(t)
  await service.sql`insert into users (id) select generate_series(1, 10)`
  // Nobody fills the segment until the test takes the steps.
  await service.app.backgroundJobs.assignments.stop()
  await service.createSegment('A', 1, { prefer: 'respond-async' })
  t.match(await accountOf(service, 'segment/A/users', '1\n2\n'), { added: 2 })
  t.match(await accountOf(service, 'segment/A/users', '2\n3\n', { method: 'DELETE' }), {
    removed: 1,
    not_members: 1
  })
  while (await continueAssignment(service.app.bulk, 100));
  t.same(await membersOf(service, 'A'), ['1', '4', '5', '6', '7', '8', '9', '10'])
})

t.test('an unknown or deleted segment is not found', async (t) => {
  const service = await emptyService()
  await service.createSegment('GONE')
  await service.deleteSegment('GONE')
  for (const slug of ['NOWHERE', 'GONE'])
    for (const method of ['POST', 'DELETE'] as const)
      t.same(await upload(service, `segment/${slug}/users`, '1\n', { method }), {
        status: 404,
        body: { message: `segment with slug (${slug}) not found`, code: 'SEGMENT_NOT_FOUND' }
      })
  t.equal((await service.sql`select from users`).length, 0)
})

t.test('anything but an upload is refused', async (t) => {
  const service = await emptyService()
  await service.createSegment('A')
  const url = '/api/v1/segment/A/users'
  const send = async (headers: Record<string, string>, body?: string, query = '') => {
    const answer = await service.request({
      method: 'POST',
      url: url + query,
      headers,
      ...(body === undefined ? {} : { body })
    })
    return [answer.status, (answer.body as Account).code]
  }
  t.same(await send({ 'content-type': 'text/plain' }, '1'), [415, 'UNSUPPORTED_MEDIA_TYPE'])
  t.same(await send({}), [415, 'UNSUPPORTED_MEDIA_TYPE'])
  t.same(await send({ 'content-type': 'text/csv', 'content-encoding': 'br' }, '1'), [
    415,
    'UNSUPPORTED_MEDIA_TYPE'
  ])
  t.same(await send({ 'content-type': 'text/csv', 'content-encoding': 'gzip' }, '1'), [
    400,
    'INVALID_REQUEST'
  ])
  t.same(await send({ 'content-type': 'text/csv', 'content-length': String(2 ** 30 + 1) }, '1'), [
    413,
    'BODY_TOO_LARGE'
  ])
  t.same(await send({ 'content-type': 'application/json' }, '[1'), [400, 'INVALID_JSON'])
  t.same(await send({ 'content-type': 'application/json' }, ''), [400, 'INVALID_JSON'])
  t.same(await send({ 'content-type': 'text/csv' }, 'user_id,email\n1,a@b'), [400, 'INVALID_REQUEST'])
  t.same(await send({ 'content-type': 'text/csv' }, '1', '?dry_run=1'), [400, 'INVALID_REQUEST'])
  t.same(await send({ 'content-type': 'text/csv' }, '1', '?on_error=ignore'), [400, 'INVALID_REQUEST'])
  t.same(await send({ 'content-type': 'text/csv' }, '1', '?dryrun=true'), [400, 'INVALID_REQUEST'])
  t.equal((await service.sql`select from users`).length, 0, 'nothing has changed')
  t.same(await accountOf(service, 'segment/A/users', ''), {
    lines: 0,
    added: 0,
    already_members: 0,
    new_users: 0,
    rejected: none
  })
  for (const headers of [
    { 'content-type': 'TEXT/CSV; charset=utf-8', 'content-encoding': 'identity' },
    { 'content-type': 'application/x-ndjson' },
    { 'content-type': 'application/ndjson' }
  ])
    t.same(await send(headers, '1'), [200, undefined], headers['content-type'])
})

t.test('an upload may be compressed, and may be a file in a form', async (t) => {
  const service = await emptyService()
  await service.createSegment('A')
  const send = async (body: Buffer | FormData, headers: Record<string, string> = {}) => {
    // A form as a browser sends it.
    const form = body instanceof FormData ? new Response(body) : undefined
    const type = form?.headers.get('content-type') ?? CSV
    const { status, body: answer } = await service.request({
      method: 'POST',
      url: '/api/v1/segment/A/users',
      headers: { 'content-type': type, ...headers },
      body: body instanceof Buffer ? body : Buffer.from((await form?.arrayBuffer()) ?? new ArrayBuffer())
    })
    return { status, ...(answer as Account) }
  }
  const gzip = { 'content-encoding': 'gzip' }
  const form = (name: string, text: string | Buffer, type = '') => {
    const data = new FormData()
    data.append('users', new Blob([text], { type }), name)
    return data
  }
  const csv = Array.from({ length: 30_000 }, (_, n) => `${n + 1}\n`).join('')

  t.match(await send(gzipSync(csv), gzip), { status: 200, lines: 30_000, added: 30_000 })
  t.match(
    await send(Buffer.concat([gzipSync('1\n'), gzipSync('30001')]), gzip),
    { lines: 2, added: 1 },
    'in parts'
  )
  t.match(await send(form('users.csv', csv, 'application/vnd.ms-excel')), {
    lines: 30_000,
    already_members: 30_000
  })
  t.match(await send(form('USERS.JSON', '[1, 2]')), { lines: 2 })
  t.match(await send(form('users.jsonl', '"1"\n2\n{"user_id":3}')), { lines: 3 })
  t.match(
    await send(form('Книга1.txt', Buffer.from('\ufeffid\t\r\n7\t\r\n', 'utf16le'))),
    { status: 400 },
    'an unnamed column'
  )
  t.match(await send(form('Книга1.txt', Buffer.from('\ufeffid\r\n7\r\n', 'utf16le'))), { lines: 1 })
  t.match(await send(form('', '')), { status: 400 }, 'no file is chosen')
  const compressed = gzipSync(Buffer.from(await new Response(form('a', '1')).arrayBuffer()))
  t.match(await send(compressed, gzip), { status: 400 }, 'its content type is CSV')

  const members = () => service.sql`select count(*)::integer from memberships`
  const before = await members()
  for (const [body, message] of [
    [gzipSync('50000\n').subarray(0, -1), 'the body is not valid gzip'],
    [Buffer.concat([gzipSync('50000\n'), Buffer.from('x')]), 'the body is not valid gzip'],
    [Buffer.from('50000\n'), 'the body is not valid gzip']
  ] as const)
    t.match(await send(body, gzip), { status: 400, code: 'INVALID_REQUEST', message })
  const two = form('a.csv', '50000')
  two.append('more', new Blob(['50001']), 'b.csv')
  const options = form('a.csv', '50000')
  options.append('dry_run', 'true')
  for (const [body, message] of [
    [two, 'the form has more than one file'],
    [options, 'the form has a field that is no file: options belong in the query'],
    [new FormData(), 'the form has no file']
  ] as const)
    t.match(await send(body), { status: 400, code: 'INVALID_REQUEST', message }, message)
  for (const [body, type] of [
    ['50000', 'multipart/form-data'],
    [
      '--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n50000\n',
      'multipart/form-data; boundary=x'
    ],
    ['--x\r\n', 'multipart/form-data; boundary=x'],
    ['', 'multipart/form-data; boundary=x']
  ] as const)
    t.match(
      await send(Buffer.from(body), { 'content-type': type }),
      { status: 400, code: 'INVALID_REQUEST' },
      body
    )
  t.same(await members(), before, 'nothing has changed')
  t.match(await send(form('a.csv', '50000')), { status: 200, added: 1 }, 'later uploads are taken')
})

t.test('users of an upload become known, enrolled and members at one moment', async (t) => {
  const service = await startService(t)
  await service.post('/api/v1/segment', { slug: 'ALL', selection: 1, enroll_new_users: true })
  await service.createSegment('A')
  t.match(await accountOf(service, 'segment/A/users', '1\n2\n'), { added: 2, new_users: 2 })
  t.same(
    await service.sql`
      select count(*)::integer as periods, count(distinct added_at)::integer as moments, min(added_at) = min(created_at) as known
      from memberships
      join users on users.id = user_id`,
    [{ periods: 4, moments: 1, known: true }]
  )
})

// On Citus, the workers have the statistics.
if (!isDistributed)
  t.test('an upload into a table that has just grown renews its statistics', async (t) => {
    const service = await startService(t)
    await service.sql`alter table memberships set (autovacuum_enabled = off)`
    await service.createSegment('A')
    const ids = Array.from({ length: 20_000 }, (_, index) => index + 1).join('\n')
    t.match(await accountOf(service, 'segment/A/users', ids), { added: 20_000 })
    const readStatistics = () => service.sql`
    select most_common_vals from pg_stats where tablename = 'memberships' and attname = 'segment_id'`
    t.same(await readStatistics(), [], 'PostgreSQL has not noticed yet')
    // Without statistics, each line would be compared with each member.
    t.match(await accountOf(service, 'segment/A/users', ids, { method: 'DELETE' }), { removed: 20_000 })
    t.match(await readStatistics(), [{ most_common_vals: '{1}' }])
  })
