import { createHash, randomUUID } from 'node:crypto'
import { readdir, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Worker } from 'node:worker_threads'
import t from 'tap'
import {
  claimReport,
  failReport,
  finishReport,
  releaseReport,
  renewReport
} from '../../src/reports/job-queries.ts'
import { orderReport } from '../../src/reports/order-queries.ts'
import { countBlocked, holdTable } from '../support/locks.ts'
import { addPeriod } from '../support/periods.ts'
import { dayFromNow, startService, startServiceOn, type TestService, waitUntil } from '../support/service.ts'

const august = 'user-1_2023-08-01_2023-08-31.csv'

/** Waits until the report is ready or has failed, and skips the pauses between its attempts. */
async function waitForEnd(service: TestService, filename: string) {
  return waitUntil(
    async () => {
      await service.sql`update reports set run_at = now() where status = 'queued' and filename = ${filename}`
      return service.getReportStatus(filename)
    },
    ({ status, body }) => status !== 200 || ['ready', 'failed'].includes((body as { status: string }).status)
  )
}

/** Records in the table `pauses` the seconds until the next attempt of each failed report. */
async function recordPauses({ sql }: TestService): Promise<void> {
  await sql.unsafe(`
    create table pauses (attempt integer, seconds double precision);
    create function record_pause() returns trigger language plpgsql as $$
    begin
      insert into pauses values (new.attempt, extract(epoch from new.run_at - now()));
      return new;
    end;
    $$;
    create trigger record_pause after update on reports
      for each row when (new.status = 'queued' and new.attempt > 0) execute function record_pause()`)
}

const header = 'user_id,segment_slug,operation,date\n'
const pending = (filename: string) => ({
  status: 404,
  body: { message: `report (${filename}) is being made`, code: 'REPORT_PENDING' }
})

