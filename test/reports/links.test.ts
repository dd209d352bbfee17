/** What a link of a report answers: signatures, conditional and partial answers, and clients that stall. */
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { lstat, mkdir, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { gunzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import type { Answer } from '../support/client.ts'
import { configureKeys, makeKey } from '../support/keys.ts'
import { addPeriod } from '../support/periods.ts'
import { dayFromNow, startService, startServiceOn, type TestService, waitUntil } from '../support/service.ts'
import { shortenStalls } from '../support/stalls.ts'

const [ada, bob] = [makeKey('ada', 'reader'), makeKey('bob', 'admin')]
const keys = { API_KEYS: configureKeys(ada, bob) }
const [today, tomorrow] = [dayFromNow(0), dayFromNow(1)]

function urlOf(order: Answer): string {
  const { pathname, search } = new URL(order.json<{ link: string }>().link)
  return pathname + search
}

function waitFor(service: TestService, url: string, headers = {}): Promise<Answer> {
  return waitUntil(
    () => service.get(url, headers),
    ({ code }) => code !== 'REPORT_PENDING'
  )
}

t.test('where keys are configured, a link carries a signature', async (t) => {
  const service = await startService(t, keys)
  await service.sql`insert into users (id) values (1), (2)`
  const orderUrl = (userId: number, from: string, to: string) =>
    `/api/v1/segments/user/${userId}/csv?from=${from}&to=${to}`
  const order = async (userId = 1, from = '2023-08-01', to = '2023-08-31') =>
    urlOf(await service.get(orderUrl(userId, from, to), ada.headers))
  const url = await order()
  const isRefused = async (t: Test, url: string, method = 'GET') =>
    t.match(await service.request({ method, url }), { status: 401, body: { code: 'UNAUTHENTICATED' } }, url)

  t.test('which opens the report without a key, on every instance', async (t) => {
    t.match(await waitFor(service, url), { status: 200, body: /^user_id,/ })
    const other = await startServiceOn(t, service.database, {
      ...keys,
      REPORTS_DIR: service.reportsDirectory
    })
    t.match(await other.get(url), { status: 200 })
    t.match(await other.get(url.replace(/\?.*/, ''), bob.headers), { status: 200 }, 'a key opens it as well')
    const [row] = await service.sql<[{ secrets: number }]>`select count(*)::integer as secrets from secrets`
    t.equal(row.secrets, 1)
    t.match(await service.send({ method: 'HEAD', url }), { status: 200 })
  })

  t.test('and which the progress answers too, for whoever has a key', async (t) => {
    const { body } = await service.get(url.replace(/\?.*/, '/status'), bob.headers)
    t.match(body, { status: 'ready', link: `http://localhost:80${url}` })
  })

  t.test('and opens nothing else', async (t) => {
    const [path = '', query = ''] = url.split('?')
    const signature = query.replace('signature=', '')
    for (const other of [
      path,
      `${path}?signature=${signature.slice(0, -2)}AA`,
      `${path}?signature=x`,
      `${path}?as_of=2023-08-31T00:00:00Z&${query}`,
      `${path}?${query}&${query}`,
      `${path.replace('user-1', 'user-2')}?${query}`,
      `${path.replace('.csv', '_details.csv')}?${query}`,
      `/api/v1/reports/all_2023-08-01_2023-08-31.csv?${query}`,
      `${path}/status?${query}`,
      `/api/v1/segments/user/1?${query}`,
      `${orderUrl(1, '2023-08-01', '2023-08-31')}&${query}`
    ])
      await isRefused(t, other)
    await isRefused(t, url, 'DELETE')
    const withKey = { authorization: 'Bearer wrong' }
    t.match(await service.get(url, withKey), { status: 401 }, 'a wrong key is still refused')

    const first = await order(1, today, tomorrow)
    await waitFor(service, first)
    const second = await order(1, today, tomorrow)
    t.not(second, first)
    await waitFor(service, second)
    t.match(await service.get(first), { status: 200 }, 'a newer edition is the same report')
    await isRefused(t, first.replace(/as_of=[^&]*/, second.match(/as_of=[^&]*/)?.[0] ?? ''))
  })

  t.test('as long as the report exists, and no report that is ordered later', async (t) => {
    await service.sql`update reports set expires_at = now()`
    t.match(await service.get(url), { status: 410 })
    await service.app.reportJobs.sweep()
    const again = await order()
    t.match(await waitFor(service, again), { status: 200 })
    t.match(await service.get(url), { status: 404, body: { code: 'REPORT_NOT_FOUND' } })
  })
})

t.test('without keys, a link has no signature, and a signature makes no difference', async (t) => {
  const service = await startService(t)
  await service.changeSegments(1)
  const url = urlOf(await service.orderReport(1, '2023-08-01', '2023-08-31'))
  t.equal(url, '/api/v1/segments/user/history/user-1_2023-08-01_2023-08-31.csv')
  t.match(await waitFor(service, url), { status: 200 })
  const signature = `00000000-0000-0000-0000-000000000000.${'A'.repeat(43)}`
  t.match(await service.get(`${url}?signature=${signature}`), { status: 200 })
})

t.test('the file of a report', async (t) => {
  const service = await addPeriod(await startService(t), '2023-08-10T00:00:00Z', '2023-08-20T00:00:00Z')
  const url = urlOf(await service.orderReport(1, '2023-08-01', '2023-08-31'))
  const { text: content, headers } = await waitFor(service, url)
  const sha256 = createHash('sha256').update(content).digest('hex')
  const etag = `"${sha256}"`

  t.test('has an entity tag and a date', async (t) => {
    t.match(headers, { etag, 'last-modified': / GMT$/, 'accept-ranges': 'bytes', vary: 'accept-encoding' })
    const { 'last-modified': date = '' } = headers
    for (const condition of [
      { 'if-none-match': etag },
      { 'if-none-match': `"x", W/${etag}` },
      { 'if-none-match': '*' },
      { 'if-none-match': `"${sha256}-gzip"`, 'accept-encoding': 'gzip' },
      { 'if-modified-since': date }
    ]) {
      const answer = await service.get(url, condition)
      t.same([answer.status, answer.text], [304, ''], JSON.stringify(condition))
    }
    t.equal((await service.get(url, { 'if-none-match': etag })).headers.etag, etag)
    for (const condition of [
      { 'if-none-match': '"x"' },
      { 'if-none-match': '"x"', 'if-modified-since': date },
      { 'if-modified-since': 'Wed, 01 Jan 2020 00:00:00 GMT' },
      { 'if-modified-since': 'yesterday' }
    ])
      t.same(await service.get(url, condition), { status: 200, body: content }, JSON.stringify(condition))
  })

  t.test('is answered in parts', async (t) => {
    const size = content.length
    const parts: [range: string, start: number, end: number][] = [
      ['bytes=0-0', 0, 0],
      ['bytes=5-9', 5, 9],
      ['bytes=10-', 10, size - 1],
      ['bytes=-7', size - 7, size - 1],
      [`bytes=-${size + 1}`, 0, size - 1],
      [`bytes=5-${size + 100}`, 5, size - 1]
    ]
    for (const [range, start, end] of parts) {
      const answer = await service.get(url, { range, 'accept-encoding': 'gzip' })
      t.same(answer, { status: 206, body: content.slice(start, end + 1) }, range)
      t.match(answer.headers, {
        'content-range': `bytes ${start}-${end}/${size}`,
        'content-length': String(end - start + 1),
        'content-encoding': undefined,
        etag
      })
    }
    for (const range of [`bytes=${size}-`, 'bytes=-0']) {
      const answer = await service.get(url, { range })
      t.match(answer, { status: 416, body: { code: 'RANGE_NOT_SATISFIABLE' } }, range)
      t.equal(answer.headers['content-range'], `bytes */${size}`)
    }
    for (const range of ['bytes=9-5', 'bytes=0-1,3-4', 'lines=0-1', 'bytes=-', 'bytes=a-b'])
      t.same(await service.get(url, { range }), { status: 200, body: content }, `${range} is ignored`)
    const range = 'bytes=0-4'
    const { 'last-modified': date = '' } = headers
    for (const condition of [etag, date])
      t.match(await service.get(url, { range, 'if-range': condition }), { status: 206 }, condition)
    t.match(await service.get(url, { range, 'if-range': '"x"' }), { status: 200 })
  })

  t.test('is compressed where the client accepts it', async (t) => {
    for (const [accepted, isCompressed] of [
      ['gzip', true],
      ['br, gzip;q=0.5', true],
      ['GZIP', true],
      ['br', false],
      ['gzip;q=0', false],
      ['identity', false]
    ] as const) {
      const { rawPayload, headers } = await service.app.inject({
        url,
        headers: { 'accept-encoding': accepted }
      })
      t.equal(headers['content-encoding'], isCompressed ? 'gzip' : undefined, accepted)
      t.equal(String(isCompressed ? gunzipSync(rawPayload) : rawPayload), content)
      t.equal(headers.etag, isCompressed ? `"${sha256}-gzip"` : etag)
    }
  })

  t.test('has the same head for HEAD', async (t) => {
    const head = await service.send({ method: 'HEAD', url, headers: { range: 'bytes=0-1' } })
    t.match([head.status, head.text], [200, ''])
    t.match(head.headers, { etag, 'content-length': String(content.length) })
  })

  t.test('can be read only by its owner', async (t) => {
    const [name = ''] = await readdir(service.reportsDirectory)
    const { mode } = await lstat(join(service.reportsDirectory, name))
    t.equal((mode & 0o777).toString(8), '600')
  })

  t.test('is never read through a symbolic link', async (t) => {
    const [name = ''] = await readdir(service.reportsDirectory)
    const [path, outside] = [join(service.reportsDirectory, name), join(service.reportsDirectory, 'outside')]
    await rename(path, outside)
    await symlink(outside, path)
    t.match(await service.get(url), { status: 404, body: { code: 'REPORT_NOT_FOUND' } })
    await rm(path)
    await mkdir(path)
    t.match(await service.get(url), { status: 404, body: { code: 'REPORT_NOT_FOUND' } })
    await rm(path, { recursive: true })
    await rename(outside, path)
    t.match(await service.get(url), { status: 200 })
  })
})

t.test('a large report', async (t) => {
  const service = await startService(t)
  await service.changeSegments(1)
  const url = urlOf(await service.orderReport(1, '2023-08-01', '2023-08-31'))
  await waitFor(service, url)
  const [name = ''] = await readdir(service.reportsDirectory)
  const file = join(service.reportsDirectory, name)
  const size = 64 * 2 ** 20
  await writeFile(file, Buffer.alloc(size, 'x'))
  await service.sql`update reports set bytes = ${size}`
  const address = await service.app.listen({ host: '127.0.0.1', port: 0 })

  /** Sends a request, and resolves with the connection when the head of the answer has arrived. */
  async function request(version: string, headers = '') {
    const socket = connect(Number(new URL(address).port), '127.0.0.1')
    t.teardown(() => socket.destroy())
    socket.write(`GET ${url} HTTP/${version}\r\nhost: localhost\r\n${headers}\r\n`)
    await once(socket, 'readable')
    return socket
  }

  t.test('a client that reads nothing for a minute is disconnected', async (t) => {
    const timeouts = shortenStalls(t)
    const socket = await request('1.1')
    await waitUntil(
      async () => service.app.load.inFlight,
      (count) => count === 0
    )
    await t.rejects(text(socket), { code: 'ECONNRESET' })
    t.same(timeouts, [60_000])
  })

  t.test('to an HTTP/1.0 client, an aborted answer is a reset', async (t) => {
    // With gzip, the answer has no length.
    await writeFile(file, randomBytes(size))
    const socket = await request('1.0', 'accept-encoding: gzip\r\n')
    const reading = t.rejects(text(socket), { code: 'ECONNRESET' })
    // The deadline of a shutdown aborts what is still under way.
    await service.app.shutdown.begin(0, 0)
    await reading
  })
})
