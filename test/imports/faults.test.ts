import { once } from 'node:events'
import { connect } from 'node:net'
import { Readable } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import postgres from 'postgres'
import t, { type Test } from 'tap'
import { CsvReader } from '../../src/imports/csv.ts'
import { gatherUpload } from '../../src/imports/gather.ts'
import { readPieces } from '../../src/imports/pieces.ts'
import { receiveChunks } from '../../src/imports/receive.ts'
import { startFaultProxy } from '../support/fault-proxy.ts'
import { replay } from '../support/history.ts'
import { countBlocked, holdTable, waitForBlocked } from '../support/locks.ts'
import { startOwnPostgres } from '../support/own-postgres.ts'
import {
  createDatabase,
  startService,
  startServiceOn,
  type TestDatabase,
  type TestService,
  untilTaken,
  waitUntil
} from '../support/service.ts'
import { never, SlowUpload, upload } from '../support/uploads.ts'

/** The imports and lines in the database. */
async function countImports({ sql }: TestDatabase): Promise<{ imports: number; lines: number }> {
  const [row] = await sql<[{ imports: number; lines: number }]>`
    select
      (select count(*)::integer from imports) as imports,
      (select count(*)::integer from import_lines) as lines`
  return row
}

/** Waits until some lines of an import are in the database. */
async function waitForLines(database: TestDatabase): Promise<void> {
  await waitUntil(
    () => countImports(database),
    ({ lines }) => lines > 0
  )
}

/** How many consecutive checks must succeed. */
const STEADY = 10

/** Waits until all lines that have been sent are in the database, except for those of an incomplete batch. */
async function waitForRest(database: TestDatabase): Promise<void> {
  let last = 0
  let looks = 0
  await waitUntil(
    async () => {
      const { lines } = await countImports(database)
      looks = lines > 0 && lines === last ? looks + 1 : 0
      last = lines
      return looks
    },
    (looks) => looks === STEADY
  )
}

/** Waits until the database contains no imports and no lines. */
async function waitUntilSwept(database: TestDatabase): Promise<void> {
  await waitUntil(
    () => countImports(database),
    ({ imports, lines }) => imports + lines === 0
  )
}

/** The connections of the pool that imports use. */
function selectConnections({ sql }: TestDatabase): Promise<{ pid: number }[]> {
  return sql<{ pid: number }[]>`
    select pid from pg_stat_activity
    where application_name like 'user-segments bulk %' and datname = current_database()`
}

async function killConnections(database: TestDatabase): Promise<void> {
  for (const { pid } of await selectConnections(database))
    await database.sql`select pg_terminate_backend(${pid}::integer)`
}

async function countRows({ sql }: TestService): Promise<unknown> {
  const [row] = await sql`
    select (select count(*)::integer from users) as users, (select count(*)::integer from memberships) as memberships`
  return row
}

const nothing = { users: 0, memberships: 0 }

async function startListening(t: Test): Promise<{ service: TestService; address: string }> {
  const service = await startService(t)
  await service.createSegment('A')
  return { service, address: await service.app.listen({ host: '127.0.0.1', port: 0 }) }
}

/** More lines than one statement inserts. */
const manyLines = (first: number) =>
  Array.from({ length: 30_000 }, (_, index) => `${first + index}\n`).join('')

t.test('an aborted upload changes nothing', async (t) => {
  const { service, address } = await startListening(t)
  const aborted = new SlowUpload(address, 'segment/A/users')
  aborted.send(manyLines(1))
  await waitForLines(service.database)
  aborted.send(manyLines(50_000))
  aborted.socket.resetAndDestroy()
  await waitUntilSwept(service.database)
  t.same(await countRows(service), nothing)
  await waitUntil(
    async () => service.app.load.inFlight,
    (count) => count === 0
  )
  t.match(await upload(service, 'segment/A/users', manyLines(1)), { status: 200, body: { added: 30_000 } })
  await waitUntilSwept(service.database)
})

t.test('another instance removes the lines that a crashed instance has left', async (t) => {
  const { service } = await startListening(t)
  await service.sql`insert into imports (begun_at) values (now() - interval '3 hours'), (now())`
  await service.sql`insert into import_lines (import_id, batch, user_id) select id, 1, 1 from imports`
  t.match(await upload(service, 'segment/A/users', '1\n'), { body: { added: 1 } })
  await waitUntil(
    () => countImports(service.database),
    ({ imports }) => imports === 1
  )
  t.same(await service.sql`select import_id = id as kept from imports, import_lines`, [{ kept: true }])
})

