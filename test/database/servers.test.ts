import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import postgres from 'postgres'
import t, { type Test } from 'tap'
import { keepPartitions } from '../../src/changes/upkeep.ts'
import { migrate } from '../../src/database/migrate.ts'
import { createDatabase, startServiceOn, type TestDatabase } from '../support/service.ts'
import { checkService } from '../support/smoke.ts'
import { recordStartupParameters } from '../support/startup-parameters.ts'
import { checkUpkeep, listPartitions } from '../support/upkeep.ts'

/** Defaults that an operator may have set for the server, the database or the role. */
const settings = {
  TimeZone: 'Asia/Kathmandu',
  DateStyle: 'SQL, DMY',
  IntervalStyle: 'iso_8601',
  default_transaction_read_only: 'on',
  default_transaction_deferrable: 'on',
  idle_session_timeout: '50ms',
  idle_in_transaction_session_timeout: '1ms',
  transaction_timeout: '50ms',
  statement_timeout: '1ms',
  lock_timeout: '1ms',
  standard_conforming_strings: 'off',
  escape_string_warning: 'off',
  backslash_quote: 'off',
  bytea_output: 'escape',
  extra_float_digits: '-15',
  client_encoding: 'LATIN1',
  client_min_messages: 'debug1',
  array_nulls: 'off',
  transform_null_equals: 'on',
  quote_all_identifiers: 'on',
  row_security: 'off',
  check_function_bodies: 'off',
  search_path: 'nowhere, public',
  synchronous_commit: 'off',
  default_toast_compression: 'pglz',
  temp_tablespaces: '',
  work_mem: '64kB',
  jit: 'on',
  jit_above_cost: '0',
  plan_cache_mode: 'force_custom_plan',
  enable_seqscan: 'off',
  enable_indexscan: 'off',
  enable_hashjoin: 'off',
  enable_nestloop: 'off',
  max_parallel_workers_per_gather: '0',
  'plpgsql.variable_conflict': 'use_column',
  'plpgsql.extra_errors': 'all'
}

function withLogin(url: string, user: string, password: string): string {
  const changed = new URL(url)
  changed.username = user
  changed.password = password
  return changed.href
}

/** Creates a role for one test, by statements in which `user_segments` is its name. Returns the URL to log in with. */
async function createRole(t: Test, database: TestDatabase, statements: string): Promise<string> {
  const name = `role_${randomBytes(8).toString('hex')}`
  const { sql } = database
  await sql.unsafe(
    statements
      .replaceAll('user_segments', name)
      .replaceAll('database segments', `database ${sql.options.database}`)
      .replaceAll("password '…'", "password 'secret'")
  )
  t.teardown(async () => {
    await sql.unsafe(`drop owned by ${name}`)
    await sql.unsafe(`drop role ${name}`)
  })
  return withLogin(database.url, name, 'secret')
}

const documented = await readFile(new URL('../../docs/operations.md', import.meta.url), 'utf8')
const [rights = ''] = documented.match(/(?<=```sql\n)create role user_segments[^`]*/) ?? []

/** The parameters that PgBouncer keeps for each client, and those that are documented for its configuration. */
const acceptedByPgBouncer = [
  ...[
    'user',
    'database',
    'application_name',
    'client_encoding',
    'datestyle',
    'timezone',
    'standard_conforming_strings'
  ],
  ...[...documented.matchAll(/^(?:track_extra_parameters|ignore_startup_parameters) = (.*)$/gm)].flatMap(
    ([, names = '']) => names.toLowerCase().split(', ')
  )
]

t.test('the service works with the rights that the documentation names, and with no others', async (t) => {
  const database = await createDatabase(t)
  const url = await createRole(t, database, rights)
  const recorded = await recordStartupParameters(t, url)
  const service = await startServiceOn(t, { ...database, url: recorded.url })
  await checkService(t, service)
  await checkUpkeep(t, service)
  t.same(
    [...recorded.names].filter((name) => !acceptedByPgBouncer.includes(name.toLowerCase())),
    [],
    'PgBouncer accepts each startup parameter, as it is documented to be configured'
  )
  const sql = postgres(url, { max: 1 })
  t.teardown(() => sql.end())
  await t.rejects(sql`create table x (id integer)`, { code: '42501' })
  await t.rejects(sql`drop table changes_default`, { code: '42501' })
  await t.rejects(sql`delete from pgmigrations`, { code: '42501' })
})

