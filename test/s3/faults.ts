/** An object storage that fails, and connections to it that are lost. */
import { createHash } from 'node:crypto'
import t, { type Test } from 'tap'
import { LogLines } from '../support/log-lines.ts'
import { addPeriod } from '../support/periods.ts'
import { startService, type TestService, waitUntil } from '../support/service.ts'
import { type Bucket, createBucket } from './bucket.ts'
import { type Fault, type Operation, type StorageProxy, startStorageProxy } from './proxy.ts'

const august = 'user-1_2023-08-01_2023-08-31.csv'
const link = `/api/v1/segments/user/history/${august}`
const unavailable = {
  message: 'the storage of the reports cannot answer now, try again later',
  code: 'STORAGE_UNAVAILABLE'
}

type Scene = { service: TestService; bucket: Bucket; proxy: StorageProxy; log: LogLines }

/** A service that reaches its bucket through a proxy, and a user with a history of so many rows. */
async function setScene(t: Test, periods: number): Promise<Scene> {
  const bucket = await createBucket(t)
  const proxy = await startStorageProxy(t, bucket.endpoint)
  const log = new LogLines()
  const service = await startService(t, { ...bucket.configuration(proxy.url), LOG_LEVEL: 'info' }, { log })
  await service.sql`insert into users values (1)`
  await service.sql`insert into segments (id, slug) select n, 'S' || n from generate_series(1, ${periods}::integer) n`
  await service.sql`
    insert into memberships (user_id, segment_id, added_at)
    select 1, id, '2023-08-01T00:00:00Z'::timestamptz + id * interval '1 second' from segments`
  return { service, bucket, proxy, log }
}

/** Asserts that the whole report is served, and that nothing else is in the bucket. */
async function checkReport(t: Test, { service, bucket }: Scene, periods: number): Promise<void> {
  const { status, text } = await service.get(link)
  t.equal(status, 200)
  t.match(await service.getReportStatus(august), {
    body: { status: 'ready', rows: periods, sha256: createHash('sha256').update(text).digest('hex') }
  })
  t.equal(text.split('\n').length, periods + 2)
  t.same([(await bucket.objects()).length, await bucket.uploads()], [1, []])
}

t.test('brief faults while a report is uploaded', async (t) => {
  const periods = 150_000
  const scene = await setScene(t, periods)
  const { service, proxy } = scene
  const faults: [Operation, Fault][] = [
    ['CreateUpload', '503'],
    ['CreateUpload', 'reset'],
    ['UploadPart', '503'],
    ['UploadPart', 'reset'],
    ['UploadPart', 'lost answer'],
    ['CompleteUpload', '503'],
    ['CompleteUpload', 'reset'],
    ['CompleteUpload', 'lost answer']
  ]
  for (const [operation, fault] of faults)
    await t.test(`${operation}: ${fault}`, async (t) => {
      await service.request({ method: 'DELETE', url: link })
      proxy.fail(operation, fault, 1)
      proxy.seen.length = 0
      await service.makeReport(1, '2023-08-01', '2023-08-31')
      t.equal(
        proxy.seen.filter((seen) => seen === operation).length,
        operation === 'UploadPart' ? 3 : 2,
        'the request is repeated'
      )
      const [row] = await service.sql`select attempt from reports`
      t.match(row, { attempt: 1 }, 'and not the whole report')
      await checkReport(t, scene, periods)
    })

  await t.test('an upload whose first answer was lost is removed with its report', async (t) => {
    await service.request({ method: 'DELETE', url: link })
    proxy.fail('CreateUpload', 'lost answer', 1)
    await service.makeReport(1, '2023-08-01', '2023-08-31')
    t.equal((await scene.bucket.uploads()).length, 1)
    t.equal((await service.request({ method: 'DELETE', url: link })).status, 204)
    t.same([await scene.bucket.objects(), await scene.bucket.uploads()], [[], []])
  })

  await t.test('a part that was changed on its way is refused by the storage', async (t) => {
    proxy.fail('UploadPart', 'corrupt', 1)
    await service.makeReport(1, '2023-08-01', '2023-08-31')
    await checkReport(t, scene, periods)
    t.match(await service.sql`select attempt from reports`, [{ attempt: 2 }])
  })
})