t.test('a connection that is lost between two batches does not matter', async (t) => {
  const { service, address } = await startListening(t)
  const slow = new SlowUpload(address, 'segment/A/users')
  slow.send(manyLines(1))
  await waitForRest(service.database)
  await killConnections(service.database)
  await waitUntil(
    () => selectConnections(service.database),
    ({ length }) => length === 0
  )
  t.match(await service.getSegment('A'), { status: 200 }, 'the service has seen it')
  slow.send(manyLines(40_000))
  slow.end()
  t.match(await slow.answered(), /^HTTP\/1\.1 200 [\s\S]*"added":60000/)
})

t.test('the same holds if the connection is lost silently', async (t) => {
  const database = await createDatabase(t)
  const proxy = await startFaultProxy(t, database.url)
  const service = await startServiceOn(t, { url: proxy.url, sql: database.sql })
  await service.createSegment('A')
  const address = await service.app.listen({ host: '127.0.0.1', port: 0 })
  const slow = new SlowUpload(address, 'segment/A/users')
  slow.send(manyLines(1))
  await waitForRest(database)
  await proxy.set('reset')
  await proxy.set('none')
  slow.send(manyLines(40_000))
  slow.end()
  t.match(await slow.answered(), /^HTTP\/1\.1 200 [\s\S]*"added":60000/)
})

t.test(
  'a connection that is lost during a batch leaves nothing, and the upload can be sent again',
  async (t) => {
    const { service, address } = await startListening(t)
    const release = await holdTable(t, service.database, 'import_lines')
    const slow = new SlowUpload(address, 'segment/A/users')
    slow.send(manyLines(1))
    await waitForBlocked(service.database, 1, 'user-segments bulk')
    await killConnections(service.database)
    t.match(await slow.answered(), /^HTTP\/1\.1 503 [\s\S]*retry-after: 1[\s\S]*DATABASE_UNAVAILABLE/)
    await release()
    t.same(await countRows(service), nothing)
    t.match(await upload(service, 'segment/A/users', manyLines(1)), { body: { added: 30_000 } })
  }
)

t.test('lines that PostgreSQL loses in a crash are detected', async (t) => {
  const postgresql = await startOwnPostgres(t)
  const sql = postgres(postgresql.url, { max: 1, onnotice: () => {} })
  t.teardown(() => sql.end({ timeout: 1 }))
  const service = await startServiceOn(t, { url: postgresql.url, sql })
  await service.createSegment('A')
  const address = await service.app.listen({ host: '127.0.0.1', port: 0 })
  const slow = new SlowUpload(address, 'segment/A/users')
  slow.send(manyLines(1))
  await waitForLines(service.database)
  await postgresql.stopImmediately()
  await postgresql.start()
  await waitUntil(
    () => service.request({ method: 'GET', url: '/health/ready' }),
    ({ status }) => status === 200
  )
  slow.send('99999\n')
  slow.end()
  t.match(await slow.answered(), /^HTTP\/1\.1 503 [\s\S]*retry-after: 1[\s\S]*DATABASE_UNAVAILABLE/)
  t.same(await countRows(service), nothing)
})

t.test('an upload waits for changes in the segment, and sees their result', async (t) => {
  for (const method of ['POST', 'DELETE'] as const) {
    const { service } = await startListening(t)
    await service.changeSegments(1, ['A'])
    const change = await service.sql.reserve()
    await change`begin`
    await change`select pg_advisory_xact_lock_shared(1, id) from segments`
    const answer = upload(service, 'segment/A/users', '1\n2\n', { method })
    await waitUntil(
      () => countBlocked(service.database, 'user-segments bulk'),
      (count) => count === 1
    )
    await change`update segments set deleted_at = now()`
    await change`commit`
    change.release()
    t.match(await answer, { status: 404, body: { code: 'SEGMENT_NOT_FOUND' } })
    t.same(await countRows(service), { users: 1, memberships: 1 })
  }
})

t.test('if the connection is lost while the upload takes effect, it is retried', async (t) => {
  const { service } = await startListening(t)
  const release = await holdTable(t, service.database, 'users')
  const answer = upload(service, 'segment/A/users', manyLines(1))
  await waitForBlocked(service.database, 1, 'user-segments bulk')
  await killConnections(service.database)
  await waitForBlocked(service.database, 1, 'user-segments bulk')
  t.same(await service.sql`select from memberships`, [])
  await release()
  t.match(await answer, { status: 200, body: { added: 30_000 } })
  t.match(await upload(service, 'segment/A/users', manyLines(1)), {
    body: { added: 0, already_members: 30_000 }
  })
})

