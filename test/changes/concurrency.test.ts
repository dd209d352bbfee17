/**
 * The feed has each change once, and those of a user in their order, whatever commits when: beside a transaction that stays
 * open for the whole test, rollbacks, savepoints, bulk changes and several instances.
 */
import postgres from 'postgres'
import t from 'tap'
import { FeedConsumer, readChanges } from '../support/feed.ts'
import { createDatabase, startServiceOn, untilTaken } from '../support/service.ts'

const WRITERS = 12
const CHANGES = 40
const USERS = 6
const SLUGS = ['S0', 'S1', 'S2', 'BULK', 'DIRECT']

t.test('writers, consumers and transactions that stay open', async (t) => {
  const database = await createDatabase(t)
  const [service, other] = await Promise.all([startServiceOn(t, database), startServiceOn(t, database)])
  for (const slug of SLUGS) await service.createSegment(slug)
  await service.changeSegments(1_000, ['S0'], [])
  const start = (await readChanges(service, 'now')).cursor

  const connection = postgres(database.url, { max: 4, onnotice: () => {} })
  t.teardown(() => connection.end({ timeout: 1 }))
  const change = (sql: postgres.ISql, user: number, add: string[], remove: string[]) =>
    sql`select change_user_segments(${user}, ${add}::text[], ${remove}::text[])`

  // Has changed a user before all others, and commits after them.
  const open = await connection.reserve()
  await open`begin`
  await change(open, 20_000, ['DIRECT'], [])
  // Has an id before all others, and logs after them.
  const idle = await connection.reserve()
  await idle`begin`
  await idle`select pg_current_xact_id()`

  let isOver = false
  const consumers = [50, 300, 1_000].map((limit, index) => ({
    http: index % 2 === 0 ? service : other,
    query: `&limit=${limit}`,
    consumer: new FeedConsumer(start),
    count: 0
  }))
  const following = consumers.map(async (one) => {
    while (!isOver) one.count += (await one.consumer.catchUp(one.http, one.query)).length
  })

  let random = 1
  const next = (bound: number) => {
    random = (random * 48_271) % 2_147_483_647
    return random % bound
  }
  const writers = Array.from({ length: WRITERS }, async (_, n) => {
    const http = n % 2 === 0 ? service : other
    for (let turn = 0; turn < CHANGES; turn += 1) {
      const slug = `S${next(3)}`
      const user = 1 + next(USERS)
      const answer = await untilTaken(() =>
        next(2) === 0 ? http.changeSegments(user, [slug], []) : http.changeSegments(user, [], [slug])
      )
      t.equal(answer.status, 200)
    }
  })
  const bulk = (async () => {
    for (let turn = 0; turn < 3; turn += 1) {
      const body = Array.from({ length: 2_100 }, (_, n) => `${n + 1}\n`).join('')
      for (const method of ['POST', 'DELETE'])
        await untilTaken(() =>
          other.request({
            method,
            url: '/api/v1/segment/bulk/users',
            headers: { 'content-type': 'text/csv' },
            body
          })
        )
    }
  })()
  const direct = (async () => {
    for (let turn = 0; turn < CHANGES; turn += 1)
      await connection
        .begin(async (sql) => {
          await change(sql, 3_000 + turn, ['DIRECT'], [])
          await sql.savepoint((sql) => change(sql, 4_000 + turn, ['DIRECT'], []))
          await sql
            .savepoint(async (sql) => {
              await change(sql, 5_000 + turn, ['DIRECT'], [])
              throw new Error('roll back')
            })
            .catch(() => {})
          if (turn % 3 === 0) throw new Error('roll back')
        })
        .catch(() => {})
  })()
  await Promise.all([...writers, bulk, direct])
  const before = new FeedConsumer(start)
  const seen = await before.catchUp(service)
  t.ok(seen.length > 12_000, `${seen.length} changes were read while a transaction was open`)
  t.notOk(seen.some(({ user_id }) => user_id === '20000'))

  await change(idle, 6_000, ['DIRECT'], [])
  await idle`commit`
  await open`commit`
  idle.release()
  open.release()
  isOver = true
  await Promise.all(following)
  t.same(
    (await before.catchUp(service)).map(({ user_id }) => user_id).sort(),
    ['20000', '6000'],
    'what was committed late comes late'
  )

  const now = new Date().toISOString()
  for (const { consumer, http, query, count } of consumers) {
    const total = count + (await consumer.catchUp(http, query)).length
    t.equal(total, seen.length + 2, `each change came once${query}`)
    for (const slug of SLUGS) {
      const { text } = await service.get(`/api/v1/segment/${slug}/users.csv`)
      const members = text.trim().split('\n').slice(1)
      // Became a member before the start.
      t.same(
        consumer.membersAt(slug, now),
        members.filter((user) => user !== '1000'),
        slug
      )
    }
  }
})
