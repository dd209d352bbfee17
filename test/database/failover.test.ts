import postgres from 'postgres'
import t from 'tap'
import { migrate } from '../../src/database/migrate.ts'
import { startOwnPostgres } from '../support/own-postgres.ts'
import { startServiceOn, waitUntil } from '../support/service.ts'

t.test('the service writes to the primary, before and after a failover', async (t) => {
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
})