t.test('the segment is deleted during the upload', async (t) => {
  const { service, address } = await startListening(t)
  const slow = new SlowUpload(address, 'segment/A/users')
  slow.send(manyLines(1))
  await waitForLines(service.database)
  t.equal((await service.deleteSegment('A')).status, 200)
  slow.end()
  t.match(await slow.answered(), /^HTTP\/1\.1 404 [\s\S]*SEGMENT_NOT_FOUND/)
  t.same(await countRows(service), nothing)
})

t.test('an upload that is refused midway is answered midway, and the connection stays usable', async (t) => {
  const { address } = await startListening(t)
  const early = new SlowUpload(address, 'segment/NOWHERE/users')
  early.send(manyLines(1))
  t.match(await early.answered(), /^HTTP\/1\.1 404 /, 'before the body has ended')
  const wrong = new SlowUpload(address, 'segment/A/users')
  wrong.send('user_id,email\n1,a\n')
  t.match(await wrong.answered(), /^HTTP\/1\.1 400 [\s\S]*unknown column \(email\)/)
  wrong.send(manyLines(1))
  wrong.end()
  wrong.answer = ''
  wrong.socket.write('GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n')
  t.match(await wrong.answered(), /^HTTP\/1\.1 200 /)
  for (const { socket } of [early, wrong]) socket.destroy()
})

t.test('a stalled body, the rest of a refused body, and a stalled head are aborted', async (t) => {
  const { service, address } = await startListening(t)
  const timeout = /^HTTP\/1\.1 408 [\s\S]*REQUEST_TIMEOUT/
  const body = new SlowUpload(address, 'segment', 'content-type: application/json')
  body.send('{')
  const head = connect(Number(new URL(address).port), '127.0.0.1')
  head.write('GET /health/live HTTP/1.1\r\n')
  const rest = new SlowUpload(address, 'segment/NOWHERE/users')
  const upload = new SlowUpload(address, 'segment/A/users')
  const [answer] = await Promise.all([body.answered(), once(head, 'data'), once(rest.socket, 'close')])
  t.match(answer, timeout)
  t.match(rest.answer, /^HTTP\/1\.1 404 /)
  t.equal(upload.answer, '', 'an upload may take longer')
  upload.send('1\n')
  upload.end()
  t.match(await upload.answered(), /^HTTP\/1\.1 200 /)
  t.equal((await service.sql`select from users`).length, 1)
  for (const socket of [head, upload.socket]) socket.destroy()
})

t.test('a stalled upload is aborted', async (t) => {
  const stalled = new Readable({ read() {} })
  stalled.push('1\n')
  const chunks = receiveChunks(stalled, never, 20)
  t.same(await chunks.next(), { done: false, value: Buffer.from('1\n') })
  await t.rejects(chunks.next(), { statusCode: 408, code: 'REQUEST_TIMEOUT' })
  t.notOk(stalled.destroyed, 'the response arrives')
})

t.test('an upload that trickles is aborted, and one that comes fast enough is not', async (t) => {
  const read = async (bytes: number) => {
    const slow = new Readable({ read() {} })
    const timer = setInterval(() => slow.push('\n'.repeat(bytes)), 5)
    t.teardown(() => clearInterval(timer))
    let chunks = 0
    for await (const _chunk of receiveChunks(slow, never, 10_000, 100)) {
      chunks += 1
      if (chunks > 100) return 'read'
    }
    return 'ended'
  }
  await t.rejects(read(1), { statusCode: 408, code: 'REQUEST_TIMEOUT' })
  t.equal(await read(1_000), 'read')
})

t.test('an id that is repeated is stored once, and every line is accounted for', async (t) => {
  const { service, address } = await startListening(t)
  const slow = new SlowUpload(address, 'segment/A/users')
  const ids = Array.from({ length: 5_000 }, (_, n) => `${n + 1}\n`).join('')
  for (let round = 0; round < 4; round += 1) slow.send(ids)
  await waitForRest(service.database)
  t.ok((await countImports(service.database)).lines <= 5_000)
  slow.end()
  t.match(await slow.answered(), /"lines":20000,"added":5000,"already_members":15000,"new_users":5000/)
})

t.test('an upload with too many lines is refused', async (t) => {
  const { service } = await startListening(t)
  const body = Readable.from([Buffer.from('1\n2\n3\n')])
  const csv = { Reader: CsvReader, allowsUtf16: true }
  await t.rejects(
    gatherUpload(
      service.app.bulk,
      '1',
      body,
      csv,
      { allowsExpiry: false, isNumbered: false },
      never,
      undefined,
      2
    ),
    {
      statusCode: 413,
      code: 'TOO_MANY_LINES'
    }
  )
})

t.test('an upload that is too large after decompression is refused', async (t) => {
  const chunks = Readable.from([Buffer.from('1\n'), Buffer.alloc(2 ** 30)])
  const pieces = readPieces(chunks, true, never)
  t.same(await pieces.next(), { done: false, value: '1\n' })
  await t.rejects(pieces.next(), { statusCode: 413, code: 'BODY_TOO_LARGE' })
})