t.test(
  'only a role with the right to call it makes and drops partitions, and names of its own mislead it nowhere',
  async (t) => {
    const database = await createDatabase(t)
    const url = await createRole(t, database, rights)
    const { username } = new URL(url)
    const { sql } = database
    const service = await startServiceOn(t, { ...database, url })
    await sql.unsafe(`grant temporary on database ${sql.options.database} to ${username}`)
    const session = postgres(url, { max: 1, onnotice: () => {} })
    t.teardown(() => session.end())
    await session`create temporary table changes (logged_on date, xid xid8)`
    await session`create temporary table changes_default (logged_on date)`
    await session`select keep_change_partitions(30)`
    t.equal((await listPartitions(database)).length, 2, 'a temporary table is not taken for the log')
    await sql.unsafe(`revoke execute on function keep_change_partitions(integer) from ${username}`)
    await t.rejects(session`select keep_change_partitions(30)`, { code: '42501' })
    await t.rejects(keepPartitions(service.app.bulk, 30), { code: '42501' })
  }
)

t.test('a role without rights is answered 503 until it has them', async (t) => {
  const database = await createDatabase(t)
  const url = await createRole(t, database, "create role user_segments login password '…'")
  const service = await startServiceOn(t, { ...database, url })
  const { username } = new URL(url)
  const unavailable = { status: 503, body: { code: 'DATABASE_UNAVAILABLE' } }
  t.match(await service.getSegments(1), unavailable)
  t.match(await service.get('/health/ready'), unavailable)
  await database.sql.unsafe(`grant select on all tables in schema public to ${username}`)
  t.match(await service.get('/health/ready'), unavailable, 'with rights to read alone')
  await database.sql.unsafe(`grant insert, update, delete on all tables in schema public to ${username}`)
  t.equal((await service.get('/health/ready')).status, 200)
})

for (const isolation of ['repeatable read', 'serializable'])
  t.test(`the service works whatever the defaults of the role are, with ${isolation}`, async (t) => {
    const database = await createDatabase(t)
    const url = await createRole(t, database, rights)
    const { username } = new URL(url)
    for (const [name, value] of Object.entries({ ...settings, default_transaction_isolation: isolation }))
      await database.sql.unsafe(
        `alter role ${username} set ${name} = ${name === 'search_path' ? value : `'${value}'`}`
      )
    const service = await startServiceOn(t, { ...database, url })
    await checkService(t, service)
    await checkUpkeep(t, service)
  })

t.test('the service works in a database of Turkish locale', async (t) => {
  const database = await createDatabase(t, { create: "locale_provider icu icu_locale 'tr-TR'" })
  await migrate(database.url)
  await checkService(t, await startServiceOn(t, database))
})

t.test('a database that cannot store every text is refused with one line', async (t) => {
  for (const encoding of ['SQL_ASCII', 'LATIN1']) {
    const { url } = await createDatabase(t, {
      create: `encoding '${encoding}' locale_provider libc locale 'C'`
    })
    await t.rejects(migrate(url), {
      message: `The encoding of the database is ${encoding}: create one with encoding 'UTF8'`
    })
  }
})

t.test('the tables, the functions and the migrations are in the schema of DATABASE_URL', async (t) => {
  const searchPath = `options=${encodeURIComponent('-c search_path=Other,public')}`
  for (const [schema, parameter] of [
    ['Some Schema', 'schema=Some%20Schema'],
    ['other', searchPath]
  ] as const) {
    const database = await createDatabase(t, { isMigrated: false })
    const url = `${database.url}?${parameter}`
    if (parameter !== searchPath)
      await t.rejects(migrate(url), { message: /^No schema of the search path \("Some Schema"\) exists/ })
    await database.sql`create schema ${database.sql(schema)}`
    await migrate(url)
    t.same(await migrate(url), [])
    const schemas = await database.sql`
      select distinct nspname as name
      from (select relnamespace from pg_class union all select pronamespace from pg_proc) objects (namespace)
      join pg_namespace on pg_namespace.oid = namespace
      where nspname !~ '^(pg_|information_schema)'`
    t.same([...schemas], [{ name: schema }], 'nothing is elsewhere')
    const service = await startServiceOn(t, { ...database, url })
    await checkService(t, service)
    await checkUpkeep(t, service)
  }
})
