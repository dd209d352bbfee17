import t from 'tap'
import { isSegmentsError } from '../../client/src/index.ts'
import { startClientService } from '../support/client-service.ts'

const codeOf = (error: unknown) => (isSegmentsError(error) ? error.code : error)

const { proxy, createClient } = await startClientService(t)

t.test('lookups', async (t) => {
  const client = createClient()
  await client.createSegment({ slug: 'VOICE_MSG' })
  await client.addSegmentUsers('VOICE_MSG', '1\n2\n3\n')
  /** The users of each request that the proxy has seen. */
  const seenUsers = () => proxy.seen.map(({ body }) => (JSON.parse(body) as { user_ids: string[] }).user_ids)

  t.test('those of one turn of the event loop share a request', async (t) => {
    proxy.plan()
    const later = Promise.resolve().then(() => client.getUserSegments(3n))
    const [first, second, unknown, again] = await Promise.all([
      client.getUserSegments(1),
      client.getUserSegments('2'),
      client.getUserSegments(4).catch((error: unknown) => error),
      client.getUserSegments(1),
      later
    ])
    t.same([first, second, again, await later], [['VOICE_MSG'], ['VOICE_MSG'], ['VOICE_MSG'], ['VOICE_MSG']])
    t.not(first, again, 'each caller has an array of its own')
    t.match(unknown, {
      name: 'SegmentsError',
      code: 'USER_NOT_FOUND',
      status: 404,
      message: 'user with id (4) not found',
      requestId: /./
    })
    t.same(seenUsers(), [['1', '2', '4', '3']])
  })

  t.test('a request has at most a thousand users', async (t) => {
    proxy.plan()
    const ids = Array.from({ length: 2_500 }, (_, index) => index + 1)
    const results = await Promise.allSettled(ids.map((id) => client.getUserSegments(id)))
    t.equal(results.filter(({ status }) => status === 'fulfilled').length, 3)
    t.same(
      seenUsers().map(({ length }) => length),
      [1_000, 1_000, 500]
    )
    proxy.plan()
    const { segments, unknown } = await client.getSegmentsOfUsers(ids)
    t.same(segments, { 1: ['VOICE_MSG'], 2: ['VOICE_MSG'], 3: ['VOICE_MSG'] })
    t.equal(unknown.length, 2_497)
    t.equal(proxy.seen.length, 3)
  })

  t.test('a caller who aborts leaves the others alone', async (t) => {
    proxy.plan('held')
    const leaving = new AbortController()
    const left = client.getUserSegments(1, { signal: leaving.signal })
    const staying = client.getUserSegments(2)
    await waitForRequests(1)
    leaving.abort(new Error('enough'))
    await t.rejects(left, { message: 'enough' })
    proxy.release()
    t.same(await staying, ['VOICE_MSG'])
    t.equal(proxy.seen.length, 1)
  })

  t.test('a request is aborted when all of its callers have aborted', async (t) => {
    proxy.plan('silent')
    const leaving = new AbortController()
    const { signal } = leaving
    const left = [client.getUserSegments(1, { signal }), client.getUserSegments(2, { signal })]
    await waitForRequests(1)
    leaving.abort()
    for (const lookup of left) await t.rejects(lookup, { name: 'AbortError' })
    while (!proxy.seen[0]?.isAborted) await new Promise(setImmediate)
    t.equal(proxy.seen.length, 1, 'it is not repeated')

    await t.rejects(client.getUserSegments(1, { signal }), { name: 'AbortError' })
    const early = new AbortController()
    const never = client.getUserSegments(1, { signal: early.signal })
    early.abort()
    await t.rejects(never, { name: 'AbortError' })
    t.equal(proxy.seen.length, 1, 'nothing is sent for callers who are gone before')
  })

  t.test('an invalid id fails alone', async (t) => {
    proxy.plan()
    const [valid, invalid] = await Promise.allSettled([
      client.getUserSegments(1),
      client.getUserSegments('x')
    ])
    t.match(valid, { value: ['VOICE_MSG'] })
    t.match(invalid, { reason: { name: 'TypeError', message: /\(x\) is not a user id/ } })
  })

  t.test('a failure of the request is that of each of its callers', async (t) => {
    proxy.plan('away')
    const failures = await Promise.all([1, 2].map((id) => client.getUserSegments(id).catch(codeOf)))
    t.same(failures, ['OVERLOADED', 'OVERLOADED'])
  })

  t.test('lookups of the past, and those with own limits, have own requests', async (t) => {
    proxy.plan()
    const [past] = await Promise.all([
      client.getUserSegments(1, { at: '2023-08-01T00:00:00Z' }),
      client.getUserSegments(1, { timeout: 5_000 })
    ])
    t.same(past, [])
    t.same(
      proxy.seen.map(({ method }) => method),
      ['GET', 'GET']
    )
    t.match(await client.getUserMemberships(1), [{ slug: 'VOICE_MSG', cause: 'import' }])
    t.match(await client.getMembership('VOICE_MSG', 1), { member: true, cause: 'import' })
    const history = await Array.fromAsync(client.getUserHistory(1))
    t.match(history, [{ slug: 'VOICE_MSG', operation: 'add' }])
  })

  async function waitForRequests(count: number): Promise<void> {
    while (proxy.seen.length < count) await new Promise(setImmediate)
  }
})

t.test('reads contain the writes of the client', async (t) => {
  const client = createClient()
  const readToken = async () => {
    proxy.plan()
    await client.getUserSegments(9).catch(codeOf)
    return proxy.seen[0]?.headers['x-segments-token']
  }
  t.equal(client.token, undefined)
  t.equal(await readToken(), undefined)
  await client.createSegment({ slug: 'A' })
  const first = client.token
  t.match(first, /^1-\d+$/)
  t.equal(await readToken(), first)
  await client.changeUserSegments(1, { segments_to_add: ['A'] })
  t.not(client.token, first, 'the token of a later write replaces it')
  t.equal(await readToken(), client.token)

  const before = client.token ?? ''
  await Promise.all([12, 13].map((id) => client.changeUserSegments(id, { segments_to_add: ['A'] })))
  t.match(client.token, /^1-\d+,1-\d+$/, 'those of writes that overlap are kept both')
  t.notMatch(client.token?.split(','), [before])
  t.equal(await readToken(), client.token)
  await client.getMembership('A', 1)
  t.equal(proxy.seen.at(-1)?.headers['x-segments-token'], client.token)

  const other = createClient()
  other.addToken(client.token ?? '')
  t.equal(other.token, client.token)
  t.same(await other.getUserSegments(13), ['A'])

  for (let id = 1; id < 20; id += 1) other.addToken(`1-${id}`)
  t.equal(other.token, undefined, 'more than the service takes are not sent')
  t.same(await other.getUserSegments(13), ['A'])
  await other.changeUserSegments(1, { segments_to_delete: ['A'] })
  t.match(other.token, /^1-[\dA-F/]+$/, 'the next write contains all of them')
})
