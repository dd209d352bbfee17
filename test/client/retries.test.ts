import t from 'tap'
import { isSegmentsError, SegmentsClient, SegmentsError } from '../../client/src/index.ts'
import { chooseBackoff, choosePause } from '../../client/src/retry.ts'
import { startClientService } from '../support/client-service.ts'
import { configureKeys, makeKey } from '../support/keys.ts'
import { dayFromNow } from '../support/service.ts'

const catchError = (error: unknown) => error

const [reader, editor, admin] = [
  makeKey('reader', 'reader'),
  makeKey('editor', 'editor'),
  makeKey('admin', 'admin')
]
const { address, proxy, createClient } = await startClientService(t, {
  API_KEYS: configureKeys(reader, editor, admin)
})
const client = createClient({ key: admin.secret })

t.test('faults', async (t) => {
  await client.createSegment({ slug: 'A' })
  const keysOf = () => proxy.seen.map(({ headers }) => headers['idempotency-key'])

  t.test('reads are repeated after transient faults', async (t) => {
    for (const fault of ['busy', 'foreign', 'reset', 'lost', 'cut'] as const) {
      proxy.plan(fault)
      t.match(await client.getSegment('A'), { slug: 'A' }, fault)
      t.same(keysOf(), [undefined, undefined], `${fault}: two attempts, and no keys`)
    }
    proxy.plan('silent')
    t.match(await client.getSegment('A', { timeout: 300 }), { slug: 'A' }, 'after a time-out too')
    proxy.plan('busy')
    await client.getSegmentsOfUsers([1])
    t.same(keysOf(), [undefined, undefined], 'a lookup is a read, although it is a POST')
  })

  t.test('the number of attempts is bounded', async (t) => {
    proxy.plan('busy', 'reset', 'foreign', 'busy', 'busy')
    t.match(await client.getSegment('A').catch(catchError), { code: 'OVERLOADED', status: 503 })
    t.equal(proxy.seen.length, 4)
    proxy.plan('reset', 'foreign')
    t.match(await client.getSegment('A', { retries: 1 }).catch(catchError), {
      code: 'UNEXPECTED_ANSWER',
      status: 502,
      message: 'the answer with status 502 is not one of the service'
    })
    t.equal(proxy.seen.length, 2)
    proxy.plan('reset')
    t.match(await createClient({ key: reader.secret, retries: 0 }).getSegment('A').catch(catchError), {
      code: 'CONNECTION_FAILED',
      status: undefined
    })
  })

  t.test('a service that asks for a long pause is not asked again', async (t) => {
    proxy.plan('away')
    t.match(await client.getSegment('A').catch(catchError), { code: 'OVERLOADED', retryAfter: 60 })
    t.equal(proxy.seen.length, 1)
  })

  t.test('a time-out is an error of its own', async (t) => {
    proxy.plan('silent')
    const error = await client.getSegment('A', { timeout: 50, retries: 0 }).catch(catchError)
    t.ok(isSegmentsError(error, 'TIMEOUT'))
    t.match(error, { message: 'no answer within 50 ms', status: undefined })
  })

  t.test('a signal ends a call at once, also between attempts', async (t) => {
    proxy.plan('silent')
    const leaving = new AbortController()
    const left = client.getSegment('A', { signal: leaving.signal })
    while (proxy.seen.length === 0) await new Promise(setImmediate)
    leaving.abort()
    await t.rejects(left, { name: 'AbortError' })
    t.equal(proxy.seen.length, 1)
    proxy.plan(...Array(1_000).fill('reset'))
    await t.rejects(client.getSegment('A', { signal: AbortSignal.timeout(300), retries: 1_000 }), {
      name: 'TimeoutError'
    })
    const attempts = proxy.seen.length
    t.ok(attempts < 20, `${attempts} attempts`)
    proxy.plan()
    await t.rejects(client.getSegment('A', { signal: AbortSignal.abort() }), { name: 'AbortError' })
    t.equal(proxy.seen.length, 0)
  })

  t.test('permanent errors are not repeated', async (t) => {
    proxy.plan()
    const errors = [
      await client.getSegment('NONE').catch(catchError),
      await client.changeUserSegments(1, { segments_to_add: ['NONE'] }).catch(catchError),
      await client.createSegment({ slug: 'A' }).catch(catchError),
      await client.addSegmentUsers('A', '1\nx\n').catch(catchError)
    ]
    t.equal(proxy.seen.length, 4)
    const [unknown, unknowns, exists, rejected] = errors
    t.ok(unknown instanceof SegmentsError)
    t.match(unknown, {
      code: 'SEGMENT_NOT_FOUND',
      status: 404,
      message: 'segment with slug (NONE) not found',
      requestId: /./,
      retryAfter: undefined
    })
    t.same(isSegmentsError(unknowns, 'SEGMENTS_NOT_FOUND') && unknowns.details.segments, ['NONE'])
    t.ok(isSegmentsError(exists, 'SEGMENT_NOT_FOUND', 'SEGMENT_ALREADY_EXISTS'))
    t.notOk(isSegmentsError(exists, 'SEGMENT_NOT_FOUND'))
    t.match(isSegmentsError(rejected, 'LINES_REJECTED') && rejected.details.rejected, {
      count: 1,
      first: [{ line: 2, value: 'x' }]
    })
  })
})

