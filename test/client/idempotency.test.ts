import t from 'tap'
import { startClientService } from '../support/client-service.ts'
import { dayFromNow } from '../support/service.ts'

const catchError = (error: unknown) => error

t.test('a write whose answer is lost takes effect once, and is answered', async (t) => {
  const { proxy, createClient } = await startClientService(t)
  const client = createClient()
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

  await lose(() => client.createSegment({ slug: 'A' }))
  await lose(() => client.createSegment({ slug: 'B', selection: 0.5 }, { respondAsync: true }))
  await lose(() => client.changeUserSegments(1, { segments_to_add: ['A'] }))
  const tokens = client.token
  t.match(tokens, /^1-/, 'an answer that is repeated has the token of the write')
  t.match(await lose(() => client.addSegmentUsers('A', '1\n2\n')), { added: 1, already_members: 1 })
  t.match(await lose(() => client.addUsers('5\n6\n')), { new_users: 2 })
  t.match(await lose(() => client.changeSegment('A', { selection: 0.5 })), { added: 3, removed: 0 })
  t.match(await lose(() => client.removeSegmentUsers('A', '1\n2\n')), { removed: 2 })
  await lose(() => client.eraseUser(6))
  await lose(() => client.deleteSegment('A'))
  const order = { from: dayFromNow(0), to: dayFromNow(1) }
  const report = await lose(() => client.orderReport(order))
  await (await client.downloadReport(report)).text()
  await lose(() => client.cancelReport(report))
  const history = await Array.fromAsync(client.getUserHistory(1))
  t.same(
    // Chance decides about B.
    history.filter(({ slug }) => slug === 'A').map(({ operation }) => operation),
    ['add', 'delete'],
    'nothing has happened twice'
  )

  t.test('a key of the caller does the same in another client', async (t) => {
    const options = { idempotencyKey: 'order-4711' }
    await client.createSegment({ slug: 'C' }, options)
    await createClient().createSegment({ slug: 'C' }, options)
    t.match(await client.createSegment({ slug: 'D' }, options).catch(catchError), {
      code: 'IDEMPOTENCY_KEY_REUSED',
      status: 422
    })
  })
})