t.test('a storage that refuses the parts', async (t) => {
  const periods = 150_000
  const scene = await setScene(t, periods)
  const { service, bucket, proxy, log } = scene
  proxy.fail('UploadPart', '503')
  t.equal((await service.orderReport(1, '2023-08-01', '2023-08-31')).status, 202)
  await waitUntil(
    async () => log.of('report failed'),
    ({ length }) => length > 0
  )
  t.same([await bucket.objects(), await bucket.uploads()], [[], []], 'a failed attempt leaves no parts')
  t.match(log.of('report failed'), [
    {
      status: 'queued',
      err: { message: 'the report could not be stored', stack: /Reduce your request rate/ }
    }
  ])
  t.equal((await service.get(link)).code, 'REPORT_PENDING')
  proxy.heal()
  t.match(await service.makeReport(1, '2023-08-01', '2023-08-31'), { status: 200 })
  await checkReport(t, scene, periods)
})

t.test('downloads', async (t) => {
  const scene = await setScene(t, 10_000)
  const { service, proxy, log } = scene
  const { text } = await service.makeReport(1, '2023-08-01', '2023-08-31')
  const address = await service.app.listen({ host: '127.0.0.1', port: 0 })

  for (const fault of ['503', 'reset', 'lost answer'] as const)
    await t.test(`a brief fault is not noticed: ${fault}`, async (t) => {
      proxy.fail('GetObject', fault, 1)
      t.equal((await service.get(link)).text, text)
    })

  await t.test('a storage that is down', async (t) => {
    proxy.fail('all', 'reset')
    log.clear()
    const answer = await service.get(link)
    t.match(answer, { status: 503, body: unavailable })
    t.equal(answer.headers['retry-after'], '1')
    t.match(await service.orderReport(1, '2023-08-01', '2023-08-31'), { status: 503, body: unavailable })
    t.match(log.of('requests are refused'), [{ level: 50, err: { code: 'ECONNRESET' } }])
    t.equal((await service.get('/health/ready')).status, 200, 'is no reason to take the instance out')
    t.equal((await service.getSegments(1)).status, 200)
    t.match(await service.getReportStatus(august), { status: 200, body: { status: 'ready' } })
    proxy.heal()
    t.equal((await service.get(link)).text, text)
  })

  await t.test('a storage that hangs is answered for in time', async (t) => {
    proxy.fail('GetObject', 'hang')
    const answer = await service.get(link)
    t.match(answer, { status: 503, body: unavailable })
    t.ok(answer.milliseconds < 10_000, `${answer.milliseconds} ms`)
    proxy.heal()
  })

  await t.test(
    'a connection that is lost in the middle resets that of the client, which can go on',
    async (t) => {
      proxy.fail('GetObject', 'cut answer', 1)
      const cut = await fetch(address + link, { headers: { 'accept-encoding': 'identity' } })
      t.equal(cut.status, 200)
      const reader = cut.body?.getReader()
      let received = 0
      const reading = async () => {
        for (;;) {
          const { value, done } = (await reader?.read()) ?? { done: true }
          if (done) return
          received += value?.length ?? 0
        }
      }
      await t.rejects(reading())
      const rest = await fetch(address + link, { headers: { range: `bytes=${received}-` } })
      t.equal(rest.status, 206)
      t.equal(await rest.text(), text.slice(received))
    }
  )
})

t.test('what cannot be removed is removed later', async (t) => {
  const scene = await setScene(t, 10)
  const { service, bucket, proxy, log } = scene
  await service.makeReport(1, '2023-08-01', '2023-08-31')
  proxy.fail('DeleteObject', '503')
  t.equal((await service.request({ method: 'DELETE', url: '/api/v1/users/1' })).status, 204)
  t.match(log.of('files of reports could not be removed: they are removed later'), [{ level: 40 }])
  t.equal((await service.get(link)).code, 'REPORT_NOT_FOUND', 'nobody finds it any more')
  t.equal((await bucket.objects()).length, 1)
  proxy.heal()
  await service.app.reportJobs.sweep(Date.now() + 60_000)
  t.same(await bucket.objects(), [])
})

t.test('a storage that is down does not hold up the start', async (t) => {
  const bucket = await createBucket(t)
  const proxy = await startStorageProxy(t, bucket.endpoint)
  proxy.fail('all', 'reset')
  const log = new LogLines()
  const service = await startService(t, { ...bucket.configuration(proxy.url), LOG_LEVEL: 'info' }, { log })
  t.match(log.of('the storage of the reports does not answer'), [{ level: 40 }])
  t.equal((await service.get('/health/ready')).status, 200)
  proxy.heal()
  await addPeriod(service, '2023-08-10T00:00:00Z')
  t.match(await service.makeReport(1, '2023-08-01', '2023-08-31'), { status: 200 })
})