t.test('the pause grows, has full jitter, and is what the service asks for', async (t) => {
  for (const [failures, longest] of [
    [1, 100],
    [2, 200],
    [5, 1_600],
    [20, 5_000]
  ] as const) {
    const pauses = Array.from({ length: 1_000 }, () => chooseBackoff(failures))
    t.ok(Math.max(...pauses) <= longest && Math.max(...pauses) > longest * 0.9, `at most ${longest} ms`)
    t.ok(Math.min(...pauses) < longest * 0.1, 'from 0 on')
  }
  const busy = new SegmentsError('busy', { code: 'OVERLOADED', status: 503, retryAfter: 2 })
  const pause = choosePause(busy, 1) ?? 0
  t.ok(pause >= 2_000 && pause <= 2_100)
  t.equal(choosePause(new SegmentsError('no', { code: 'INVALID_REQUEST', status: 400 }), 1), undefined)
  t.equal(choosePause(new TypeError('a mistake of the caller'), 1), undefined)
})

t.test('the client sends its key, and a date in Retry-After is read', async (t) => {
  const url = address
  t.match(await new SegmentsClient({ url }).getSegment('A').catch(catchError), {
    code: 'UNAUTHENTICATED',
    status: 401
  })
  const reading = new SegmentsClient({ url: `${url}/`, key: reader.secret })
  t.match(await reading.getUserSegments(1).catch(catchError), { code: 'USER_NOT_FOUND' })
  t.match(await reading.changeUserSegments(1, {}).catch(catchError), { code: 'FORBIDDEN', status: 403 })
  await new SegmentsClient({ url, key: editor.secret }).changeUserSegments(1, {})
  t.same(await reading.getUserSegments(1), [])
  t.throws(() => new SegmentsClient({ url, key: 'two\nlines' }), TypeError)
  t.throws(() => new SegmentsClient({ url: 'segments' }), TypeError)

  const until = new Date(Date.now() + 120_000).toUTCString()
  const dated = new SegmentsClient({
    url,
    fetch: async () => new Response('', { status: 503, headers: { 'retry-after': until } })
  })
  const error = await dated.getSegment('A').catch(catchError)
  t.ok(isSegmentsError(error))
  t.ok(isSegmentsError(error) && Math.abs((error.retryAfter ?? 0) - 120) < 10)
})

