/** Months, details, bounds, turns and the cancellation of orders. */
import { readdir } from 'node:fs/promises'
import t from 'tap'
import { shareErasure } from '../../src/database/locks.ts'
import { transaction } from '../../src/database/transaction.ts'
import { claimReport } from '../../src/reports/job-queries.ts'
import type { Answer } from '../support/client.ts'
import { configureKeys, makeKey } from '../support/keys.ts'
import { countBlocked, holdTable, waitForBlocked } from '../support/locks.ts'
import { addPeriod } from '../support/periods.ts'
import { dayFromNow, shareService, startService, type TestService, waitUntil } from '../support/service.ts'

const emptyService = await shareService(t)
const header = 'user_id,segment_slug,operation,date\n'
const today = dayFromNow(0)

const pathOf = (order: Answer) => {
  const { pathname, search } = new URL(order.json<{ link: string }>().link)
  return pathname + search
}
const remove = (service: TestService, url: string, headers = {}) =>
  service.request({ method: 'DELETE', url, headers })
const waitFor = (service: TestService, url: string, headers = {}) =>
  waitUntil(
    () => service.get(url, headers),
    ({ code }) => code !== 'REPORT_PENDING'
  )

t.test('a month is the interval of its days', async (t) => {
  const service = await emptyService()
  await service.changeSegments(1)
  const order = (query: string) => service.get(`/api/v1/segments/user/1/csv?${query}`)
  const name = async (query: string) =>
    pathOf(await order(query))
      .split('/')
      .pop()
  t.equal(await name('month=2023-08'), 'user-1_2023-08-01_2023-09-01.csv')
  t.equal(await name('month=2023-12'), 'user-1_2023-12-01_2024-01-01.csv')
  t.equal(await name('month=0001-02'), 'user-1_0001-02-01_0001-03-01.csv')
  const current = await name(`month=${today.slice(0, 7)}`)
  t.ok(current?.startsWith(`user-1_${today.slice(0, 7)}-01_${dayFromNow(1)}.csv?as_of=`), String(current))
  const all = await service.post('/api/v1/reports', { month: '2023-08' })
  t.equal(pathOf(all), '/api/v1/reports/all_2023-08-01_2023-09-01.csv')

  const refusals: [query: string, message: string][] = [
    ['month=2023-13', 'query parameter (month) must be a month, as YYYY-MM'],
    ['month=2023-8', 'query parameter (month) must be a month, as YYYY-MM'],
    ['month=9999-12', 'query parameter (month) must be the current month at the latest'],
    ['month=2023-08&to=2023-08-31', 'query parameter (month) cannot be combined with (from) or (to)']
  ]
  for (const [query, message] of refusals)
    t.same(await order(query), { status: 400, body: { message, code: 'INVALID_REQUEST' } })
  t.match(await service.post('/api/v1/reports', { month: '9999-12' }), {
    status: 400,
    body: { message: 'body field (month) must be the current month at the latest' }
  })
})

t.test('details are three further columns, in a file with another name', async (t) => {
  const service = await addPeriod(await emptyService(), '2023-08-10T00:00:00Z', '2023-08-20T00:00:00Z')
  await service.sql`
    update memberships
    set added_cause = 'import', added_by = 'crm', expires_at = '2023-08-25T00:00:00Z', removed_by = 'support'`
  const days = 'from=2023-08-01&to=2023-08-31'
  const rows =
    'user_id,segment_slug,operation,date,cause,actor,expires_at\n' +
    '1,A,add,2023-08-10T00:00:00.000000Z,import,crm,2023-08-25T00:00:00.000000Z\n' +
    '1,A,delete,2023-08-20T00:00:00.000000Z,request,support,\n'
  const order = await service.get(`/api/v1/segments/user/1/csv?${days}&details=true`)
  t.equal(pathOf(order), '/api/v1/segments/user/history/user-1_2023-08-01_2023-08-31_details.csv')
  t.equal((await waitFor(service, pathOf(order))).text, rows)
  const body = { from: '2023-08-01', to: '2023-08-31', segment: 'a', details: true }
  const ofSegment = await service.post('/api/v1/reports', body)
  t.equal(pathOf(ofSegment), '/api/v1/reports/segment-A_2023-08-01_2023-08-31_details.csv')
  t.equal((await waitFor(service, pathOf(ofSegment))).text, rows)

  const without = await service.get(`/api/v1/segments/user/1/csv?${days}&details=false`)
  t.equal(
    (await waitFor(service, pathOf(without))).text,
    `${header}1,A,add,2023-08-10T00:00:00.000000Z\n1,A,delete,2023-08-20T00:00:00.000000Z\n`
  )
})

