/** Orders of a report whose interval includes today share the next edition. */
import { readdir } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Answer } from '../support/client.ts'
import { holdTable, waitForBlocked } from '../support/locks.ts'
import { dayFromNow, shareService, type TestService, waitUntil } from '../support/service.ts'

const emptyService = await shareService(t)
const [today, tomorrow] = [dayFromNow(0), dayFromNow(1)]

function countRows({ status, text }: Answer): number {
  if (status !== 200) throw new Error(`${status} ${text}`)
  return text.trim().split('\n').length - 1
}

function waitForReport(service: TestService, order: Answer): Promise<Answer> {
  return waitUntil(
    () => service.fetchReport(order),
    ({ code }) => code !== 'REPORT_PENDING'
  )
}

const statuses = async ({ sql }: TestService) =>
  (await sql<{ status: string }[]>`select status from reports order by id`).map(({ status }) => status)

t.test('orders during an edition share the next one, and hide no finished file', async (t) => {
  const service = await emptyService()
  await service.createSegment('A')
  await service.createSegment('B')
  await service.changeSegments(1, ['A'])
  const first = await service.orderReport(1, today, tomorrow)
  t.match(
    first.json<{ link: string }>().link,
    /\/user-1_[\d-]{10}_[\d-]{10}\.csv\?as_of=[\d-]{10}T[\d:.]{15}Z$/
  )
  t.equal(countRows(await waitForReport(service, first)), 1)

  const release = await holdTable(t, service.database, 'memberships')
  const second = await service.orderReport(1, today, tomorrow)
  await waitForBlocked(service.database, 1, 'user-segments report')
  const later = await Promise.all(Array.from({ length: 10 }, () => service.orderReport(1, today, tomorrow)))
  t.same(await statuses(service), ['ready', 'running', 'queued'], 'ten orders share one edition')
  t.equal(countRows(await service.fetchReport(first)), 1, 'the finished file is served meanwhile')
  for (const order of [second, ...later]) t.equal((await service.fetchReport(order)).code, 'REPORT_PENDING')
  await release()

  await service.changeSegments(1, ['B'])
  t.equal(countRows(await waitForReport(service, second)) >= 1, true)
  for (const order of later) t.ok(countRows(await waitForReport(service, order)) >= 1)
  t.same(await statuses(service), ['ready'], 'one edition is left')
  await waitUntil(
    () => readdir(service.reportsDirectory),
    ({ length }) => length === 1
  )
  t.pass('and one file')
  for (const order of [first, second, ...later])
    t.equal((await service.fetchReport(order)).status, 200, 'all links lead to it')
})

t.test('no link answers with data older than its order', async (t) => {
  const service = await emptyService()
  await service.sql`insert into segments (slug) select 'S' || n from generate_series(1, 40) n`
  let added = 0
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      for (let round = 0; round < 10; round += 1) {
        added += 1
        await service.changeSegments(1, [`S${added}`])
        const [{ known }] = await service.sql<[{ known: number }]>`
          select count(*)::integer as known from memberships`
        const order = await service.orderReport(1, today, tomorrow)
        const rows = countRows(await waitForReport(service, order))
        t.ok(rows >= known, `${rows} of ${known}`)
      }
    })
  )
})

t.test('with an order each few milliseconds, each report gets ready', async (t) => {
  const service = await emptyService()
  await service.sql`insert into segments (slug) select 'S' || n from generate_series(1, 20000) n`
  await service.changeSegments(1)
  await service.sql`insert into memberships (user_id, segment_id) select 1, id from segments`
  const orders: Promise<number>[] = []
  const ended = new AbortController()
  const ordering = (async () => {
    while (!ended.signal.aborted) {
      const order = await service.orderReport(1, today, tomorrow)
      orders.push(waitForReport(service, order).then(countRows))
      await sleep(100)
    }
  })()
  // While the orders go on, the first ones get ready.
  await waitUntil(
    async () => Promise.race([Promise.all(orders.slice(0, 5)), sleep(20, [])]),
    ({ length }) => length === 5
  )
  ended.abort()
  await ordering
  for (const rows of await Promise.all(orders)) t.equal(rows, 20_000)
})

t.test('a link with a time that nobody has ordered leads nowhere', async (t) => {
  const service = await emptyService()
  await service.changeSegments(1)
  const path = `/api/v1/segments/user/history/user-1_${today}_${tomorrow}.csv`
  await waitForReport(service, await service.orderReport(1, today, tomorrow))
  t.match(await service.get(`${path}?as_of=2999-01-01T00:00:00Z`), {
    status: 404,
    body: { code: 'REPORT_NOT_FOUND' }
  })
  t.match(await service.get(`${path}?as_of=2020-01-01T00:00:00Z`), { status: 200 })
  t.match(await service.get(path), { status: 200 }, 'without a time, the newest file')
  // PostgreSQL itself would refuse such an offset.
  t.match(await service.get(`${path}?as_of=2020-01-01T00:00:00-16:59`), { status: 200 })
  t.match(await service.get(`${path}?as_of=yesterday`), { status: 400 })
})

t.test('an edition that fails leaves the finished one to its readers', async (t) => {
  const service = await emptyService()
  await service.changeSegments(1)
  const first = await service.orderReport(1, today, tomorrow)
  await waitForReport(service, first)
  const release = await holdTable(t, service.database, 'memberships')
  const second = await service.orderReport(1, today, tomorrow)
  await waitForBlocked(service.database, 1, 'user-segments report')
  await service.sql`
    update reports
    set status = 'failed', token = null, lease_until = null, finished_at = now(), expires_at = now() + interval '1 hour'
    where status = 'running'`
  await release()
  t.equal((await service.fetchReport(second)).code, 'REPORT_FAILED')
  t.equal((await service.fetchReport(first)).status, 200)
})
