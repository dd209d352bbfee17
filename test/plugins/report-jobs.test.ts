import { readdir, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { countBlocked, holdTable } from '../support/locks.ts'
import { startServiceWithPeriod } from '../support/periods.ts'
import { dayFromNow, startService, waitUntil } from '../support/service.ts'

const header = 'user_id,segment_slug,operation,date\n'
const pending = (filename: string) => ({
  status: 404,
  body: { message: `report (${filename}) is being made`, code: 'REPORT_PENDING' }
})

t.test('a report that is being made', async (t) => {
  const service = await startServiceWithPeriod(t, '2023-08-10T00:00:00Z', null)
  const filename = 'user-1_2023-08-01_2023-08-31.csv'
  const release = await holdTable(t, service.database, 'memberships')

  const orders = await Promise.all(
    Array.from({ length: 10 }, () => service.orderReport(1, '2023-08-01', '2023-08-31'))
  )
  t.ok(orders.every(({ status }) => status === 202))
  await waitUntil(
    () => countBlocked(service.database, 'user-segments report'),
    (count) => count > 0
  )
  t.same(await service.getReport(filename), pending(filename), 'is pending')
  const { headers } = await service.app.inject(`/api/v1/segments/user/history/${filename}`)
  t.equal(headers['retry-after'], '1', 'with a word on when to ask again')

  await service.orderReport(1, '2023-08-02', '2023-08-31')
  await waitUntil(
    () => countBlocked(service.database, 'user-segments report'),
    (count) => count === 2
  )
  t.pass('ten orders of one report make it once: the other thread is free for another report')

  await release()
  t.same(await service.makeReport(1, '2023-08-01', '2023-08-31'), {
    status: 200,
    body: `${header}1,A,add,2023-08-10T00:00:00.000000Z\n`
  })
})

t.test('a finished report', async (t) => {
  const service = await startServiceWithPeriod(t, '2023-08-10T00:00:00Z', '2023-08-20T00:00:00Z')
  const path = join(service.reportsDirectory, 'user-1_2023-08-01_2023-08-31.csv')

  t.test('of a past interval is not made again', async (t) => {
    const report = await service.makeReport(1, '2023-08-01', '2023-08-31')
    const { ino } = await stat(path)
    t.same(await service.makeReport(1, '2023-08-01', '2023-08-31'), report)
    t.equal((await stat(path)).ino, ino, 'it is the same file')
  })

  t.test('is made again where the interval was not yet past when it was made', async (t) => {
    await writeFile(path, 'half of the month')
    const time = new Date('2023-08-15T00:00:00Z')
    await utimes(path, time, time)
    const { body } = await service.makeReport(1, '2023-08-01', '2023-08-31')
    t.equal(String(body).split('\n').length, 4)
  })

  t.test('that takes in today is never older than its order', async (t) => {
    const [today, tomorrow] = [dayFromNow(0), dayFromNow(1)]
    for (let round = 0; round < 10; round += 1) {
      await service.changeSegments(1, round % 2 === 0 ? ['A'] : [], round % 2 === 0 ? [] : ['A'])
      // Two orders: the second comes at any moment of the first one's making.
      await service.orderReport(1, today, tomorrow)
      const { body } = await service.makeReport(1, today, tomorrow)
      t.equal(String(body).trim().split('\n').length, 2 + round)
    }
  })
})

t.test('an order that comes while an older snapshot is being written gets a newer one', async (t) => {
  const service = await startService(t)
  await service.sql`insert into segments (slug) select 'S' || n from generate_series(1, 100000) n`
  await service.changeSegments(1)
  await service.sql`insert into memberships (user_id, segment_id) select 1, id from segments where slug <> 'S1'`
  const [today, tomorrow] = [dayFromNow(0), dayFromNow(1)]

  await service.orderReport(1, today, tomorrow)
  await waitUntil(
    async () => {
      const names = await readdir(service.reportsDirectory)
      const sizes = await Promise.all(
        names.map(async (name) => (await stat(join(service.reportsDirectory, name))).size)
      )
      return sizes.some((size) => size > 0)
    },
    (begun) => begun
  )
  await service.changeSegments(1, ['S1'])
  const { body } = await service.makeReport(1, today, tomorrow)
  t.match(String(body).slice(-100), /\n1,S1,add,/, 'the last row is the change before the order')
  t.equal(String(body).split('\n').length, 100_002)
})

t.test('a report that cannot be made says so, leaves nothing, and can be ordered again', async (t) => {
  const service = await startServiceWithPeriod(t, '2023-08-10T00:00:00Z', null)
  await service.sql`alter view history rename to gone`
  t.same(await service.makeReport(1, '2023-08-01', '2023-08-31'), {
    status: 404,
    body: {
      message: 'report (user-1_2023-08-01_2023-08-31.csv) could not be made: order it again',
      code: 'REPORT_FAILED'
    }
  })
  t.same(
    await waitUntil(
      () => readdir(service.reportsDirectory),
      (names) => names.length === 0
    ),
    []
  )
  await service.sql`alter view gone rename to history`
  t.match(await service.makeReport(1, '2023-08-01', '2023-08-31'), { status: 200 })
})

t.test('orders past the queue are refused, and those in it are made', async (t) => {
  const service = await startServiceWithPeriod(t, '2023-08-10T00:00:00Z', null)
  await service.makeReport(1, '2000-01-01', '2000-01-02')
  const release = await holdTable(t, service.database, 'memberships')
  const days = Array.from({ length: 100 }, (_, n) =>
    new Date(Date.UTC(2023, 0, 1 + n)).toISOString().slice(0, 10)
  )
  for (const day of days) t.equal((await service.orderReport(1, day, '2023-08-31')).status, 202)

  const refused = await service.app.inject('/api/v1/segments/user/1/csv?from=2023-06-01&to=2023-08-31')
  t.same(
    [refused.statusCode, refused.headers['retry-after'], refused.json()],
    [503, '5', { message: 'too many reports are being made, try again later', code: 'TOO_MANY_REPORTS' }]
  )
  t.match(await service.getReport('user-1_2023-06-01_2023-08-31.csv'), { body: { code: 'REPORT_NOT_FOUND' } })
  t.equal(
    (await service.orderReport(1, days[50] ?? '', '2023-08-31')).status,
    202,
    'one in the queue may be ordered again'
  )
  t.equal((await service.orderReport(1, '2000-01-01', '2000-01-02')).status, 202, 'and so may a finished one')

  await release()
  for (const day of days) t.match(await service.makeReport(1, day, '2023-08-31'), { status: 200 })
})