t.test('a report in progress', async (t) => {
  const service = await addPeriod(await startService(t), '2023-08-10T00:00:00Z', null)
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
  t.equal(headers['retry-after'], '1', 'it says when to ask again')

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
  const service = await addPeriod(await startService(t), '2023-08-10T00:00:00Z', '2023-08-20T00:00:00Z')
  const files = () => readdir(service.reportsDirectory)

  t.test('of a past interval is not generated again', async (t) => {
    const report = await service.makeReport(1, '2023-08-01', '2023-08-31')
    const stored = await files()
    t.equal(stored.length, 1)
    t.same(await service.makeReport(1, '2023-08-01', '2023-08-31'), report)
    t.same(await files(), stored, 'it is the same file')
  })

  t.test('has its size and its checksum in its status', async (t) => {
    const { body } = await service.getReport(august)
    const text = String(body)
    t.match(await service.getReportStatus(august), {
      status: 200,
      body: {
        status: 'ready',
        rows: 2,
        bytes: text.length,
        sha256: createHash('sha256').update(text).digest('hex'),
        created_at: /Z$/,
        finished_at: /Z$/,
        error: null
      }
    })
  })

  t.test('is generated again if its interval was not yet past', async (t) => {
    const stored = await files()
    await service.sql`update reports set snapshot_at = '2023-08-31T00:59:59Z'`
    t.equal(String((await service.makeReport(1, '2023-08-01', '2023-08-31')).body).split('\n').length, 4)
    const again = await waitUntil(files, ({ length }) => length > 0)
    t.notSame(again, stored, 'an hour after its end it is past')
    await service.sql`update reports set snapshot_at = '2023-08-31T01:00:00Z'`
    await service.makeReport(1, '2023-08-01', '2023-08-31')
    t.same(await files(), again)
  })

  t.test('is generated again if its file is lost', async (t) => {
    for (const name of await files()) await rm(join(service.reportsDirectory, name))
    t.match(await service.getReport(august), { status: 404, body: { code: 'REPORT_NOT_FOUND' } })
    t.equal(String((await service.makeReport(1, '2023-08-01', '2023-08-31')).body).split('\n').length, 4)
  })

  t.test('expires, and can be ordered again', async (t) => {
    const expired = {
      status: 410,
      body: { message: `report (${august}) has expired: order it again`, code: 'REPORT_EXPIRED' }
    }
    const [{ days }] = await service.sql<[{ days: number }]>`
      select extract(day from expires_at - finished_at)::integer as days from reports`
    t.equal(days, 7)
    await service.sql`update reports set expires_at = now()`
    t.same(await service.getReport(august), expired, 'at its time')
    await service.app.reportJobs.sweep()
    t.same(await files(), [])
    t.same(await service.getReport(august), expired, 'also when its file is gone')
    t.same(await service.getReportStatus(august), expired)
    t.match(await service.makeReport(1, '2023-08-01', '2023-08-31'), { status: 200 })

    await service.sql`update reports set status = 'expired', token = null, expires_at = now() - interval '7 days'`
    await service.app.reportJobs.sweep()
    t.match(await service.getReport(august), { status: 404, body: { code: 'REPORT_NOT_FOUND' } })
    t.same(await service.sql`select from reports`, [], 'nothing is left of it')
  })

  t.test('that includes today is never older than its order', async (t) => {
    const [today, tomorrow] = [dayFromNow(0), dayFromNow(1)]
    for (let round = 0; round < 10; round += 1) {
      await service.changeSegments(1, round % 2 === 0 ? ['A'] : [], round % 2 === 0 ? [] : ['A'])
      // Two orders: the second one arrives at any moment while the first one is generated.
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

t.test(
  'a report that cannot be generated is tried five times, says so, leaves nothing, and can be ordered again',
  async (t) => {
    const service = await addPeriod(await startService(t), '2023-08-10T00:00:00Z', null)
    await service.sql`alter view history rename to gone`
    await recordPauses(service)
    await service.orderReport(1, '2023-08-01', '2023-08-31')
    const [first] = await waitUntil(
      () => service.sql<{ seconds: number }[]>`select seconds from pauses where attempt = 1`,
      ({ length }) => length > 0
    )
    t.ok((first?.seconds ?? 9) < 2, 'the first pause is short')
    t.same(await service.getReport(august), pending(august))
    t.match(await waitForEnd(service, august), {
      body: {
        status: 'failed',
        rows: 0,
        bytes: null,
        sha256: null,
        finished_at: /Z$/,
        error: 'the history could not be read from the database'
      }
    })
    t.match(await service.sql`select attempt from reports`, [{ attempt: 5 }])
    t.same(await service.getReport(august), {
      status: 404,
      body: { message: `report (${august}) could not be made: order it again`, code: 'REPORT_FAILED' }
    })
    t.same(await readdir(service.reportsDirectory), [])

    await service.sql`alter view gone rename to history`
    t.match(await service.makeReport(1, '2023-08-01', '2023-08-31'), { status: 200 })
    t.match(await service.getReportStatus(august), { body: { status: 'ready', rows: 1, error: null } })
  }
)

t.test('a report that cannot be stored says so', async (t) => {
  const service = await addPeriod(await startService(t), '2023-08-10T00:00:00Z', null)
  await rm(service.reportsDirectory, { recursive: true })
  await service.orderReport(1, '2023-08-01', '2023-08-31')
  t.match(await waitForEnd(service, august), {
    body: { status: 'failed', error: 'the report could not be stored' }
  })
})

t.test('a report whose thread ends is generated by another thread', async (t) => {
  const service = await addPeriod(await startService(t), '2023-08-10T00:00:00Z', null)
  const release = await holdTable(t, service.database, 'memberships')
  const workers: Worker[] = []
  const remember = (worker: Worker) => workers.push(worker)
  process.on('worker', remember)
  t.teardown(() => process.off('worker', remember))
  await service.orderReport(1, '2023-08-01', '2023-08-31')
  await waitUntil(
    () => countBlocked(service.database, 'user-segments report'),
    (count) => count === 1
  )
  for (const worker of workers) await worker.terminate()
  await waitUntil(
    () => service.getReportStatus(august),
    ({ body }) => (body as { error: string }).error === 'the thread that made it has ended'
  )
  await release()
  t.match(await waitForEnd(service, august), { body: { status: 'ready', rows: 1 } })
})

t.test('orders beyond the capacity of the queue are refused, and queued ones stay', async (t) => {
  const service = await addPeriod(await startService(t), '2023-08-10T00:00:00Z', null)
  await service.makeReport(1, '2000-01-01', '2000-01-02')
  await service.sql`
    insert into reports (filename, user_id, from_date, to_date, run_at)
    select 'user-1_' || day || '_2023-08-31.csv', 1, day, '2023-08-31', now() + interval '1 hour'
    from (select '2020-01-01'::date + n as day from generate_series(1, 1000) n) days`

  const refused = await service.app.inject('/api/v1/segments/user/1/csv?from=2023-06-01&to=2023-08-31')
  t.same(
    [refused.statusCode, refused.headers['retry-after'], refused.json()],
    [503, '5', { message: 'too many reports are in progress, try again later', code: 'TOO_MANY_REPORTS' }]
  )
  t.match(await service.getReport('user-1_2023-06-01_2023-08-31.csv'), { body: { code: 'REPORT_NOT_FOUND' } })
  t.equal(
    (await service.orderReport(1, '2020-01-02', '2023-08-31')).status,
    202,
    'one in it may be ordered again'
  )
  t.equal((await service.orderReport(1, '2000-01-01', '2000-01-02')).status, 202, 'and so may a finished one')

  await service.sql`update reports set run_at = now() where filename = 'user-1_2020-01-02_2023-08-31.csv'`
  t.match(await service.makeReport(1, '2020-01-02', '2023-08-31'), { status: 200 })
})

t.test('any instance generates and serves reports that were ordered from another one', async (t) => {
  const first = await addPeriod(await startService(t), '2023-08-10T00:00:00Z', null)
  const second = await startServiceOn(t, first.database, { REPORTS_DIR: first.reportsDirectory })
  const release = await holdTable(t, first.database, 'memberships')
  const days = ['2023-08-01', '2023-08-02', '2023-08-03']
  for (const day of days) await first.orderReport(1, day, '2023-08-31')
  const countRunning = async () => (await first.sql`select from reports where status = 'running'`).length
  await waitUntil(countRunning, (count) => count === 2)
  second.app.reportJobs.start()
  await waitUntil(countRunning, (count) => count === 3)
  await release()

  const report = { status: 200, body: `${header}1,A,add,2023-08-10T00:00:00.000000Z\n` }
  for (const day of days) {
    for (const service of [first, second]) {
      const answer = await waitUntil(
        () => service.getReport(`user-1_${day}_2023-08-31.csv`),
        ({ status }) => status === 200
      )
      t.same(answer, report)
    }
  }
})

t.test('an instance that shuts down returns its reports to the queue', async (t) => {
  const first = await addPeriod(await startService(t), '2023-08-10T00:00:00Z', null)
  const release = await holdTable(t, first.database, 'memberships')
  await first.orderReport(1, '2023-08-01', '2023-08-31')
  await waitUntil(
    () => countBlocked(first.database, 'user-segments report'),
    (count) => count === 1
  )
  await first.app.reportJobs.close(0)
  t.match(await first.sql`select status, attempt, token from reports`, [
    { status: 'queued', attempt: 0, token: null }
  ])
  await release()
  const second = await startServiceOn(t, first.database, { REPORTS_DIR: first.reportsDirectory })
  second.app.reportJobs.start()
  t.match(await waitForEnd(second, august), { body: { status: 'ready', rows: 1 } })
})

t.test('an instance that has lost the lease of a report cannot change it', async (t) => {
  const { app, sql } = await startService(t)
  const tooLate = { reason: 'too late', isFinal: false }
  const request = { userId: '1', from: '2023-08-01', to: '2023-08-31' }
  const made = { rows: 1, bytes: 2, sha256: 'a', snapshotAt: BigInt(Date.now()) * 1000n }
  await orderReport(app.writes, { request, requestId: 'a', orderer: '', lost: null })
  const [late, next] = [randomUUID(), randomUUID()]
  t.match(await claimReport(sql, late, 60_000), { token: late, attempt: 1, filename: august })
  t.equal(await claimReport(sql, next, 60_000), undefined, 'it is in progress')
  t.equal(await renewReport(sql, late, 60_000, 5), true)
  t.equal(await renewReport(sql, late, -1, 5), true, 'its lease runs out')
  t.match(await claimReport(sql, next, 60_000), { token: next, attempt: 2, filename: august })

  const state = () => sql`select * from reports`
  const before = await state()
  t.equal(await renewReport(sql, late, 60_000, 6), false)
  t.equal(await finishReport(sql, late, made, 60), undefined)
  t.equal(await failReport(sql, late, tooLate, 60), undefined)
  await releaseReport(sql, late)
  t.same(await state(), before)

  t.same(await finishReport(sql, next, made, 60), [])
  t.same(await finishReport(sql, next, made, 60), [], 'repeating the call has the same result')
  const finished = await state()
  t.equal(await failReport(sql, next, tooLate, 60), undefined)
  await releaseReport(sql, next)
  t.equal(await finishReport(sql, late, { ...made, sha256: 'b' }, 60), undefined)
  t.same(await state(), finished)
})

t.test('a report whose instances have crashed five times has failed', async (t) => {
  const service = await addPeriod(await startService(t), '2023-08-10T00:00:00Z', null)
  const insert = (filename: string, attempt: number) => service.sql`
    insert into reports (filename, user_id, from_date, to_date, status, attempt, token, lease_until)
    values (${filename}, 1, '2023-08-01', '2023-08-31', 'running', ${attempt}, gen_random_uuid(), now() - interval '1 s')`
  await insert(august, 4)
  await insert('user-1_2023-08-01_2023-08-30.csv', 5)
  service.app.reportJobs.start()
  t.match(
    await waitForEnd(service, august),
    { body: { status: 'ready', rows: 1 } },
    'the fifth attempt may succeed'
  )
  await service.app.reportJobs.sweep()
  t.match(await service.getReportStatus('user-1_2023-08-01_2023-08-30.csv'), {
    body: { status: 'failed', error: 'the instance that made it has ended' }
  })
})

t.test('files of aborted attempts are removed, and no others', async (t) => {
  const service = await addPeriod(await startService(t), '2023-08-10T00:00:00Z', null)
  await service.makeReport(1, '2023-08-01', '2023-08-31')
  const [stored = ''] = await readdir(service.reportsDirectory)
  const name = (hidden: string) => `${hidden}user-1_2023-08-01_2023-08-31.${randomUUID()}.csv`
  const [old, oldUnfinished, young] = [name(''), name('.'), name('')]
  const foreign = ['notes.txt', 'user-1_2023-08-01_2023-08-31.csv', '.nfs0001']
  for (const file of [old, oldUnfinished, young, ...foreign]) {
    await writeFile(join(service.reportsDirectory, file), 'x')
  }
  const hourAgo = Date.now() / 1000 - 3600
  for (const file of [old, oldUnfinished, stored, ...foreign]) {
    await utimes(join(service.reportsDirectory, file), hourAgo, hourAgo)
  }
  await service.app.reportJobs.sweep()
  t.same((await readdir(service.reportsDirectory)).sort(), [stored, young, ...foreign].sort())
  t.ok((await stat(join(service.reportsDirectory, stored))).size > 0)
  t.match(await service.getReport(august), { status: 200 })
})