t.test('an order can be cancelled', async (t) => {
  const service = await addPeriod(await emptyService(), '2023-08-10T00:00:00Z', null)
  const release = await holdTable(t, service.database, 'memberships')
  const running = pathOf(await service.orderReport(1, '2023-08-01', '2023-08-31'))
  await waitForBlocked(service.database, 1, 'user-segments report')
  t.match(await remove(service, running), { status: 204 })
  t.match(await service.get(running), { status: 404, body: { code: 'REPORT_NOT_FOUND' } })
  await waitUntil(
    () => countBlocked(service.database, 'user-segments report'),
    (count) => count === 0
  )
  t.match(await remove(service, running), { status: 404, body: { code: 'REPORT_NOT_FOUND' } })
  await release()
  await waitUntil(
    () => readdir(service.reportsDirectory),
    ({ length }) => length === 0
  )

  const ready = pathOf(await service.orderReport(1, '2023-08-01', '2023-08-31'))
  t.match(await waitFor(service, ready), { status: 200 })
  t.match(await remove(service, ready), { status: 204 })
  t.same(await readdir(service.reportsDirectory), [], 'its file is removed')
  t.same(await service.sql`select from reports`, [])
})

const [ada, bob] = [makeKey('ada', 'reader'), makeKey('bob', 'reader')]

t.test('with keys', async (t) => {
  const service = await startService(t, { API_KEYS: configureKeys(ada, bob, makeKey('eve', 'admin')) })
  await service.sql`insert into users (id) values (1)`
  const order = (key: typeof ada, from = '2023-08-01') =>
    service.get(`/api/v1/segments/user/1/csv?from=${from}&to=2023-08-31`, key.headers)

  t.test('a cancelled order stays for others that share it', async (t) => {
    const [own, other] = [pathOf(await order(ada)), pathOf(await order(bob))]
    t.match(await remove(service, other), { status: 401 }, 'a signature does not cancel')
    t.match(await remove(service, own, ada.headers), { status: 204 })
    t.match(await remove(service, own, ada.headers), { status: 404 }, 'it has no order any more')
    t.match(await waitFor(service, other), { status: 200, body: header })
    t.match(await remove(service, other, bob.headers), { status: 204 })
    t.match(await service.get(other), { status: 404 })
  })

  t.test('one with 100 unfinished reports gets no more, and does not hinder others', async (t) => {
    await service.sql`
      insert into reports (filename, user_id, from_date, to_date, orderers, run_at)
      select 'user-1_' || day || '_2023-08-31.csv', 1, day, '2023-08-31', array['ada'], now() + interval '1 hour'
      from (select '2020-01-01'::date + n as day from generate_series(1, 95) n) days`
    const days = Array.from({ length: 20 }, (_, index) => `2022-01-${String(index + 10)}`)
    const release = await holdTable(t, service.database, 'memberships')
    const answers = await Promise.all(days.map((day) => order(ada, day)))
    t.equal(answers.filter(({ status }) => status === 202).length, 5, 'not even by concurrent orders')
    const refused = answers.find(({ status }) => status !== 202)
    t.same(refused, {
      status: 429,
      body: {
        message: 'key (ada) has 100 unfinished reports: wait, or delete some by DELETE of their links',
        code: 'REPORT_QUOTA_EXCEEDED'
      }
    })
    t.equal(refused?.headers['retry-after'], '5')
    t.equal((await order(ada, '2020-01-02')).status, 202, 'sharing one is no new report')
    const other = await order(bob, '2021-01-01')
    t.equal(other.status, 202)
    await release()
    t.match(await waitFor(service, pathOf(other)), { status: 200 })
    await service.sql`delete from reports`
  })

  t.test('one with 4 GiB of reports gets no more until it deletes some', async (t) => {
    const insert = (bytes: number) => service.sql`
      insert into reports (
        filename, user_id, from_date, to_date, orderers, status, token, snapshot_at, bytes, sha256, finished_at, expires_at)
      values ('user-1_2001-01-01_2001-01-02.csv', 1, '2001-01-01', '2001-01-02', array['ada'], 'ready',
        gen_random_uuid(), now(), ${bytes}, 'x', now(), now() + interval '1 day')`
    await insert(2 ** 32)
    t.match(await order(ada), {
      status: 429,
      body: { message: /^key \(ada\) has 4 GiB of reports/, code: 'REPORT_QUOTA_EXCEEDED' }
    })
    t.match(await waitFor(service, pathOf(await order(bob, '2023-08-02'))), { status: 200 })
    const url = '/api/v1/segments/user/history/user-1_2001-01-01_2001-01-02.csv'
    t.match(await remove(service, url, ada.headers), { status: 204 })

    await insert(2 ** 32 - header.length + 1)
    const larger = pathOf(await order(ada))
    t.match(await waitFor(service, larger), { status: 404, body: { code: 'REPORT_FAILED' } })
    t.match((await service.get(larger.replace(/\?.*/, '/status'), ada.headers)).body, {
      status: 'failed',
      error: /^the finished reports of the key would take more than 4 GiB/
    })
    await service.sql`delete from reports`
  })
})

