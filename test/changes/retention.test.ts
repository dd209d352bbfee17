/** How long changes are kept: partitions of the log are made ahead and dropped. */
import t from 'tap'
import { readAllChanges, readChanges } from '../support/feed.ts'
import {
  createDatabase,
  dayFromNow,
  startServiceOn,
  type TestDatabase,
  waitUntil
} from '../support/service.ts'

/** The names of the partitions, without the prefix. */
async function listPartitions({ sql }: TestDatabase): Promise<string[]> {
  const rows = await sql<{ day: string }[]>`
    select substr(relname, length('changes_') + 1) as day
    from pg_inherits
    join pg_class on pg_class.oid = inhrelid
    where inhparent = 'changes'::regclass
    order by 1`
  return rows.map(({ day }) => day)
}

const partition = (day: string) => day.replaceAll('-', '')

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
    `create table changes_${partition(dayFromNow(-12))} partition of changes
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
      (names) => names.includes(partition(dayFromNow(7)))
    )
    t.ok((await listPartitions(database)).includes(partition(dayFromNow(-12))))
    t.same((await readChanges(first, quiet.cursor)).changes, [])
    await first.app.close()
  })

  const service = await startServiceOn(t, database, { CHANGES_RETENTION: '10d' })
  await service.createSegment('NEW')
  t.match(await service.get(`/api/v1/changes?after=${quiet.cursor}`), { status: 410, code: 'CURSOR_EXPIRED' })
  await service.app.listen({ port: 0 })
  await waitUntil(
    () => listPartitions(database),
    (names) => !names.includes(partition(dayFromNow(-12)))
  )
  t.same(
    (await listPartitions(database)).sort(),
    [...[0, 1, 2, 3, 4, 5, 6, 7].map((days) => partition(dayFromNow(days))), 'default'],
    'one for each day'
  )
  const rows = await sql<{ partition: string }[]>`select tableoid::regclass::text as partition from changes`
  t.same(
    rows.map((row) => row.partition).sort(),
    [`changes_${partition(dayFromNow(0))}`, 'changes_default'],
    'changes go to the partition of their day'
  )
  // Obtained 12 days ago, by the age of its row.
  t.match(await service.get(`/api/v1/changes?after=${old.cursor}`), { status: 410, code: 'CURSOR_EXPIRED' })
  const { changes } = await readAllChanges(service, 'start')
  t.same(
    changes.map(({ slug }) => slug),
    ['QUIET', 'NEW']
  )
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
    (names) => names.includes(partition(dayFromNow(7)))
  )
  t.notOk((await listPartitions(database)).includes(partition(dayFromNow(0))), 'today already has rows')
  t.equal((await service.changeSegments(2, ['A'], [])).status, 200)
  t.equal((await readAllChanges(service, 'start')).changes.length, 3)
})
