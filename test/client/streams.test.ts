import { openAsBlob } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { setTimeout } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import type { Progress } from '../../client/src/index.ts'
import { startClientService } from '../support/client-service.ts'
import { createFolder, dayFromNow } from '../support/service.ts'

const catchError = (error: unknown) => error

/** Lines of ids, in pieces of a thousand. */
async function* generateIds(count: number): AsyncGenerator<string> {
  for (let first = 1; first <= count; first += 1_000) {
    yield Array.from({ length: 1_000 }, (_, index) => `${first + index}\n`).join('')
  }
}

t.test('uploads and downloads', async (t) => {
  const { address, proxy, createClient } = await startClientService(t)
  const client = createClient()
  await client.createSegment({ slug: 'A' })

  t.test('an upload is read from whatever holds it', async (t) => {
    const file = join(await createFolder(t), 'ids.csv')
    await writeFile(file, '1\n2\n')
    const bytes = new TextEncoder().encode('1\n2\n')
    const sources = {
      text: '1\n2\n',
      bytes,
      'a part of a buffer': Buffer.from('x1\n2\n').subarray(1),
      blob: new Blob(['1\n2\n']),
      file: await openAsBlob(file),
      stream: new Blob([bytes]).stream(),
      'Node.js stream': Readable.from(['1\n', '2\n']),
      generator: generateIds(1_000),
      function: () => generateIds(1_000)
    }
    for (const [name, source] of Object.entries(sources)) {
      const { lines } = await client.addUsers(source, { dry_run: true })
      t.equal(lines, /generator|function/.test(name) ? 1_000 : 2, name)
    }
    const account = await client.addUsers('[1, "2", {"user_id": 3}]', { type: 'application/json' })
    t.match(account, { lines: 3, new_users: 3 })
    const compressed = gzipSync('1\n2\n')
    t.match(await client.addUsers(compressed, { encoding: 'gzip', dry_run: true }), { lines: 2 })
    t.match(await client.addSegmentUsers('A', '1\nx\n', { on_error: 'skip' }), {
      added: 1,
      rejected: { count: 1 }
    })
    t.match(await client.removeSegmentUsers('A', '1\n'), { removed: 1 })
    t.match(await client.replaceSegmentUsers('A', '1\n2\n'), { added: 2, removed: 0 })
    t.match(await client.replaceSegmentUsers('A', '3\n', { max_removed: 1 }).catch(catchError), {
      code: 'TOO_MANY_REMOVED',
      details: { removed: 2 }
    })
    t.match(await client.replaceSegmentUsers('A', '3\n', { max_removed: 2, dry_run: true }), { removed: 2 })
    t.match(await client.replaceSegmentUsers('A', ''.padEnd(2, '\n'), { max_removed: 2 }), { removed: 2 })
  })

  t.test('progress is reported', async (t) => {
    const progress: Progress[] = []
    const onProgress = (step: Progress) => progress.push(step)
    await client.addSegmentUsers('A', generateIds(5_000), { onProgress })
    const text = (await Array.fromAsync(generateIds(5_000))).join('')
    const { length } = text
    t.equal(progress.length, 5)
    t.same(progress.at(-1), { bytes: length, total: undefined })

    const blob = new Blob([text])
    progress.length = 0
    await client.addSegmentUsers('A', blob, { onProgress, dry_run: true })
    t.same(progress.at(-1), { bytes: length, total: length })

    progress.length = 0
    const download = await client.downloadSegmentUsers('A', { onProgress })
    t.equal(await download.text(), `user_id\n${text}`)
    t.same(progress.at(-1), { bytes: 'user_id\n'.length + length, total: undefined })
  })

  t.test('an upload is repeated if its source can be read again', async (t) => {
    proxy.plan('busy', 'reset')
    const account = await client.addUsers(() => generateIds(6_000))
    t.match(account, { lines: 6_000 })
    const [first, second, third] = proxy.seen.map(({ headers }) => headers['idempotency-key'])
    t.ok(first && first === second && second === third, 'with the same key')
    t.equal(proxy.seen.length, 3)
    proxy.plan('busy')
    t.match(await client.addUsers(generateIds(1_000)).catch(catchError), { code: 'OVERLOADED' })
    t.equal(proxy.seen.length, 1, 'a stream is not')
  })

  t.test("an error of the source is the caller's, and the upload has no effect", async (t) => {
    proxy.plan()
    const source = async function* () {
      yield '7000000\n'
      throw new RangeError('the source is broken')
    }
    await t.rejects(client.addUsers(source), new RangeError('the source is broken'))
    await t.rejects(createClient({ streamsUploads: false }).addUsers(source), { name: 'RangeError' })
    await t.rejects(client.getUserSegments(7_000_000), { code: 'USER_NOT_FOUND' })
  })

  t.test('where fetch takes no streams, an upload is gathered first', async (t) => {
    proxy.plan('reset')
    const progress: Progress[] = []
    const gathering = createClient({ streamsUploads: false })
    const onProgress = (step: Progress) => progress.push(step)
    const account = await gathering.addUsers(() => generateIds(2_000), { onProgress })
    t.match(account, { lines: 2_000 })
    const [, { headers, body } = { headers: {}, body: '' }] = proxy.seen
    t.equal(headers['content-length'], String(body.length))
    t.same(progress, [{ bytes: body.length, total: body.length }])
  })

  t.test('an upload that the service refuses early has its error', async (t) => {
    const refused = await createClient({ url: address })
      .addSegmentUsers('NONE', generateIds(200_000))
      .catch(catchError)
    t.match(refused, { code: 'SEGMENT_NOT_FOUND' })
  })

  t.test('a download is read as lines, text or bytes', async (t) => {
    await client.createSegment({ slug: 'SMALL' })
    await client.addSegmentUsers('SMALL', '10\n9223372036854775807\n')
    const lines = (await client.downloadSegmentUsers('SMALL')).lines()
    t.same(await Array.fromAsync(lines), ['user_id', '10', '9223372036854775807'])
    const { body } = await client.downloadSegmentUsers('SMALL')
    t.equal(await new Response(body).text(), 'user_id\n10\n9223372036854775807\n')
    for await (const line of (await client.downloadSegmentUsers('A')).lines()) {
      t.equal(line, 'user_id', 'a download need not be read to its end')
      break
    }
    t.same(
      await Array.fromAsync((await client.downloadSegmentUsers('SMALL')).lines()).then((all) => all.length),
      3
    )
  })

  t.test('a download that ends early fails', async (t) => {
    proxy.plan('cut')
    const cut = await client.downloadSegmentUsers('A')
    t.match(await cut.text().catch(catchError), { code: 'CONNECTION_FAILED' })
    proxy.plan('cut')
    const lines = (await client.downloadSegmentUsers('A')).lines()
    t.match(await Array.fromAsync(lines).catch(catchError), {
      name: 'SegmentsError',
      code: 'CONNECTION_FAILED'
    })
    const leaving = new AbortController()
    const left = await client.downloadSegmentUsers('A', { signal: leaving.signal })
    leaving.abort(new Error('enough'))
    await t.rejects(left.text(), { message: 'enough' })
  })

  t.test('the time limit is that without progress', async (t) => {
    const timeout = 1_000
    const steady = async function* () {
      for (const id of [1, 2, 3, 4]) {
        await setTimeout(300)
        yield `${id}\n`
      }
    }
    const stopping = async function* () {
      yield '1\n'
      await setTimeout(30_000, undefined, { ref: false })
    }
    const readSlowly = async () => {
      const lines = (await client.downloadSegmentUsers('SMALL', { timeout: 200 })).lines()
      await lines.next()
      await setTimeout(300)
      return Array.fromAsync(lines)
    }
    const [steadyUpload, stoppingUpload, slowDownload] = await Promise.all([
      client.addUsers(steady, { timeout }),
      client.addUsers(stopping, { timeout, retries: 0 }).catch(catchError),
      readSlowly()
    ])
    t.match(steadyUpload, { lines: 4 })
    t.match(stoppingUpload, { code: 'TIMEOUT' })
    t.same(slowDownload, ['10', '9223372036854775807'])
    proxy.plan('stuck')
    const stuck = await client.downloadSegmentUsers('A', { timeout: 300 })
    t.match(await stuck.text().catch(catchError), { code: 'TIMEOUT' })
  })

  t.test('lists are iterated over their pages', async (t) => {
    proxy.plan('none', 'reset')
    const users = await Array.fromAsync(client.listSegmentUsers('A', { limit: 1_000 }))
    t.equal(users.length, 5_000)
    t.match([users[0], users.at(-1)], [{ user_id: '1' }, { user_id: '5000' }])
    t.equal(proxy.seen.length, 6, 'one of the pages is requested again')
    proxy.plan()
    for await (const { user_id } of client.listSegmentUsers('A', { limit: 2 })) if (user_id === '2') break
    t.equal(proxy.seen.length, 1, 'what is not needed is not requested')
    const segments = client.listSegments({ q: 'a', limit: 1 })
    for (const _ of [1, 2]) {
      t.same(
        (await Array.fromAsync(segments)).map(({ slug }) => slug),
        ['A', 'SMALL']
      )
    }
    const [first] = await Array.fromAsync(segments.pages())
    const rest = await Array.fromAsync(segments.pages(first?.next_cursor ?? undefined))
    t.same(
      rest.map((page) => page.segments.map(({ slug }) => slug)),
      [['SMALL']]
    )
    await client.changeSegment('A', { description: 'The first' })
    const changed = (await Array.fromAsync(client.getSegmentHistory('A'))).at(-1)
    t.match(changed, { operation: 'changed', changes: { description: { to: 'The first' } } })
  })

  t.test('reports are ordered, waited for and downloaded', async (t) => {
    const from = dayFromNow(0)
    const ordered = await client.orderUserReport(10, { from, to: dayFromNow(1), details: true })
    const report = await (await client.downloadReport(ordered)).text()
    t.match(report, /^user_id,segment_slug,operation,date,cause,actor,expires_at\n10,/)
    t.match(await client.getReportStatus(ordered), { status: 'ready', bytes: report.length })
    await client.cancelReport(ordered)
    t.match(await client.getReportStatus(ordered).catch(catchError), { code: 'REPORT_NOT_FOUND' })
    const all = await client.orderReport({ from, to: dayFromNow(1), segment: 'SMALL' })
    t.equal((await Array.fromAsync((await client.downloadReport(all)).lines())).length, 3)
    await t.rejects(client.downloadReport({ link: 'https://example.com/report.csv' }), {
      name: 'TypeError',
      message: '(https://example.com/report.csv) is not the link of a report'
    })
  })

  t.test('the download of a report goes on where its connection was lost', async (t) => {
    const order = { from: dayFromNow(0), to: dayFromNow(1), segment: 'A' }
    const ordered = await client.orderReport(order)
    const whole = await (await client.downloadReport(ordered)).text()
    t.ok(whole.length > 100_000)
    const uncompressed = createClient({
      fetch: (url, { headers, ...init } = {}) => {
        const own = new Headers(headers)
        own.set('accept-encoding', 'identity')
        return fetch(url, { ...init, headers: own })
      }
    })
    for (const downloading of [client, uncompressed]) {
      proxy.plan('cut', 'cut', 'busy')
      const progress: Progress[] = []
      const download = await downloading.downloadReport(ordered, {
        onProgress: (step) => progress.push(step)
      })
      t.ok((await download.text()) === whole)
      const [first, second, refused, third, ...more] = proxy.seen.map(({ headers }) => headers.range)
      t.same([first, more], [undefined, []])
      const [from, later] = [second, third].map((range) => Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1]))
      // Of a compressed answer, the first part may not be enough to decompress anything.
      t.ok(Number(from) >= (downloading === uncompressed ? 1 : 0), `${second}`)
      t.ok(Number(later) > Number(from), `${second}, ${third}`)
      t.equal(refused, third)
      t.same(progress.at(-1), { bytes: whole.length, total: whole.length })
      t.same(
        progress.map(({ bytes }) => bytes),
        progress.map(({ bytes }) => bytes).toSorted((a, b) => a - b)
      )
    }

    proxy.plan('cut')
    const once = await client.downloadReport(ordered, { retries: 0 })
    t.match(await once.text().catch(catchError), { code: 'CONNECTION_FAILED' })
    t.equal(proxy.seen.length, 1)
    proxy.plan(...Array(1_000).fill('cut'))
    const never = await uncompressed.downloadReport(ordered, { retries: 1 })
    t.match(await never.text().catch(catchError), { code: 'CONNECTION_FAILED' })
    t.ok(proxy.seen.length < 30, `${proxy.seen.length} attempts, each with half of the rest`)

    proxy.plan('cut')
    const outdated = await client.downloadReport(ordered)
    await client.removeSegmentUsers('A', '5000\n')
    await (await client.downloadReport(await client.orderReport(order))).text()
    t.match(await outdated.text().catch(catchError), { code: 'CONNECTION_FAILED' }, 'not the rest of another')
    const left = await client.downloadReport(ordered)
    await left.body.cancel()
  })

  t.test('segments and users are deleted', async (t) => {
    await client.deleteSegment('SMALL')
    t.match(await client.getSegment('SMALL'), { deleted_at: /^2/, members: 0 })
    await client.eraseUser(10)
    t.match(await client.getUserSegments(10).catch(catchError), { code: 'USER_NOT_FOUND' })
    await client.createSegment({ slug: 'LATER', selection: 1 }, { respondAsync: true })
    t.match(await client.getSegment('LATER'), { selection: 1 })
  })
})
