import t from 'tap'
import { listMigrations, migrate } from '../../src/database/migrate.ts'
import { createDatabase, startServiceOn } from '../support/service.ts'

t.test('migrations go down and up again, and the service works after it', async (t) => {
  const database = await createDatabase(t)
  const { sql, url } = database
  const listObjects = () => sql<{ name: string }[]>`
    select table_name as name from information_schema.tables where table_schema = 'public'
    union all
    select routine_name from information_schema.routines where routine_schema = 'public'
    order by name`
  const objects = await listObjects()
  const names = await listMigrations()
  t.same(await migrate(url, { direction: 'down', count: names.length }), names.toReversed())
  t.same(
    (await listObjects()).map(({ name }) => name),
    ['pgmigrations'],
    'nothing is left'
  )
  t.same(await migrate(url), names)
  t.same(await listObjects(), objects)
  t.same(await migrate(url), [], 'once more does nothing')

  const service = await startServiceOn(t, database)
  await service.createSegment('A')
  await service.changeSegments(1, ['A'])
  t.same(await service.getSegments(1), { status: 200, body: ['A'] })
})

t.test('several that migrate at once run each migration once', async (t) => {
  const { url } = await createDatabase(t)
  await migrate(url, { direction: 'down', count: 100 })
  const runs = await Promise.all(Array.from({ length: 5 }, () => migrate(url)))
  t.same(runs.flat(), await listMigrations())
})

t.test('every unique key of users and memberships holds the user id', async (t) => {
  const { sql } = await createDatabase(t)
  const keys = await sql<{ name: string; columns: string[] }[]>`
    select c.relname as name, array_agg(a.attname) as columns
    from pg_index i
    join pg_class c on c.oid = i.indexrelid
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey)
    where i.indrelid in ('users'::regclass, 'memberships'::regclass) and i.indisunique
    group by c.relname`
  t.ok(keys.length >= 3)
  for (const { name, columns } of keys) t.ok(columns.includes('user_id') || name === 'users_pkey', name)
  t.same(keys.find(({ name }) => name === 'users_pkey')?.columns, ['id'])
})

t.test('a user or segment is never deleted while a row names it', async (t) => {
  const { sql } = await createDatabase(t)
  await sql`insert into users (id) values (1), (2)`
  await sql`insert into segments (slug) values ('A'), ('B')`
  await sql`insert into memberships (user_id, segment_id, removed_at) select 1, id, now() from segments where slug = 'A'`
  const refused = { code: '23001' }
  await t.rejects(sql`delete from users where id = 1`, refused)
  await t.rejects(sql`delete from segments where slug = 'A'`, refused)
  await t.rejects(
    sql`delete from segments where slug = 'B'`,
    refused,
    'a slug is never reused, so it stays taken'
  )
  t.same(
    await sql`delete from users where id = 2 returning id`,
    [{ id: '2' }],
    'a user whom no row names can go'
  )
  t.same(await sql`select id from users`, [{ id: '1' }])
})

t.test(
  'data loaded by plain SQL needs a user and a segment, and a second open period is impossible',
  async (t) => {
    const database = await createDatabase(t)
    const { sql } = database
    await sql`insert into users (id) values (1)`
    await sql`insert into segments (slug) values ('A')`
    await sql`insert into memberships (user_id, segment_id) select 1, id from segments`
    const service = await startServiceOn(t, database)
    t.same(await service.getSegments(1), { status: 200, body: ['A'] })
    await t.rejects(
      sql`insert into memberships (user_id, segment_id, added_at) select 1, id, now() + interval '1 s' from segments`,
      {
        code: '23505'
      }
    )
    for (const slug of ['a', '', '-A', 'A B', 'Ä', 'A'.repeat(129)]) {
      await t.rejects(sql`insert into segments (slug) values (${slug})`, { code: '23514' }, slug)
    }
  }
)

t.test('the views derive when a period ended', async (t) => {
  const { sql } = await createDatabase(t)
  await sql`insert into segments (slug, created_at, deleted_at) values ('OPEN', '2020-01-01', null), ('GONE', '2020-01-01', '2020-06-01')`
  const cases = [
    // slug, added, removed, expires -> ended, active
    ['OPEN', '2020-02-01', null, null, null, true],
    ['OPEN', '2020-02-01', '2020-03-01', null, '2020-03-01', false],
    ['OPEN', '2020-02-01', null, '2020-04-01', '2020-04-01', false],
    ['OPEN', '2020-02-01', null, '2999-04-01', '2999-04-01', true],
    ['OPEN', '2020-02-01', '2020-03-01', '2020-04-01', '2020-03-01', false],
    ['GONE', '2020-02-01', null, null, '2020-06-01', false],
    ['GONE', '2020-02-01', '2020-03-01', null, '2020-03-01', false],
    ['GONE', '2020-02-01', '2020-07-01', null, '2020-06-01', false],
    ['GONE', '2020-07-01', null, null, '2020-07-01', false]
  ] as const
  for (const [n, [slug, added, removed, expires, ended, active]] of cases.entries()) {
    await sql`
      insert into memberships (user_id, segment_id, added_at, removed_at, expires_at)
      select ${n + 1}, id, ${added}::text::date, ${removed}::text::date, ${expires}::text::date from segments where slug = ${slug}`
    t.same(
      await sql`select ended_at::date::text as ended, active from periods where user_id = ${n + 1}`,
      [{ ended, active }],
      `case ${n}`
    )
    const past = ended !== null && ended < '2999'
    t.same(
      (await sql`select operation from history where user_id = ${n + 1} order by happened_at, rank`).map(
        ({ operation }) => operation
      ),
      past ? ['add', 'delete'] : ['add']
    )
  }
})

t.test('a reader sees all of a change or nothing, however long ago its transaction began', async (t) => {
  const { sql } = await createDatabase(t)
  await sql`insert into segments (slug) values ('A'), ('B')`
  await sql`select change_user_segments(1, '{A}', '{}')`
  const reader = await sql.reserve()
  await reader`begin`
  await reader`select now()`
  await sql`select change_user_segments(1, '{B}', '{A}')`
  t.same(await reader`select slug, operation from history order by happened_at, rank`, [
    { slug: 'A', operation: 'add' },
    { slug: 'A', operation: 'delete' },
    { slug: 'B', operation: 'add' }
  ])
  await reader`commit`
  reader.release()
})
