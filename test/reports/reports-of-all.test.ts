/** Reports of all users, in all segments or in one. */
import { readdir } from 'node:fs/promises'
import t from 'tap'
import { countBlocked, holdTable } from '../support/locks.ts'
import { addPeriod } from '../support/periods.ts'
import { dayFromNow, shareService, startServiceOn, type TestService, waitUntil } from '../support/service.ts'

const header = 'user_id,segment_slug,operation,date\n'
const august = { from: '2023-08-01', to: '2023-08-31' }
const invalid = (message: string) => ({ status: 400, body: { message, code: 'INVALID_REQUEST' } })

function linesOf({ status, body }: { status: number; body: unknown }): string[] {
  const text = String(body)
  if (status !== 200 || !text.startsWith(header) || !text.endsWith('\n'))
    throw new Error(`not a report: ${status} ${text.slice(0, 100)}`)
  return text.slice(header.length).split('\n').slice(0, -1)
}

const userIds = [
  '1',
  '9',
  '10',
  '99',
  '100',
  '9007199254740993',
  '9223372036854775806',
  '9223372036854775807'
]

/** Slugs that look like parts of a report's name. */
const slugs = ['A', 'A_2023-08-01_2023-08-02', 'A.CSV', 'A-B', 'A_', '0', 'ALL', 'USER-1']

/** Users with periods in all segments, one of them deleted. Many periods begin or end at the same moment. */
async function addHistory(service: TestService): Promise<TestService> {
  const { sql } = service
  await sql`insert into users (id) select unnest(${userIds}::text[]::bigint[])`
  await sql`insert into segments (slug, created_at) select unnest(${slugs}::text[]), '2023-07-01'`
  // Inserted in random order, so that the report has to sort.
  await sql`
    insert into memberships (user_id, segment_id, added_at, removed_at)
    select
      users.id,
      segments.id,
      '2023-07-31T22:00:00.000001Z'::timestamptz + n * interval '1 hour',
      case when n % 3 = 0 then '2023-07-31T22:00:00.000001Z'::timestamptz + (n + n / 6 % 2) * interval '1 hour'
        else '2023-07-31T22:00:00.000001Z'::timestamptz + (n + 1) * interval '1 hour' end
    from users, segments, generate_series(0, 40) n
    order by md5(users.id::text || segments.id || n)`
  await sql`
    insert into memberships (user_id, segment_id, added_at)
    select users.id, segments.id, '2023-08-10T00:00:00.000001Z' from users, segments`
  await sql`update segments set deleted_at = '2023-08-20T12:00:00.5Z' where slug = 'A_'`
  return service
}

const emptyService = await shareService(t)

t.test('a report of all users contains the reports of each user, in one order', async (t) => {
  const service = await addHistory(await emptyService())
  const lines = linesOf(await service.makeReportOfAll(august))
  t.ok(lines.length > 4_000, `${lines.length} rows`)

  const single: string[] = []
  for (const userId of userIds) {
    const report = linesOf(await service.makeReport(userId, august.from, august.to))
    const own = lines.filter((line) => line.startsWith(`${userId},`))
    t.ok(report.length > 500)
    t.same(own, report, `all rows of ${userId}, in the order of its own report`)
    single.push(...report)
  }
  t.ok(lines.toSorted().join() === single.toSorted().join(), 'and nobody else’s')

  const dates = lines.map((line) => line.split(',')[3] ?? '')
  t.same(dates, dates.toSorted(), 'oldest first')
  // At one moment, removals come before additions, each by user id.
  const atOnce = lines.filter((line) => line.endsWith(',delete,2023-08-20T12:00:00.500000Z'))
  t.same(
    atOnce.map((line) => line.split(',')[0]),
    userIds,
    'ids in the order of numbers'
  )

  await service.sql`update reports set expires_at = now() where user_id is null`
  t.same(linesOf(await service.makeReportOfAll(august)), lines, 'generating it again gives the same report')

  t.test('a report of one segment is the corresponding part', async (t) => {
    for (const slug of slugs) {
      const report = linesOf(await service.makeReportOfAll({ ...august, segment: slug.toLowerCase() }))
      t.ok(report.length > 500)
      t.same(
        report,
        lines.filter((line) => line.split(',')[1] === slug),
        slug
      )
    }
    const names = await service.sql<{ filename: string }[]>`
      select filename from reports where segment_slug is not null order by filename collate "C"`
    t.same(
      names.map(({ filename }) => filename),
      slugs.map((slug) => `segment-${slug}_2023-08-01_2023-08-31.csv`).toSorted()
    )
  })
})