t.test('keys take turns', async (t) => {
  const { sql } = await emptyService()
  // The first key has ordered all of its reports before the others.
  for (const [key, count, minutes] of [
    ['ada', 6, 60],
    ['bob', 3, 50],
    ['eve', 1, 40]
  ] as const)
    await sql`
      insert into reports (filename, user_id, from_date, to_date, orderers, run_at)
      select ${key} || n, 1, '2023-08-01', '2023-08-02', array[${key}::text],
        now() - make_interval(mins => ${minutes}::integer) + n * interval '1 s'
      from generate_series(1, ${count}::integer) n`
  const order: string[] = []
  for (;;) {
    const job = await claimReport(sql, crypto.randomUUID(), 60_000)
    if (!job) break
    order.push(job.filename)
  }
  t.same(order.join(' '), 'ada1 bob1 eve1 ada2 bob2 ada3 bob3 ada4 ada5 ada6')
})

t.test('erasing a user removes what reports may contain of the user', async (t) => {
  const service = await addPeriod(await emptyService(), '2023-08-10T00:00:00Z', null)
  await service.changeSegments(2)
  const own = pathOf(await service.orderReport(1, '2023-08-01', '2023-08-31'))
  const others = pathOf(await service.orderReport(2, '2023-08-01', '2023-08-31'))
  const body = { from: '2023-08-01', to: '2023-08-31' }
  const all = pathOf(await service.orderReportOfAll(body))
  for (const path of [own, others, all]) t.match(await waitFor(service, path), { status: 200 })

  const release = await holdTable(t, service.database, 'memberships')
  const running = pathOf(await service.orderReportOfAll({ ...body, segment: 'A' }))
  const ownRunning = pathOf(await service.orderReport(1, '2023-08-02', '2023-08-31'))
  await waitForBlocked(service.database, 2, 'user-segments report')
  let duringErasure: Promise<Answer> | undefined
  await service.app.reportJobs.eraseReportsOf('1', (deleteReports) =>
    transaction(service.app.writes, async (sql) => {
      await deleteReports(sql)
      // Blocked reports begin again only when the transaction has ended.
      await release()
      duringErasure = service.orderReportOfAll({ ...body, from: '2023-08-02' })
      await waitUntil(
        () => service.sql`
          select from pg_stat_activity
          where datname = current_database()
            and wait_event_type = 'Lock'
            and query like '%set orderers = case%'`,
        ({ length }) => length > 0
      )
      await sql`delete from memberships where user_id = 1`
      return true
    })
  )
  if (!duringErasure) throw new Error('the transaction has not run')
  const late = await waitFor(service, pathOf(await duringErasure))
  t.equal(late.text, header, 'a report ordered during the erasure does not contain the user')
  for (const path of [own, ownRunning, all])
    t.match(await service.get(path), { status: 404, body: { code: 'REPORT_NOT_FOUND' } }, path)
  t.match(await service.get(others), { status: 200 })
  t.same(await waitFor(service, running), { status: 200, body: header }, 'a report in progress begins again')
  const names = await waitUntil(
    () => readdir(service.reportsDirectory),
    ({ length }) => length === 3
  )
  t.ok(
    names.every((name) => /^(user-2|segment-A|all)_/.test(name)),
    names.join()
  )
})

t.test('neither HEAD nor a page of another site orders a report', async (t) => {
  const service = await startService(t, { CORS_ORIGINS: 'https://admin.example' })
  await service.changeSegments(1)
  const url = '/api/v1/segments/user/1/csv?from=2023-08-01&to=2023-08-31'
  const head = await service.send({ method: 'HEAD', url })
  t.match([head.status, head.headers.allow], [405, 'GET'])
  t.same(await service.get(url, { 'sec-fetch-site': 'cross-site' }), {
    status: 403,
    body: { message: 'a page of another site cannot order a report', code: 'CROSS_SITE_ORDER' }
  })
  t.match(await service.get(url, { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' }), {
    status: 403
  })
  t.same(await service.sql`select from reports`, [])
  t.match(await service.get(url, { 'sec-fetch-site': 'cross-site', origin: 'https://admin.example' }), {
    status: 202
  })
  for (const site of ['none', 'same-origin'])
    t.match(await service.get(url, { 'sec-fetch-site': site }), { status: 202 }, site)
})

t.test('an order does not wait for changes of many users, such as an upload', async (t) => {
  const service = await emptyService()
  await service.changeSegments(1)
  const change = await service.sql.reserve()
  await change`begin`
  await shareErasure(change)
  t.match(await service.orderReport(1, today, dayFromNow(1)), { status: 202 })
  await change`rollback`
  change.release()
})
