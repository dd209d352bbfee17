import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { addPeriod } from '../support/periods.ts'
import { createFolder, dayFromNow, shareService, startService, startServiceOn } from '../support/service.ts'

const header = 'user_id,segment_slug,operation,date\n'
const invalid = (message: string) => ({ status: 400, body: { message, code: 'INVALID_REQUEST' } })

const emptyService = await shareService(t)

t.test('a report contains the half-open interval, to the microsecond, oldest first', async (t) => {
  const inside = '2023-08-01T00:00:00.000000Z,2023-08-30T23:59:59.999999Z'.split(',') as [string, string]
  const outside = '2023-07-31T23:59:59.999999Z,2023-08-31T00:00:00.000000Z'.split(',') as [string, string]

  const first = await addPeriod(await emptyService(), ...inside)
  t.same(await first.makeReport(1, '2023-08-01', '2023-08-31'), {
    status: 200,
    body: `${header}1,A,add,${inside[0]}\n1,A,delete,${inside[1]}\n`
  })
  const second = await addPeriod(await emptyService(), ...outside)
  t.same(
    await second.makeReport(1, '2023-08-01', '2023-08-31'),
    { status: 200, body: header },
    'the header is there even with no rows'
  )
  t.same(await second.makeReport(1, '2023-07-31', '2023-09-01'), {
    status: 200,
    body: `${header}1,A,add,${outside[0]}\n1,A,delete,${outside[1]}\n`
  })
})

t.test('an expiry is in the report once it has passed, and never before', async (t) => {
  const service = await addPeriod(await emptyService(), '2023-08-01T10:00:00Z', null)
  await service.sql`update memberships set expires_at = now() + interval '1 hour'`
  t.same(await service.history(1), [['1', 'A', 'add', '2023-08-01T10:00:00.000000Z']])
  await service.sql`update memberships set expires_at = '2023-08-02T10:00:00.123456Z'`
  t.same(await service.history(1), [
    ['1', 'A', 'add', '2023-08-01T10:00:00.000000Z'],
    ['1', 'A', 'delete', '2023-08-02T10:00:00.123456Z']
  ])
  t.same(await service.getSegments(1), { status: 200, body: [] })
  await service.changeSegments(1, ['A'])
  t.same(await service.getSegments(1), { status: 200, body: ['A'] }, 'joining again begins a new period')
  t.equal((await service.history(1)).length, 3)
})

t.test('ordering a report', async (t) => {
  const service = await startService(t, { ALLOWED_HOSTS: '*' })
  await service.changeSegments('9223372036854775807')
  await service.changeSegments(1)

  t.test('answers at once with a link that leads to the report', async (t) => {
    const url = '/api/v1/segments/user/1/csv?from=2023-08-01&to=2023-08-31'
    const answer = await service.request({
      method: 'GET',
      url,
      headers: { host: 'segments.example:8443' }
    })
    const path = '/api/v1/segments/user/history/user-1_2023-08-01_2023-08-31.csv'
    t.same(answer, { status: 202, body: { link: `http://segments.example:8443${path}` } })
    await service.makeReport(1, '2023-08-01', '2023-08-31')
    const { statusCode, headers, body } = await service.app.inject(path)
    t.equal(statusCode, 200)
    t.match(headers, {
      'content-type': 'text/csv; charset=utf-8',
      'content-disposition': 'attachment; filename="user-1_2023-08-01_2023-08-31.csv"',
      'content-length': String(header.length)
    })
    t.equal(body, header)

    for (const host of ['a b', 'example.com/path', 'user@example.com', '"><x', 'example.com:port']) {
      t.same(
        await service.request({ method: 'GET', url, headers: { host } }),
        invalid('header (host) must be a host name, with a port or without'),
        host
      )
    }
    for (const host of ['[::1]:8080', 'segments', '10.0.0.1:80']) {
      const { body } = await service.request({ method: 'GET', url, headers: { host } })
      t.same(body, { link: `http://${host}${path}` })
    }

    const behindProxy = await startServiceOn(t, service.database, {
      PUBLIC_URL: 'https://example.com/segments/'
    })
    t.same(await behindProxy.orderReport(1, '2023-08-01', '2023-08-31'), {
      status: 202,
      body: { link: `https://example.com/segments${path}` }
    })
  })

  t.test('works for the largest id', async (t) => {
    t.same(await service.makeReport('9223372036854775807', '2023-08-01', '2023-08-31'), {
      status: 200,
      body: header
    })
  })

  t.test('refuses anything but an interval of past days', async (t) => {
    const noDay = (name: string) =>
      invalid(`query parameter (${name}) must be a day that exists, as YYYY-MM-DD`)
    for (const day of [
      '2023-02-29',
      '2023-13-01',
      '2023-00-10',
      '0000-01-01',
      '2023-8-1',
      '2023-08-01T00:00:00Z',
      '',
      'x'
    ]) {
      t.same(await service.orderReport(1, day, '2023-08-31'), noDay('from'), day)
      t.same(await service.orderReport(1, '2023-08-01', day), noDay('to'), day)
    }
    t.match(await service.orderReport(1, '2024-02-29', '2024-03-01'), { status: 202 }, 'a leap day')
    t.match(
      await service.orderReport(1, '0001-01-01', '0001-01-02'),
      { status: 202 },
      'the first day there is'
    )

    const message = 'query parameter (from) must be before (to): 2023-08-01 is not before 2023-08-01'
    t.same(await service.orderReport(1, '2023-08-01', '2023-08-01'), invalid(message))
    t.match(await service.orderReport(1, '2023-08-02', '2023-08-01'), { status: 400 })

    t.match(await service.orderReport(1, '2023-08-01', dayFromNow(1)), { status: 202 }, 'including today')
    t.same(
      await service.orderReport(1, '2023-08-01', dayFromNow(2)),
      invalid(`query parameter (to) must be tomorrow at the latest: ${dayFromNow(2)} is later`)
    )
    const order = (query: string) =>
      service.request({ method: 'GET', url: `/api/v1/segments/user/1/csv${query}` })
    t.same(await order(''), invalid('query parameter (from) is missing'))
    t.same(await order('?from=2023-08-01'), invalid('query parameter (to) is missing'))
    t.same(await order('?from=2023-08-01&to=2023-08-31&till=x'), invalid('unknown query parameter (till)'))
    t.match(await order('?from=2023-08-01&from=2023-08-02&to=2023-08-31'), { status: 400 })
  })

  t.test('refuses an unknown user', async (t) => {
    t.same(await service.orderReport(2, '2023-08-01', '2023-08-31'), {
      status: 404,
      body: { message: 'user with id (2) not found', code: 'USER_NOT_FOUND' }
    })
    t.match(await service.orderReport(0, '2023-08-01', '2023-08-31'), { status: 400 })
  })
})

