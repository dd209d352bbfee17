/** Reports in a bucket of a real object storage. */
import { createHash, randomUUID } from 'node:crypto'
import { gunzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { readConfig } from '../../src/config.ts'
import { openStorage, readStorageLocation } from '../../src/reports/open-storage.ts'
import { addPeriod } from '../support/periods.ts'
import { startServerProcess } from '../support/server-process.ts'
import { createDatabase, startService, type TestService, waitUntil } from '../support/service.ts'
import { type Bucket, createBucket } from './bucket.ts'
import { startStorageProxy } from './proxy.ts'

const august = 'user-1_2023-08-01_2023-08-31.csv'
const link = `/api/v1/segments/user/history/${august}`
const stored = /^user-1_2023-08-01_2023-08-31\.[\da-f-]{36}\.csv$/
const content =
  'user_id,segment_slug,operation,date\n' +
  '1,A,add,2023-08-10T00:00:00.000000Z\n' +
  '1,A,delete,2023-08-20T00:00:00.000000Z\n'

type Report = { status: string; rows: number; bytes: number; sha256: string }

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** A service with a report in the bucket. */
async function startWithReport(t: Test, bucket: Bucket, redirect = false): Promise<TestService> {
  const config = { ...bucket.configuration(), ...(redirect && { REPORTS_REDIRECT: 'on' as const }) }
  const service = await addPeriod(
    await startService(t, config),
    '2023-08-10T00:00:00Z',
    '2023-08-20T00:00:00Z'
  )
  const report = await service.makeReport(1, '2023-08-01', '2023-08-31')
  t.match(report, redirect ? { status: 307 } : { status: 200, body: content })
  return service
}

t.test('a report is one private object, which the service serves as a file', async (t) => {
  const bucket = await createBucket(t)
  const service = await startWithReport(t, bucket)
  const [name = '', ...others] = await bucket.objects()
  t.match(name, stored)
  t.same(others, [])
  const { REPORTS_URL = '', S3_ENDPOINT = '' } = bucket.configuration()
  const unsigned = await fetch(`${S3_ENDPOINT}/${REPORTS_URL.slice('s3://'.length)}${name}`)
  t.equal(unsigned.status, 403)

  const status = (await service.getReportStatus(august)).json<Report>()
  const hash = sha256(content)
  t.match(status, { status: 'ready', rows: 2, bytes: content.length, sha256: hash })

  const head = await service.request({ method: 'HEAD', url: link })
  t.match(head, { status: 200, body: '' })
  t.match(head.headers, { etag: `"${hash}"`, 'content-length': String(content.length) })
  const part = await service.get(link, { range: 'bytes=5-9' })
  t.same([part.status, part.text], [206, content.slice(5, 10)])
  t.match(part.headers, { 'content-range': `bytes 5-9/${content.length}`, 'content-length': '5' })
  t.equal((await service.get(link, { range: 'bytes=9999-' })).code, 'RANGE_NOT_SATISFIABLE')
  t.equal((await service.get(link, { 'if-none-match': `"${hash}"` })).status, 304)
  const compressed = await service.app.inject({ url: link, headers: { 'accept-encoding': 'gzip' } })
  t.equal(compressed.headers['content-encoding'], 'gzip')
  t.equal(gunzipSync(compressed.rawPayload).toString(), content)
})

t.test('a large report is uploaded in parts as its rows come', async (t) => {
  const bucket = await createBucket(t)
  const proxy = await startStorageProxy(t, bucket.endpoint)
  const service = await startService(t, bucket.configuration(proxy.url))
  await service.sql`insert into users values (1)`
  await service.sql`insert into segments (id, slug) select n, 'S' || n from generate_series(1, 300000) n`
  await service.sql`
    insert into memberships (user_id, segment_id, added_at)
    select 1, id, '2023-08-01T00:00:00Z'::timestamptz + id * interval '1 second' from segments`
  proxy.seen.length = 0
  const { text } = await service.makeReport(1, '2023-08-01', '2023-08-31')
  t.equal(text.split('\n').length, 300_002)
  t.match(await service.getReportStatus(august), {
    body: { status: 'ready', rows: 300_000, bytes: text.length, sha256: sha256(text) }
  })
  t.same(
    proxy.seen.filter((operation) => operation !== 'GetObject' && operation !== 'ListObjects'),
    ['CreateUpload', 'UploadPart', 'UploadPart', 'UploadPart', 'CompleteUpload'],
    '13 MB are three parts'
  )
  t.same(await bucket.uploads(), [])
})

t.test('REPORTS_REDIRECT sends clients to the storage', async (t) => {
  const bucket = await createBucket(t)
  const service = await startWithReport(t, bucket, true)
  const locate = async (headers = {}) => {
    const answer = await service.get(link, headers)
    t.match(answer, { status: 307, body: '' })
    t.match(answer.headers, { 'cache-control': 'no-store', etag: undefined })
    return String(answer.headers.location)
  }
  const location = await locate()
  t.equal(new URL(location).searchParams.get('X-Amz-Expires'), '60')
  const file = await fetch(location)
  t.equal(await file.text(), content)
  t.match(Object.fromEntries(file.headers), {
    'content-type': 'text/csv; charset=utf-8',
    'content-disposition': `attachment; filename="${august}"`
  })
  const part = await fetch(await locate({ range: 'bytes=5-9' }), { headers: { range: 'bytes=5-9' } })
  t.same([part.status, await part.text()], [206, content.slice(5, 10)])
  const changed = location.replace(/X-Amz-Signature=..../, 'X-Amz-Signature=0000')
  t.equal((await fetch(changed)).status, 403)

  t.match(await service.request({ method: 'HEAD', url: link }), { status: 200 }, 'HEAD is not redirected')
  t.equal((await service.get(link, { 'if-none-match': `"${sha256(content)}"` })).status, 304)
  t.equal((await service.get(link, { range: 'bytes=9999-' })).status, 416)
  for (const name of await bucket.objects()) await bucket.remove(name)
  t.equal((await service.get(link)).code, 'REPORT_NOT_FOUND', 'a lost object is not linked to')
})

t.test('an erased user is in no object any more', async (t) => {
  const bucket = await createBucket(t)
  const service = await startWithReport(t, bucket, true)
  const location = String((await service.get(link)).headers.location)
  t.equal((await bucket.objects()).length, 1)
  const erased = await service.request({ method: 'DELETE', url: '/api/v1/users/1' })
  t.equal(erased.status, 204)
  t.same(await bucket.objects(), [])
  t.equal((await fetch(location)).status, 404, 'not even for a link that was signed before')
})

t.test('a cancelled and an expired report are removed', async (t) => {
  const bucket = await createBucket(t)
  const service = await startWithReport(t, bucket)
  t.match(await service.request({ method: 'DELETE', url: link }), { status: 204 })
  t.same(await bucket.objects(), [])

  t.match(await service.makeReport(1, '2023-08-01', '2023-08-31'), { status: 200 })
  await service.sql`update reports set expires_at = now()`
  t.equal((await service.get(link)).code, 'REPORT_EXPIRED')
  await service.app.reportJobs.sweep()
  t.same(await bucket.objects(), [])
})

t.test('what aborted attempts have left is removed, and nothing else', async (t) => {
  const bucket = await createBucket(t)
  const service = await startWithReport(t, bucket)
  const [ready = ''] = await bucket.objects()
  const name = () => `user-1_2023-08-01_2023-08-31.${randomUUID()}.csv`
  const foreign = ['notes.txt', august, `other/${name()}`]
  for (const object of [name(), name(), ...foreign]) await bucket.put(object)
  for (const upload of [name(), ready, 'notes.txt']) await bucket.beginUpload(upload)

  await service.app.reportJobs.sweep()
  t.equal((await bucket.objects()).length, 6, 'what is young may belong to an attempt')
  t.equal((await bucket.uploads()).length, 3)
  await service.app.reportJobs.sweep(Date.now() + 60_000)
  t.same((await bucket.objects()).sort(), [ready, ...foreign].sort())
  t.same((await bucket.uploads()).sort(), ['notes.txt', ready].sort())
  t.match(await service.get(link), { status: 200, body: content })
})

t.test('more objects and uploads than one answer of the storage lists', async (t) => {
  const bucket = await createBucket(t)
  const storage = await openStorage(
    readStorageLocation(readConfig({ DATABASE_URL: 'postgres://127.0.0.1/none', ...bucket.configuration() }))
  )
  const names = Array.from({ length: 1_100 }, (_, index) => `report-${index}`)
  for (let start = 0; start < names.length; start += 50)
    await Promise.all(
      names.slice(start, start + 50).flatMap((name) => [bucket.put(name), bucket.beginUpload(name)])
    )
  const listed: string[] = []
  for await (const name of storage.listOlderThan(Date.now() + 60_000)) listed.push(name)
  t.same(listed.sort(), [...names, ...names].sort())
})

t.test('wrong settings stop the start with one line', async (t) => {
  const bucket = await createBucket(t)
  const { url: DATABASE_URL } = await createDatabase(t)
  const credentials = {
    AWS_ACCESS_KEY_ID: process.env.AWS_ACCESS_KEY_ID,
    AWS_SECRET_ACCESS_KEY: process.env.AWS_SECRET_ACCESS_KEY
  }
  const start = (environment: NodeJS.ProcessEnv) =>
    startServerProcess(t, { DATABASE_URL, PORT: '0', ...bucket.configuration(), ...environment })
  for (const [environment, line] of [
    [
      { ...credentials, AWS_SECRET_ACCESS_KEY: 'wrong' },
      /^AWS_SECRET_ACCESS_KEY is not valid: the storage of the reports answers 403 \(SignatureDoesNotMatch\)\n$/
    ],
    [
      { ...credentials, AWS_ACCESS_KEY_ID: 'nobody' },
      /^(AWS_ACCESS_KEY_ID|REPORTS_URL) is not valid: the storage of the reports answers 40[34] \(\w+\)\n$/
    ],
    [
      { ...credentials, REPORTS_URL: 's3://no-such-bucket-of-user-segments/prefix' },
      /^REPORTS_URL is not valid: the storage of the reports answers 404 \(NoSuchBucket\)\n$/
    ],
    [{ AWS_EC2_METADATA_DISABLED: 'true' }, /^AWS_ACCESS_KEY_ID is not set: REPORTS_URL needs credentials\n$/]
  ] as const) {
    const instance = start(environment)
    t.equal(await instance.exitCode(), 1)
    t.match(instance.stderr, line)
  }
  const instance = start(credentials)
  await instance.address()
  t.same([await bucket.objects(), await bucket.uploads()], [[], []], 'the check leaves nothing')
  t.equal(instance.stderr, '')
})

t.test('instances share a bucket', async (t) => {
  const bucket = await createBucket(t)
  const first = await startWithReport(t, bucket)
  const environment = {
    DATABASE_URL: first.database.url,
    PORT: '0',
    ...bucket.configuration(),
    AWS_ACCESS_KEY_ID: process.env.AWS_ACCESS_KEY_ID,
    AWS_SECRET_ACCESS_KEY: process.env.AWS_SECRET_ACCESS_KEY
  }
  const second = startServerProcess(t, environment)
  const answer = await waitUntil(
    async () => fetch(`${await second.address()}${link}`),
    ({ status }) => status === 200
  )
  t.equal(await answer.text(), content)
})