t.test('a write that is still under way is waited for, within its time limit', async (t) => {
  const inUse = JSON.stringify({ message: 'still in progress', code: 'IDEMPOTENCY_KEY_IN_USE' })
  let attempts = 0
  const answerInUse = (times: number) => {
    attempts = 0
    return async () => {
      attempts += 1
      return attempts <= times ? new Response(inUse, { status: 409 }) : new Response('')
    }
  }
  const options = { url: 'http://127.0.0.1:1', retries: 1 }
  await new SegmentsClient({ ...options, fetch: answerInUse(5) }).changeUserSegments(1, {})
  t.equal(attempts, 6, 'more often than there are retries')
  const impatient = new SegmentsClient({ ...options, fetch: answerInUse(1_000), timeout: 100 })
  t.match(await impatient.changeUserSegments(1, {}).catch(catchError), { code: 'IDEMPOTENCY_KEY_IN_USE' })
  t.ok(attempts < 100, `${attempts} attempts`)
})

t.test('a write whose answer is lost takes effect once, and is answered', async (t) => {
  await client.addUsers('1\n2\n3\n4\n')
  /** Makes a write of which the first answer is lost, and returns what the client gets. */
  async function lose<T>(write: () => Promise<T>): Promise<T> {
    proxy.plan('lost')
    const answer = await write()
    const [first, second, ...more] = proxy.seen.map(({ headers }) => headers['idempotency-key'])
    t.match(first, /^[\da-f]{32}$/)
    t.same([second, more], [first, []], 'the second attempt has the key of the first')
    return answer
  }

  await lose(() => client.createSegment({ slug: 'E' }))
  await lose(() => client.createSegment({ slug: 'F', selection: 0.5 }, { respondAsync: true }))
  await lose(() => client.changeUserSegments(1, { segments_to_add: ['E'] }))
  const tokens = client.token
  t.match(tokens, /^1-/, 'an answer that is repeated has the token of the write')
  t.match(await lose(() => client.addSegmentUsers('E', '1\n2\n')), { added: 1, already_members: 1 })
  t.match(await lose(() => client.addUsers('5\n6\n')), { new_users: 2 })
  t.match(await lose(() => client.changeSegment('E', { selection: 0.5 })), { added: 3, removed: 0 })
  t.match(await lose(() => client.removeSegmentUsers('E', '1\n2\n')), { removed: 2 })
  t.equal(await client.countUsers({ from: { any: ['E'], none: ['A'] } }), 3)
  t.equal(await client.countUsers(), 6)
  t.match(await lose(() => client.replaceSegmentUsers('A', '1\n2\n')), { added: 2, removed: 0 })
  await lose(() => client.eraseUser(6))
  await lose(() => client.createGroup({ slug: 'G' }))
  t.match(await lose(() => client.changeSegment('A', { group: 'G' })), { added: 0 })
  t.match(await client.getGroup('g'), { segments: [{ slug: 'A' }] })
  t.match(await Array.fromAsync(client.listGroups()), [{ slug: 'G', segments: ['A'] }])
  await lose(() => client.deleteGroup('G'))
  await lose(() => client.deleteSegment('E'))
  const order = { from: dayFromNow(0), to: dayFromNow(1) }
  const report = await lose(() => client.orderReport(order))
  await (await client.downloadReport(report)).text()
  await lose(() => client.cancelReport(report))
  const history = await Array.fromAsync(client.getUserHistory(1))
  t.same(
    // Chance decides about F.
    history.filter(({ slug }) => slug === 'E').map(({ operation }) => operation),
    ['add', 'delete'],
    'nothing has happened twice'
  )

  t.test('a key of the caller does the same in another client', async (t) => {
    const options = { idempotencyKey: 'order-4711' }
    await client.createSegment({ slug: 'C' }, options)
    await createClient({ key: admin.secret }).createSegment({ slug: 'C' }, options)
    t.match(await client.createSegment({ slug: 'D' }, options).catch(catchError), {
      code: 'IDEMPOTENCY_KEY_REUSED',
      status: 422
    })
  })
})
