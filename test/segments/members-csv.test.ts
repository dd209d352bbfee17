/** The users of a segment, streamed to clients that are slow, disconnect or read nothing. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { countBlocked, holdTable } from '../support/locks.ts'
import {
  expectedMany,
  FIRST_OF_MANY,
  insertMany,
  killStreams,
  openUsers,
  waitForStalled,
  waitForStreams
} from '../support/segment-users.ts'
import { shareService, startService, type TestService, waitUntil } from '../support/service.ts'
import { shortenStalls } from '../support/stalls.ts'

const header = 'user_id\n'
const notFound = (slug: string) => ({
  status: 404,
  body: { message: `segment with slug (${slug}) not found`, code: 'SEGMENT_NOT_FOUND' }
})

const getUsers = (service: TestService, slug: string) =>
  service.request({ method: 'GET', url: `/api/v1/segment/${slug}/users.csv` })

const emptyService = await shareService(t)

t.test('the download contains the current members of a segment, by their ids', async (t) => {
  const service = await emptyService()
  const { sql } = service
  await sql`insert into segments (slug) values ('A'), ('B'), ('EMPTY')`
  await sql`
    insert into memberships (user_id, segment_id, added_at, removed_at, expires_at)
    select user_id::bigint, s.id, '2023-08-01', removed_at::timestamptz, expires_at::timestamptz
    from segments s, (values
      ('10', null, null), ('9', null, null), ('9007199254740993', null, null), ('100', null, '2999-01-01'),
      ('9223372036854775807', null, null), ('9223372036854775806', null, null), ('1', null, null),
      ('11', '2023-08-02', null), ('12', null, '2023-08-02'), ('13', '2023-08-02', null)
    ) m (user_id, removed_at, expires_at)
    where slug = 'A'`
  await sql`
    insert into memberships (user_id, segment_id)
    select user_id, id from segments, (values (13), (14)) m (user_id)
    where slug = case user_id when 13 then 'A' else 'B' end`
  const ids = ['1', '9', '10', '13', '100', '9007199254740993', '9223372036854775806', '9223372036854775807']
  for (const slug of ['A', 'a'])
    t.same(await getUsers(service, slug), { status: 200, body: `${header}${ids.join('\n')}\n` }, slug)

  const { headers } = await service.app.inject('/api/v1/segment/a/users.csv/')
  t.match(headers, {
    'content-type': 'text/csv; charset=utf-8',
    'content-disposition': 'attachment; filename="segment-A-users.csv"',
    'cache-control': 'no-store'
  })
  const head = await service.app.inject({ method: 'HEAD', url: '/api/v1/segment/A/users.csv' })
  t.match(head, { statusCode: 200, body: '', headers: { 'content-type': 'text/csv; charset=utf-8' } })

  t.same(await getUsers(service, 'EMPTY'), { status: 200, body: header })
  t.same(await getUsers(service, 'c'), notFound('C'))
  t.match(await getUsers(service, '-'), { status: 400 })
  await service.deleteSegment('A')
  t.same(await getUsers(service, 'A'), { status: 200, body: header }, 'a deleted segment has none')
  await waitForStreams(service.database, 0)
})

t.test('over many pages, with ended periods in between, each member appears exactly once', async (t) => {
  const service = await emptyService()
  await service.createSegment('A')
  // The users 20,001 to 40,000 have left, and one user has more than a page of periods.
  await service.sql`
    insert into memberships (user_id, segment_id, added_at, removed_at)
    select n, id, '2023-08-01', case when n between 20001 and 40000 then '2023-08-02'::timestamptz end
    from segments, generate_series(1, 60000) n`
  await service.sql`
    insert into memberships (user_id, segment_id, added_at, removed_at)
    select 50000, id, '2022-01-01'::timestamptz + n * interval '1 minute', '2022-01-01'::timestamptz + n * interval '1 minute'
    from segments, generate_series(1, 25000) n`
  const { body } = await getUsers(service, 'A')
  const ids = Array.from({ length: 60_000 }, (_, n) => n + 1).filter((id) => id <= 20_000 || id > 40_000)
  t.ok(body === `${header}${ids.join('\n')}\n`, `${String(body).split('\n').length - 2} users`)
})

t.test('a stream that cannot begin is answered with an error', async (t) => {
  const service = await emptyService()
  await service.createSegment('A')
  const release = await holdTable(t, service.database, 'memberships')
  // A busy machine may first refuse the request.
  const answer = waitUntil(
    () => getUsers(service, 'A'),
    ({ body }) => (body as { code?: string }).code !== 'OVERLOADED'
  )
  await waitUntil(
    () => countBlocked(service.database, 'user-segments bulk'),
    (count) => count === 1
  )
  t.match(await answer, { status: 503, body: { code: 'LOCK_TIMEOUT' } })
  await waitForStreams(service.database, 0)
  await release()
  t.same(await getUsers(service, 'A'), { status: 200, body: header })
})

t.test('with slow clients', async (t) => {
  const service = await startService(t)
  const { database, sql } = service
  await insertMany(database)
  const address = await service.app.listen({ host: '127.0.0.1', port: 0 })

  t.test('the disconnect of a client ends its transaction', async (t) => {
    const { request } = await openUsers(address)
    await waitForStalled(database, 1)
    request.destroy()
    await waitForStreams(database, 0)
    await waitUntil(
      async () => service.app.load.inFlight,
      (count) => count === 0
    )
    t.pass('and its request')
  })

  t.test('at most four are sent at once', async (t) => {
    const clients = await Promise.all(Array.from({ length: 4 }, () => openUsers(address)))
    await waitForStalled(database, 4)
    const refused = await service.app.inject('/api/v1/segment/BIG/users.csv')
    t.same(
      [refused.statusCode, refused.headers['retry-after'], refused.json().code],
      [503, '1', 'OVERLOADED']
    )
    t.same(await service.getSegments(10), { status: 200, body: [] }, 'others are served')
    t.match(await service.createSegment('OTHER', 1), { status: 200 })

    clients[0]?.request.destroy()
    await waitForStreams(database, 3)
    const { response } = await waitUntil(
      () => openUsers(address),
      ({ response }) => response.statusCode === 200
    )
    t.ok((await text(response)) === expectedMany(), 'downloads are accepted again')
    for (const { request } of clients) request.destroy()
    await waitForStreams(database, 0)
  })

  t.test('a part of the file never looks like the whole file', async (t) => {
    const { response } = await openUsers(address)
    await waitForStalled(database, 1)
    await killStreams(database)
    await waitForStreams(database, 0)
    await t.rejects(text(response), { code: 'ECONNRESET' }, 'the client sees it')
    t.equal(response.complete, false)
  })

  t.test('a client that speaks HTTP/1.0 sees the abort as a reset', async (t) => {
    const socket = connect(Number(new URL(address).port), '127.0.0.1')
    socket.write('GET /api/v1/segment/BIG/users.csv HTTP/1.0\r\n\r\n')
    await once(socket, 'readable')
    await waitForStalled(database, 1)
    await killStreams(database)
    await waitForStreams(database, 0)
    await t.rejects(text(socket), { code: 'ECONNRESET' })
  })

  t.test('a client that reads nothing for a minute is disconnected', async (t) => {
    const timeouts = shortenStalls(t)
    const { response } = await openUsers(address)
    await waitForStreams(database, 0)
    await t.rejects(text(response), { code: 'ECONNRESET' })
    t.same(timeouts, [60_000])
  })

  t.test('changes during the download are not in it', async (t) => {
    const { response } = await openUsers(address)
    await waitForStalled(database, 1)
    await service.changeSegments('1', ['BIG'])
    await service.changeSegments('9223372036854775807', [], ['BIG'])
    await sql`
      insert into memberships (user_id, segment_id)
      select ${String(FIRST_OF_MANY)}::bigint - n, id from segments, generate_series(1, 1000) n where slug = 'BIG'`
    await service.deleteSegment('BIG')
    const answer = await text(response)
    t.ok(answer === expectedMany(), `${answer.length} characters`)
    t.equal(response.complete, true)
  })

  t.test('the shutdown of the service aborts it', async (t) => {
    await sql`update segments set deleted_at = null where slug = 'BIG'`
    const { response } = await openUsers(address)
    await waitForStalled(database, 1)
    await service.app.close()
    await t.rejects(text(response), { code: 'ECONNRESET' })
    await waitForStreams(database, 0)
  })
})
