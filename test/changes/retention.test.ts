/** How long changes are kept: partitions of the log are made ahead and dropped. */
import postgres from 'postgres'
import t from 'tap'
import { keepPartitions } from '../../src/changes/upkeep.ts'
import { readAllChanges, readChanges } from '../support/feed.ts'
import { createDatabase, dayFromNow, startServiceOn, waitUntil } from '../support/service.ts'
import { listPartitions, partitionOf } from '../support/upkeep.ts'

t.test('partitions are made ahead, and dropped after the retention', async (t) => {
  const database = await createDatabase(t)
  const { sql } = database
  /** Makes what has been logged since look as if it had been logged on another day. */
  const age = (days: number) => sql`
    update changes set logged_on = current_date - ${days}::integer where logged_on = current_date`
  const first = await startServiceOn(t, database, { CHANGES_RETENTION: '10d' })
  await first.createSegment('OLD')
  const old = await readChanges(first, 'now')
  await sql.unsafe(
    `create table changes_${partitionOf(dayFromNow(-12))} partition of changes
     for values from ('${dayFromNow(-12)}') to ('${dayFromNow(-11)}')`
  )
  await age(12)
  await first.createSegment('QUIET')
  await age(11)
  const quiet = await readChanges(first, 'now')

  await t.test('a feed without changes keeps its last ones', async (t) => {
    await first.app.listen({ port: 0 })
    await waitUntil(
      () => listPartitions(database),
      (names) => names.includes(partitionOf(dayFromNow(7)))
    )
    t.ok((await listPartitions(database)).includes(partitionOf(dayFromNow(-12))))
    t.same((await readChanges(first, quiet.cursor)).changes, [])
    await first.app.close()
  })

  const service = await startServiceOn(t, database, { CHANGES_RETENTION: '10d' })
  await service.createSegment('NEW')
  t.match(await service.get(`/api/v1/changes?after=${quiet.cursor}`), { status: 410, code: 'CURSOR_EXPIRED' })
  await service.app.listen({ port: 0 })
  await waitUntil(
    () => listPartitions(database),
    (names) => !names.includes(partitionOf(dayFromNow(-12)))
  )
  t.same(
    (await listPartitions(database)).sort(),
    [...[1, 2, 3, 4, 5, 6, 7].map((days) => partitionOf(dayFromNow(days))), 'default'],
    'one for each day from tomorrow on'
  )
  const [row] = await sql<{ partition: string }[]>`
    insert into changes (logged_on, type, changed_at)
    values (current_date + 1, 'segment_changed', now())
    returning tableoid::regclass::text as partition`
  t.equal(row?.partition, `changes_${partitionOf(dayFromNow(1))}`, 'changes go to the partition of their day')
  await sql`delete from changes where logged_on > current_date`
  // Obtained 12 days ago, by the age of its row.
  t.match(await service.get(`/api/v1/changes?after=${old.cursor}`), { status: 410, code: 'CURSOR_EXPIRED' })
  const { changes } = await readAllChanges(service, 'start')
  t.same(
    changes.map(({ slug }) => slug),
    ['QUIET', 'NEW']
  )
})

t.test('the feed begins with a day', async (t) => {
  const database = await createDatabase(t)
  const service = await startServiceOn(t, database, { CHANGES_RETENTION: '3d' })
  for (const [days, slug] of [
    [2, 'EARLIER'],
    [1, 'YESTERDAY'],
    [0, 'TODAY']
  ] as const) {
    await service.createSegment(slug)
    await database.sql`
      update changes
      set logged_on = current_date - ${days}::integer
      where segment_id = (select id from segments where slug = ${slug})`
  }
  const read = async (days: number, query = '') => {
    const { changes } = await readAllChanges(service, dayFromNow(-days), query)
    return changes.map(({ slug }) => slug)
  }
  t.same(await read(2), ['EARLIER', 'YESTERDAY', 'TODAY'])
  t.same(await read(1), ['YESTERDAY', 'TODAY'])
  t.same(await read(1, '&limit=1'), ['YESTERDAY', 'TODAY'], 'page by page')
  t.same(await read(0, '&segment=YESTERDAY'), [])
  const { cursor } = await readAllChanges(service, dayFromNow(0))
  await service.createSegment('LATER')
  t.match((await readChanges(service, cursor)).changes, [{ slug: 'LATER' }], 'and goes on with its cursor')
  t.match(await service.get(`/api/v1/changes?after=${dayFromNow(-9)}`), {
    status: 410,
    code: 'CURSOR_EXPIRED'
  })
  for (const day of ['2026-02-30', '2026-13-01', '2026-11-2', '0000-01-01', '9999-12-31'])
    t.match(await service.get(`/api/v1/changes?after=${day}`), { status: 400, code: 'INVALID_CURSOR' })
})

t.test('a write does not need a partition', async (t) => {
  const database = await createDatabase(t)
  const service = await startServiceOn(t, database)
  t.same(await listPartitions(database), ['default'])
  t.equal((await service.createSegment('A')).status, 200)
  t.equal((await service.changeSegments(1, ['A'], [])).status, 200)
  t.equal((await readAllChanges(service, 'start')).changes.length, 2)
  await service.app.listen({ port: 0 })
  await waitUntil(
    () => listPartitions(database),
    (names) => names.includes(partitionOf(dayFromNow(7)))
  )
  t.notOk((await listPartitions(database)).includes(partitionOf(dayFromNow(0))), 'today already has rows')
  t.equal((await service.changeSegments(2, ['A'], [])).status, 200)
  t.equal((await readAllChanges(service, 'start')).changes.length, 3)
})

t.test('partitions are left as they are while a transaction that has read the log stays open', async (t) => {
  const database = await createDatabase(t)
  const service = await startServiceOn(t, database)
  await service.createSegment('A')
  const reader = postgres(database.url, { max: 1 })
  t.teardown(() => reader.end({ timeout: 1 }))
  await reader.unsafe('begin; select from changes')
  t.equal(await keepPartitions(service.app.bulk, 30), false)
  t.same(await listPartitions(database), ['default'])
  await reader.unsafe('commit')
  t.equal(await keepPartitions(service.app.bulk, 30), true)
  t.equal((await listPartitions(database)).length, 2)
})
