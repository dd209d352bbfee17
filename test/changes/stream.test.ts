/** The change feed as server-sent events. */
import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { readChanges } from '../support/feed.ts'
import { startService, waitUntil } from '../support/service.ts'
import { shortenStalls } from '../support/stalls.ts'

/** Opens a stream. `next` resolves to the parts of the next event, without heartbeats. */
async function openStream(t: Test, url: string, headers: Record<string, string> = {}) {
  const request = get(url, { headers, agent: false })
  request.on('error', () => {})
  t.teardown(() => request.destroy())
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  response.setEncoding('utf8')
  let text = ''
  const chunks = response[Symbol.asyncIterator]()
  const next = async (): Promise<{ id: string; event: string; data: { user_id: string } } | undefined> => {
    for (;;) {
      const end = text.indexOf('\n\n')
      if (end < 0) {
        const chunk = await chunks.next()
        if (chunk.done) return undefined
        text += chunk.value
        continue
      }
      const fields = new Map(
        text
          .slice(0, end)
          .split('\n')
          .map((line) => [line.slice(0, line.indexOf(': ')), line.slice(line.indexOf(': ') + 2)] as const)
      )
      text = text.slice(end + 2)
      const data = fields.get('data')
      if (data !== undefined)
        return { id: fields.get('id') ?? '', event: fields.get('event') ?? '', data: JSON.parse(data) }
    }
  }
  return { response, next }
}

t.test('changes are sent when they happen, and a client that connects again misses nothing', async (t) => {
  const service = await startService(t)
  const address = await service.app.listen({ port: 0, host: '127.0.0.1' })
  await service.createSegment('A')
  const url = `${address}/api/v1/changes/stream`
  const { next, response } = await openStream(t, `${url}?segment=a`)
  t.equal(response.headers['content-type'], 'text/event-stream; charset=utf-8')
  await service.changeSegments(1, ['A'], [])
  const first = await next()
  t.match(first, { event: 'membership_added', data: { user_id: '1', slug: 'A' } })
  await service.changeSegments(2, ['A'], [])
  t.match(await next(), { data: { user_id: '2' } })

  const again = await openStream(t, `${url}?after=now`, { 'last-event-id': first?.id ?? '' })
  t.match(await again.next(), { data: { user_id: '2' } }, 'the header replaces the parameter')
  const { changes } = await readChanges(service, first?.id ?? '')
  t.match(changes, [{ user_id: '2' }], 'an id is a cursor')

  const whole = await openStream(t, `${url}?after=start&wait=0`)
  const types = []
  for (let event = await whole.next(); event; event = await whole.next()) types.push(event.event)
  t.same(types, ['segment_created', 'membership_added', 'membership_added'], 'with `wait` it ends')

  const ending = service.app.shutdown.begin(0, 20_000)
  t.equal(await next(), undefined, 'a shutdown ends the stream')
  t.equal(await again.next(), undefined)
  await ending
})

t.test('streams are limited, a client that reads nothing is disconnected, and heartbeats come', async (t) => {
  const service = await startService(t)
  const address = await service.app.listen({ port: 0, host: '127.0.0.1' })
  await service.createSegment('A')
  const url = `${address}/api/v1/changes/stream`

  const { response: quiet } = await openStream(t, `${url}?user_id=9000`)
  const opened = performance.now()
  const heartbeat = (async () => {
    for await (const text of quiet) if (text.startsWith('id: ')) return { text, at: performance.now() }
    throw new Error('the stream has ended')
  })()

  await t.test('an instance sends at most 64', async (t) => {
    const further = await Promise.all(Array.from({ length: 63 }, () => openStream(t, url)))
    t.ok(further.every(({ response }) => response.statusCode === 200))
    const refused = await service.get('/api/v1/changes/stream')
    t.match(refused, { status: 503, code: 'OVERLOADED' })
    t.equal(
      (await readChanges(service, 'start')).changes.length,
      1,
      'other requests of the feed are answered'
    )
    t.equal((await service.changeSegments(1, ['A'])).status, 200)
    for (const { next } of further)
      t.match(await next(), { data: { user_id: '1' } }, 'each one gets the change')
    further[0]?.response.destroy()
    await waitUntil(
      () => openStream(t, url),
      ({ response }) => response.statusCode === 200
    )
  })

  await t.test('a client that reads nothing for a minute is disconnected', async (t) => {
    await service.sql`
      insert into changes (type, segment_id, changed_at, user_ids)
      select 'membership_added', id, now(), (select array_agg(n) from generate_series(1, 2000) n)
      from segments, generate_series(1, 100)`
    const timeouts = shortenStalls(t)
    const countConnections = promisify(service.app.server.getConnections.bind(service.app.server))
    const { response } = await openStream(t, `${url}?after=start`)
    const connections = await countConnections()
    await waitUntil(countConnections, (count) => count < connections)
    await t.rejects(text(response), { code: 'ECONNRESET' })
    t.same(timeouts, [60_000])
  })

  const { text: sent, at } = await heartbeat
  t.match(sent, /^id: [\w-]+\n\n$/)
  t.ok(at - opened > 14_000)
  const cursor = sent.slice('id: '.length).trim()
  t.match(await readChanges(service, cursor), { changes: [] }, 'the cursor of a heartbeat goes on')
})

t.test('errors are answered as usual', async (t) => {
  const service = await startService(t)
  t.match(await service.get('/api/v1/changes/stream?after=x'), { status: 400, code: 'INVALID_CURSOR' })
  t.match(await service.get('/api/v1/changes/stream', { 'last-event-id': 'x' }), {
    status: 400,
    code: 'INVALID_CURSOR'
  })
})
