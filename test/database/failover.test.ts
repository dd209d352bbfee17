import postgres from 'postgres'
import t from 'tap'
import { migrate } from '../../src/database/migrate.ts'
import { FeedConsumer, readAllChanges, readChanges } from '../support/feed.ts'
import { startOwnPostgres } from '../support/own-postgres.ts'
import { startServiceOn, waitUntil } from '../support/service.ts'

t.test(
  'the service writes to the primary, and the change feed goes on, before and after a failover',
  async (t) => {
    const first = await startOwnPostgres(t)
    const second = await first.startStandby(t)
    const startOn = (url: string) => {
      const sql = postgres(url.replace(/\?.*/, ''), { max: 1 })
      t.teardown(() => sql.end({ timeout: 0 }))
      return startServiceOn(t, { url, sql })
    }
    // The standby is the first host.
    const url = new URL(first.url)
    const both = first.url.replace(url.host, `${new URL(second.url).host},${url.host}`)
    const serving = await startOn(both)
    const ready = { method: 'GET', url: '/health/ready' } as const
    t.equal((await serving.createSegment('A')).status, 200, 'the standby is skipped')
    t.equal((await serving.changeSegments(1, ['A'])).status, 200)
    t.same((await serving.getSegments(1)).body, ['A'])
    t.equal((await serving.request(ready)).status, 200)
    t.same(await migrate(both), [], 'by migrations, too')

    const onStandby = await startOn(second.url)
    for (const answer of [
      await onStandby.request(ready),
      await onStandby.getSegments(1),
      await onStandby.changeSegments(1)
    ])
      t.match(answer, { status: 503, body: { code: 'DATABASE_UNAVAILABLE' } }, 'a standby alone')
    await t.rejects(migrate(second.url), { message: 'the database accepts no writes' })

    const reading = await startOn(`${second.url}?target_session_attrs=any`)
    await waitUntil(
      () => reading.getSegments(1),
      ({ status }) => status === 200
    )
    t.match(await reading.request(ready), { status: 503, body: { code: 'DATABASE_UNAVAILABLE' } })

    const consumer = new FeedConsumer('start')
    const [segment, member] = await consumer.catchUp(serving)
    t.match(member, { user_id: '1', slug: 'A' })
    const before = { consumer, middle: segment?.cursor ?? '' }

    await first.stop()
    await second.execute('select pg_promote()')
    await first.startAsStandbyOf(second)
    for (const service of [serving, onStandby, reading]) {
      const started = performance.now()
      await waitUntil(
        () => service.changeSegments(2, ['A']),
        ({ status }) => status === 200
      )
      t.ok(performance.now() - started < 10_000)
      await waitUntil(
        () => service.request(ready),
        ({ status }) => status === 200
      )
      t.same((await service.getSegments(2)).body, ['A'])
    }

    // Everything was replicated: cursors from before the failover go on.
    t.match(await before.consumer.catchUp(serving, '&limit=2'), [{ user_id: '2', slug: 'A' }])
    t.same(before.consumer.membersAt('A', new Date().toISOString()), ['1', '2'])
    const { changes } = await readAllChanges(serving, before.middle)
    t.match(changes, [{ user_id: '1' }, { user_id: '2' }])

    // The standby misses what is written now. Numbers of a sequence are logged 32 ahead: further ones are given again.
    await first.stop()
    const kept = (await readChanges(serving, 'now')).cursor
    const addUsers = async (from: number, count: number) => {
      for (let user = from; user < from + count; user += 1)
        t.equal((await serving.changeSegments(user, ['A'])).status, 200)
    }
    await addUsers(100, 60)
    const lost = await readAllChanges(serving, kept)
    t.equal(lost.changes.length, 60)
    await second.stopImmediately()
    await first.start()
    await first.execute('select pg_promote()')
    await waitUntil(
      () => serving.changeSegments(200, ['A']),
      ({ status }) => status === 200
    )
    await addUsers(201, 99)
    for (const cursor of [lost.cursor, ...lost.changes.map((change) => change.cursor)])
      t.match(await serving.get(`/api/v1/changes?after=${cursor}`), { status: 410, code: 'CURSOR_EXPIRED' })
    t.equal((await readAllChanges(serving, kept)).changes.length, 100, 'what was replicated goes on')
  }
)