t.test('a report of 100,000 periods matches the database row by row', async (t) => {
  const service = await emptyService()
  await service.sql`insert into segments (slug) select 'S' || n from generate_series(1, 100) n`
  await service.changeSegments(1)
  await service.sql`
    insert into memberships (user_id, segment_id, added_at, removed_at)
    select 1, s.id, start, case when n < 1000 or s.id % 3 > 0 then start + interval '20 minutes' end
    from segments s, generate_series(1, 1000) n,
      lateral (select '2022-01-01T00:00:00.000001Z'::timestamptz + n * interval '30 minutes' + s.id * interval '7 seconds') l (start)`
  await service.sql`update segments set created_at = '2022-01-01', deleted_at = '2022-02-01T12:00:00.5Z' where id % 10 = 0`
  const { status, body } = await service.makeReport(1, '2022-01-01', '2022-03-01')
  t.equal(status, 200)
  const rows = String(body).trim().split('\n').slice(1)
  t.equal(rows.length, 200_000 - 30, 'all changes except ends in the future')

  // Derived from the tables, not from the views that the report reads.
  const expected = await service.sql<{ line: string }[]>`
    with ends as (
      select s.slug, s.id, m.added_at, case
        when m.removed_at is null then s.deleted_at
        when s.deleted_at is null or m.removed_at < s.deleted_at then m.removed_at
        else s.deleted_at
      end as ended_at
      from memberships m join segments s on s.id = m.segment_id
    ),
    events as (
      select slug, id, 'add' as operation, added_at as at from ends
      union all
      select slug, id, 'delete', case when ended_at < added_at then added_at else ended_at end from ends
      where ended_at is not null
    )
    select '1,' || slug || ',' || operation || ',' || to_char(at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as line
    from events`
  const sorted = (lines: string[]) => lines.toSorted()
  t.ok(sorted(rows).join('\n') === sorted(expected.map(({ line }) => line)).join('\n'), 'the same rows')
  const times = rows.map((row) => row.split(',')[3] ?? '')
  t.ok(times.join() === times.toSorted().join(), 'oldest first')
})

t.test('fetching a name that is not a report reads no file', async (t) => {
  const folder = await createFolder(t)
  const service = await startService(t, { REPORTS_DIR: join(folder, 'reports') })
  await writeFile(join(folder, 'secret.csv'), 'secret')
  await writeFile(join(folder, 'reports', 'other.csv'), 'secret')
  const names = [
    '..%2fsecret.csv',
    '../secret.csv',
    '%2e%2e/secret.csv',
    '%2e%2e%2fsecret.csv',
    '..%5csecret.csv',
    'other.csv',
    'user-1_2023-08-01_2023-08-31.csv%00',
    'user-1_2023-08-01_2023-08-31.csv%2f..%2f..%2fsecret.csv',
    'user-1_2023-08-01_2023-08-31.csv/../../secret.csv',
    'user-01_2023-08-01_2023-08-31.csv',
    'user-1_2023-08-01_2023-08-31.CSV',
    '.',
    '..',
    '%252e%252e%252fsecret.csv',
    'a'.repeat(10_000)
  ]
  for (const name of names) {
    const { status, body } = await service.getReport(name)
    t.ok(status === 400 || status === 404, `${status} for ${name.slice(0, 80)}`)
    t.notMatch(JSON.stringify(body), /^secret/)
    t.match(body, { message: String, code: String })
  }
  t.same(await service.getReport('user-1_2023-08-01_2023-08-31.csv'), {
    status: 404,
    body: {
      message: 'report (user-1_2023-08-01_2023-08-31.csv) not found: order it first',
      code: 'REPORT_NOT_FOUND'
    }
  })
})