t.test('the interval is half-open, to the microsecond', async (t) => {
  const inside = ['2023-08-01T00:00:00.000000Z', '2023-08-30T23:59:59.999999Z'] as const
  const outside = ['2023-07-31T23:59:59.999999Z', '2023-08-31T00:00:00.000000Z'] as const
  for (const [period, expected] of [
    [inside, [`1,A,add,${inside[0]}`, `1,A,delete,${inside[1]}`]],
    [outside, []]
  ] as const) {
    const service = await addPeriod(await emptyService(), period[0], period[1])
    for (const body of [august, { ...august, segment: 'A' }])
      t.same(linesOf(await service.makeReportOfAll(body)), expected)
  }
})

t.test('ordering a report of all users', async (t) => {
  const service = await emptyService()
  await service.createSegment('A')
  const order = (body: unknown) => service.post('/api/v1/reports', body)

  t.test('answers at once with a link that leads to the report and its status', async (t) => {
    for (const [body, filename] of [
      [august, 'all_2023-08-01_2023-08-31.csv'],
      [{ ...august, segment: 'a' }, 'segment-A_2023-08-01_2023-08-31.csv']
    ] as const) {
      const path = `/api/v1/reports/${filename}`
      const { status, body: ordered } = await order(body)
      t.same([status, ordered], [202, { link: `http://localhost:80${path}` }])
      t.same(await service.makeReportOfAll(body), { status: 200, body: header })
      const { headers } = await service.app.inject(path)
      t.match(headers, {
        'content-type': 'text/csv; charset=utf-8',
        'content-disposition': `attachment; filename="${filename}"`,
        'content-length': String(header.length)
      })
      t.match(await service.request({ method: 'GET', url: `${path}/status` }), {
        status: 200,
        body: { status: 'ready', rows: 0, bytes: header.length }
      })
    }
    const behindProxy = await startServiceOn(t, service.database, {
      PUBLIC_URL: 'https://example.com/segments/'
    })
    t.same(await behindProxy.orderReportOfAll(august), {
      status: 202,
      body: { link: 'https://example.com/segments/api/v1/reports/all_2023-08-01_2023-08-31.csv' }
    })
  })

  t.test('refuses anything but an interval of past days', async (t) => {
    t.same(
      await order({ from: '2023-02-29', to: '2023-08-31' }),
      invalid('body field (from) must be a day that exists, as YYYY-MM-DD')
    )
    t.same(
      await order({ from: '2023-08-01', to: '2023-08-01' }),
      invalid('body field (from) must be before (to): 2023-08-01 is not before 2023-08-01')
    )
    t.same(
      await order({ from: '2023-08-01', to: dayFromNow(2) }),
      invalid(`body field (to) must be tomorrow at the latest: ${dayFromNow(2)} is later`)
    )
    t.match(await order({ from: '2023-08-01', to: dayFromNow(1) }), { status: 202 })
    t.same(await order({ from: '2023-08-01' }), invalid('body field (to) is missing'))
    t.same(await order({ ...august, segments: ['A'] }), invalid('unknown body field (segments)'))
    t.match(await order({ ...august, segment: '' }), { status: 400 })
    t.match(await order({ ...august, segment: 1 }), { status: 400 })
  })

  t.test('refuses a segment that never existed', async (t) => {
    t.same(await order({ ...august, segment: 'b' }), {
      status: 404,
      body: { message: 'segment with slug (B) not found', code: 'SEGMENT_NOT_FOUND' }
    })
    t.same(await service.sql`select from reports where segment_slug = 'B'`, [])
  })

  t.test('is served at its own path, and nowhere else', async (t) => {
    const fetchFrom = (folder: string, name: string) =>
      service.request({ method: 'GET', url: `/api/v1/${folder}/${name}` })
    t.same(
      await fetchFrom('segments/user/history', 'all_2023-08-01_2023-08-31.csv'),
      invalid('path parameter (filename) must be a name like user-10_2023-08-01_2023-08-31.csv')
    )
    for (const name of [
      'all_2023-08-01_2023-08-31',
      'all-1_2023-08-01_2023-08-31.csv',
      'segment-_2023-08-01_2023-08-31.csv',
      'segment-..%2fA_2023-08-01_2023-08-31.csv',
      `segment-${'A'.repeat(129)}_2023-08-01_2023-08-31.csv`,
      'user-01_2023-08-01_2023-08-31.csv'
    ])
      t.match(await fetchFrom('reports', name), { status: 400 }, name)
    t.match(await fetchFrom('reports', 'segment-B_2023-08-01_2023-08-31.csv'), {
      status: 404,
      body: { code: 'REPORT_NOT_FOUND' }
    })
    await service.changeSegments(1)
    const report = await service.makeReport(1, august.from, august.to)
    t.same(
      await fetchFrom('reports', 'user-1_2023-08-01_2023-08-31.csv'),
      report,
      'the same applies to a user’s report'
    )
  })
})

