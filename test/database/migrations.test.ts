import { readdir } from 'node:fs/promises'
import t from 'tap'
import { listMigrations, migrate } from '../../src/database/migrate.ts'
import { changeUserSegments } from '../../src/memberships/queries.ts'
import { createDatabase, startServiceOn } from '../support/service.ts'

t.test('an empty database is migrated once, and serves', async (t) => {
  const database = await createDatabase(t, { isMigrated: false })
  const names = await listMigrations()
  t.same(await migrate(database.url), names)
  t.same(await migrate(database.url), [], 'repeating it does nothing')
  const service = await startServiceOn(t, database)
  await service.createSegment('A')
  await service.changeSegments(1, ['A'])
  t.same(await service.getSegments(1), { status: 200, body: ['A'] })
})

t.test('concurrent migrations run each migration once', async (t) => {
  const { url } = await createDatabase(t, { isMigrated: false })
  const runs = await Promise.all(Array.from({ length: 5 }, () => migrate(url)))
  t.same(runs.flat(), await listMigrations())
})

t.test('each function has one definition, in the file of its name', async (t) => {
  const { sql } = await createDatabase(t)
  const functions = await sql<{ name: string }[]>`
    select proname as name from pg_proc where pronamespace = 'public'::regnamespace order by 1`
  const files = await readdir(new URL('../../migrations/functions', import.meta.url))
  t.same(
    functions.map(({ name }) => `${name}.sql`),
    files.sort()
  )
})

t.test('functions get their definitions again, unless a newer version has migrated', async (t) => {
  const { sql, url } = await createDatabase(t)
  const replace = () => sql`
    create or replace function next_moment(p_segment_id integer, p_from timestamptz default now()) returns timestamptz language sql return 'epoch'::timestamptz`
  const isReplaced = async () => {
    const [row] = await sql`select next_moment(1) = 'epoch' as replaced`
    return row?.['replaced']
  }
  await replace()
  t.equal(await isReplaced(), true)
  await migrate(url)
  t.equal(await isReplaced(), false)
  await replace()
  await sql`insert into pgmigrations (name, run_on) values ('9999_newer', now())`
  t.same(await migrate(url), [])
  t.equal(await isReplaced(), true)
})

t.test('a database of an unreleased version is refused and stays unchanged', async (t) => {
  const { sql, url } = await createDatabase(t, { isMigrated: false })
  await sql`create table pgmigrations (id serial primary key, name varchar(255) not null, run_on timestamp not null)`
  await sql`insert into pgmigrations (name, run_on) values ('0001_initial', now())`
  await t.rejects(migrate(url), { message: /before the first release: delete it .*\.data/ })
  t.same(await sql`select name from pgmigrations`, [{ name: '0001_initial' }])
  t.same(await sql`select tablename from pg_tables where schemaname = 'public'`, [
    { tablename: 'pgmigrations' }
  ])
})