t.test('uploads of a caller beyond the limit are refused before they are read', async (t) => {
  const { service, address } = await startListening(t)
  const uploads = Array.from({ length: 2 }, () => new SlowUpload(address, 'segment/A/users'))
  for (const slow of uploads) slow.send('1\n')
  await waitUntil(
    () => countImports(service.database),
    ({ imports }) => imports === 2
  )
  const refused = new SlowUpload(address, 'segment/A/users')
  t.match(await refused.answered(), /^HTTP\/1\.1 503 [\s\S]*retry-after: 5[\s\S]*TOO_MANY_IMPORTS/)
  const { statusCode } = await service.app.inject({
    method: 'POST',
    url: '/api/v1/users',
    headers: { 'content-type': 'text/csv' },
    body: '1\n',
    remoteAddress: '192.0.2.1'
  })
  t.equal(statusCode, 200, 'another caller has slots left')
  for (const slow of uploads) slow.end()
  const answers = await Promise.all(uploads.map((slow) => slow.answered()))
  t.equal(
    answers.filter((answer) => answer.includes('"added":1,')).length,
    1,
    'one of them has added the user'
  )
  t.match(await upload(service, 'segment/A/users', '2\n'), { status: 200 }, 'uploads are accepted again')
  for (const { socket } of [refused, ...uploads]) socket.destroy()
})

t.test('other requests get a turn after each 16 KB of an upload', async (t) => {
  const chunk = Buffer.alloc(2 ** 20, '1234567\n')
  let turns = 0
  let mostCharacters = 0
  let isDone = false
  const count = async () => {
    while (!isDone) {
      await nextTurn()
      turns += 1
    }
  }
  const counting = count()
  for await (const piece of readPieces(Readable.from([chunk, chunk]), true, never))
    mostCharacters = Math.max(mostCharacters, piece.length)
  isDone = true
  await counting
  t.equal(mostCharacters, 16_384)
  t.ok(turns >= 128, `${turns} turns`)
})

t.test(
  'uploads, single changes and the deletion of the segment at once leave a history that replays',
  async (t) => {
    const { service } = await startListening(t)
    await service.createSegment('B')
    await service.sql`update segments set selection = 0.5, enroll_new_users = true where slug = 'B'`
    const users = Array.from({ length: 40 }, (_, index) => index + 1)
    const file = (round: number) => users.filter((id) => (id + round) % 3 !== 0).join('\n')
    const rounds = Array.from({ length: 12 }, (_, round) => round)
    const uploads = async (slug: string, shift: number) => {
      for (const round of rounds) {
        const method = (round + shift) % 2 === 0 ? 'POST' : 'DELETE'
        const answer = await untilTaken(() =>
          upload(service, `segment/${slug}/users`, file(round), { method })
        )
        if (answer.status !== 200 && answer.status !== 404) throw new Error(JSON.stringify(answer))
      }
    }
    const singles = async (shift: number) => {
      for (const round of rounds)
        for (const user of users.filter((id) => (id + shift) % 4 === 0)) {
          const [add, remove] = (round + user) % 2 === 0 ? ['A', 'B'] : ['B', 'A']
          const answer = await service.changeSegments(user, [add ?? ''], [remove ?? ''])
          if (answer.status !== 200 && answer.status !== 404) throw new Error(JSON.stringify(answer))
        }
    }
    const deletion = async () => {
      await waitUntil(
        () => service.sql`select from memberships where removed_at is not null limit 50`,
        ({ length }) => length === 50
      )
      return service.deleteSegment('A')
    }
    await Promise.all([uploads('A', 0), uploads('A', 1), uploads('B', 0), singles(0), singles(1), deletion()])

    t.same(
      await service.sql`
      select a.user_id, a.added_at from memberships a join memberships b using (user_id, segment_id)
      where a.added_at < b.added_at and (a.removed_at is null or a.removed_at > b.added_at)`,
      [],
      'no periods overlap'
    )
    for (const user of users) {
      const { body } = await service.getSegments(user)
      const rows = await service.sql<{ slug: string; operation: string }[]>`
      select slug, operation from history where user_id = ${user} order by happened_at, rank, segment_id`
      const history = rows.map(({ slug, operation }) => ({ userId: String(user), slug, operation, date: '' }))
      t.same(replay(history), (body as string[]).toSorted(), `user ${user}`)
    }
    t.equal((await service.getSegment('A')).body instanceof Object, true)
    t.same(await service.sql`select from periods where slug = 'A' and active`, [])
  }
)