t.test(
  'a report of all users is generated once for a past interval, and for each order if it includes today',
  async (t) => {
    const service = await addPeriod(await emptyService(), '2023-08-10T00:00:00Z', '2023-08-20T00:00:00Z')
    const files = () => readdir(service.reportsDirectory)
    await service.makeReportOfAll(august)
    const stored = await files()
    t.equal(stored.length, 1)
    await service.makeReportOfAll(august)
    t.same(await files(), stored)

    const days = { from: dayFromNow(0), to: dayFromNow(1) }
    for (let round = 0; round < 4; round += 1) {
      await service.changeSegments(round + 2, ['A'])
      await service.orderReportOfAll(days)
      t.equal(linesOf(await service.makeReportOfAll(days)).length, round + 1)
      t.equal(linesOf(await service.makeReportOfAll({ ...days, segment: 'A' })).length, round + 1)
    }
  }
)

t.test(
  'any instance generates and serves reports of all users that were ordered from another one',
  async (t) => {
    const first = await addPeriod(await emptyService(), '2023-08-10T00:00:00Z', null)
    const second = await startServiceOn(t, first.database, { REPORTS_DIR: first.reportsDirectory })
    const release = await holdTable(t, first.database, 'memberships')
    await first.orderReportOfAll(august)
    await waitUntil(
      () => countBlocked(first.database, 'user-segments report'),
      (count) => count === 1
    )
    await first.orderReportOfAll({ ...august, segment: 'A' })
    await first.orderReportOfAll({ from: '2023-08-02', to: '2023-08-31' })
    second.app.reportJobs.start()
    await waitUntil(
      () => countBlocked(first.database, 'user-segments report'),
      (count) => count === 2
    )
    await release()
    for (const service of [first, second]) {
      for (const name of ['all_2023-08-01', 'segment-A_2023-08-01', 'all_2023-08-02']) {
        const answer = await waitUntil(
          () => service.request({ method: 'GET', url: `/api/v1/reports/${name}_2023-08-31.csv` }),
          ({ status }) => status === 200
        )
        t.same(linesOf(answer), ['1,A,add,2023-08-10T00:00:00.000000Z'])
      }
    }
  }
)

t.test('a user’s report does not wait for reports of all users', async (t) => {
  const service = await addPeriod(await emptyService(), '2023-08-10T00:00:00Z', null)
  const release = await holdTable(t, service.database, 'memberships')
  const states = () => service.sql<{ filename: string; status: string }[]>`
    select split_part(filename, '_', 1) as filename, status from reports order by filename`
  await service.orderReportOfAll(august)
  await service.orderReportOfAll({ ...august, segment: 'A' })
  await service.orderReport(1, august.from, august.to)
  const expected = [
    { filename: 'all', status: 'running' },
    { filename: 'segment-A', status: 'queued' },
    { filename: 'user-1', status: 'running' }
  ]
  t.same(
    await waitUntil(states, (rows) => rows.filter(({ status }) => status === 'running').length === 2),
    expected
  )
  await release()
  for (const path of ['reports/all', 'reports/segment-A', 'segments/user/history/user-1'])
    await waitUntil(
      () => service.get(`/api/v1/${path}_${august.from}_${august.to}.csv`),
      ({ status }) => status === 200
    )
})