t.test('tables with a user id have it in every unique key, and have no triggers', async (t) => {
  const { sql } = await createDatabase(t)
  const tables = ['users', 'memberships', 'assignment_exceptions', 'import_lines']
  const keys = await sql<{ name: string; columns: string[] }[]>`
    select c.relname as name, array_agg(a.attname) as columns
    from pg_index i
    join pg_class c on c.oid = i.indexrelid
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey)
    where i.indrelid = any(${tables}::regclass[]) and i.indisunique
    group by c.relname`
  t.equal(keys.length, 4)
  for (const { name, columns } of keys) t.ok(columns.includes('user_id') || name === 'users_pkey', name)
  t.same(keys.find(({ name }) => name === 'users_pkey')?.columns, ['id'])
  t.same(await sql`select tgname from pg_trigger where tgrelid = any(${tables}::regclass[])`, [])
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

t.test('the views derive when a period ended, and why', async (t) => {
  const { sql } = await createDatabase(t)
  await sql`
    insert into segments (slug, created_at, created_by, selection, deleted_at, deleted_by)
    values
      ('OPEN', '2020-01-01', 'maker', null, null, null),
      ('GONE', '2020-01-01', 'maker', 0.5, '2020-06-01', 'remover')`
  const cases = [
    // slug, added, removed, expires -> ended, active, why added and by whom, why ended and by whom
    ['OPEN', '2020-02-01', null, null, null, true, 'request', 'adder', null, null],
    ['OPEN', '2020-02-01', '2020-03-01', null, '2020-03-01', false, 'request', 'adder', 'request', 'ender'],
    ['OPEN', '2020-02-01', null, '2020-04-01', '2020-04-01', false, 'request', 'adder', 'expiry', null],
    ['OPEN', '2020-02-01', null, '2999-04-01', '2999-04-01', true, 'request', 'adder', 'expiry', null],
    [
      'OPEN',
      '2020-02-01',
      '2020-03-01',
      '2020-04-01',
      '2020-03-01',
      false,
      'request',
      'adder',
      'request',
      'ender'
    ],
    [
      'OPEN',
      '2020-02-01',
      '2020-05-01',
      '2020-04-01',
      '2020-04-01',
      false,
      'request',
      'adder',
      'expiry',
      null
    ],
    ['OPEN', '2020-01-01', null, null, null, true, 'request', 'maker', null, null],
    [
      'GONE',
      '2020-01-01',
      null,
      null,
      '2020-06-01',
      false,
      'selection',
      'maker',
      'segment_deleted',
      'remover'
    ],
    ['GONE', '2020-02-01', null, '2020-05-01', '2020-05-01', false, 'request', 'adder', 'expiry', null],
    ['GONE', '2020-02-01', null, '2020-06-01', '2020-06-01', false, 'request', 'adder', 'expiry', null],
    [
      'GONE',
      '2020-02-01',
      null,
      '2020-07-01',
      '2020-06-01',
      false,
      'request',
      'adder',
      'segment_deleted',
      'remover'
    ],
    ['GONE', '2020-02-01', '2020-03-01', null, '2020-03-01', false, 'request', 'adder', 'request', 'ender'],
    [
      'GONE',
      '2020-02-01',
      '2020-07-01',
      null,
      '2020-06-01',
      false,
      'request',
      'adder',
      'segment_deleted',
      'remover'
    ],
    ['GONE', '2020-07-01', null, null, '2020-07-01', false, 'request', 'adder', 'segment_deleted', 'remover']
  ] as const
  for (const [n, row] of cases.entries()) {
    const [slug, added, removed, expires, ended, active, addedCause, addedBy, endedCause, endedBy] = row
    await sql`
      insert into memberships (user_id, segment_id, added_at, added_by, removed_at, removed_by, expires_at)
      select
        ${n + 1}, id, ${added}::text::date, ${addedBy === 'maker' ? null : addedBy}, ${removed}::text::date, 'ender',
        ${expires}::text::date
      from segments
      where slug = ${slug}`
    t.same(
      await sql`
        select ended_at::date::text as ended, active, added_cause, added_by, ended_cause, ended_by
        from periods
        where user_id = ${n + 1}`,
      [
        {
          ended,
          active,
          added_cause: addedCause,
          added_by: addedBy,
          ended_cause: endedCause,
          ended_by: endedBy
        }
      ],
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

t.test(
  'a reader sees all of a change or nothing of it, even in a transaction that began before',
  async (t) => {
    const database = await createDatabase(t)
    const { sql } = database
    const service = await startServiceOn(t, database)
    const change = (add: string[], remove: string[]) =>
      changeUserSegments(service.app.writes, '1', { add: add.map((slug) => ({ slug })), remove, actor: null })
    await sql`insert into segments (slug) values ('A'), ('B')`
    await change(['A'], [])
    const reader = await sql.reserve()
    await reader`begin`
    await reader`select now()`
    await change(['B'], ['A'])
    t.same(await reader`select slug, operation from history order by happened_at, rank`, [
      { slug: 'A', operation: 'add' },
      { slug: 'A', operation: 'delete' },
      { slug: 'B', operation: 'add' }
    ])
    await reader`commit`
    reader.release()
  }
)
