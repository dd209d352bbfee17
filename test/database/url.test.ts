import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { connect as connectTo, createServer as createTcpServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { ConfigError } from '../../src/config-error.ts'
import { connectDatabase } from '../../src/database/connect.ts'
import { migrate } from '../../src/database/migrate.ts'
import { readDatabaseUrl, readServerUrls } from '../../src/database/url.ts'
import { createCertificate } from '../support/certificate.ts'
import { startFaultProxy } from '../support/fault-proxy.ts'
import { createDatabase, createFolder } from '../support/service.ts'

t.test('the parts of the URL', async (t) => {
  const read = (url: string, environment = {}) => readDatabaseUrl(url, environment)
  t.match(read('postgres://me:p%40s%3As@db:6543/segments'), {
    hosts: [{ host: 'db', port: 6543 }],
    user: 'me',
    password: 'p@s:s',
    database: 'segments',
    encryption: { mode: 'none' },
    settings: {}
  })
  t.same(read('postgresql://me@[::1]:6543/x').hosts, [{ host: '::1', port: 6543 }])
  t.same(
    read('postgres://me@a,b:1,[::2]/x').hosts,
    [
      { host: 'a', port: 5432 },
      { host: 'b', port: 1 },
      { host: '::2', port: 5432 }
    ],
    'several hosts'
  )
  const socket = [{ host: '/var/run', port: 5432 }]
  t.same(read('postgres://me@/x?host=/var/run').hosts, socket)
  t.same(read('postgres://me@%2Fvar%2Frun/x').hosts, socket)
  t.match(read('postgres://@/?user=me&password=s&dbname=x&host=a,b&port=1,2'), {
    hosts: [
      { host: 'a', port: 1 },
      { host: 'b', port: 2 }
    ],
    user: 'me',
    password: 's',
    database: 'x'
  })
  t.match(
    read('postgres://', { PGHOST: 'h', PGPORT: '7', PGUSER: 'u', PGPASSWORD: 's', PGDATABASE: 'd' }),
    { hosts: [{ host: 'h', port: 7 }], user: 'u', password: 's', database: 'd' },
    'missing parts come from the environment'
  )
  t.match(read('postgres://me@'), { hosts: [{ host: 'localhost', port: 5432 }], database: 'me' })
  t.same(read('postgres://me@a/x?schema=a"b&application_name=n&options=-c%20a=b').settings, {
    search_path: '"a""b"',
    application_name: 'n',
    options: '-c a=b'
  })
  t.equal(read('postgres://a/x').requiresPrimary, true)
  t.equal(read('postgres://a/x?target_session_attrs=any').requiresPrimary, false)
  t.match(
    read('postgres://a/x', { PGSSLMODE: 'require', PGTARGETSESSIONATTRS: 'any', PGAPPNAME: 'n' }),
    { encryption: { mode: 'required' }, requiresPrimary: false, settings: { application_name: 'n' } },
    'variables of libpq give what the URL does not'
  )
  t.match(read('postgres://a/x?sslmode=disable', { PGSSLMODE: 'require' }), { encryption: { mode: 'none' } })
  t.match(read('postgres://me@a/%C3%A9%20%2F?sslmode=disable'), { database: 'é /' }, 'an encoded name')
})

/** The message that the operator sees. */
function refusal(url: string): string {
  try {
    readDatabaseUrl(url, {})
  } catch (error) {
    if (error instanceof ConfigError) return error.message
  }
  return 'not refused'
}

t.test('an invalid URL is refused with one line that contains no part of it', async (t) => {
  for (const url of [
    'postgres://me:sec/ret@db/x',
    'postgres://me:sec%ret@db/x',
    'postgres://me:secret@db:port/x',
    'postgres://me:secret@db:99999/x',
    'postgres://me:secret@db:1:2/x',
    'postgres://me:secret@db/x?secret=1',
    'postgres://me:secret@db/x?sslmode=secret',
    'postgres://me:secret@db/x?channel_binding=require',
    'postgres://me:secret@db/x?target_session_attrs=standby',
    'postgres://me:secret@db/x?sslmode=verify-ca&sslrootcert=/secret'
  ]) {
    const message = refusal(url)
    t.match(message, /^DATABASE_URL is not valid: [^\n]+$/, url)
    t.notMatch(message, /secret|99999|:sec|\bret/)
  }
})

t.test('READ_DATABASE_URLS has one URL for each server', async (t) => {
  const urls = ' postgres://me:a,b@standby-1:5433/x , postgresql://standby-2/x?sslmode=require '
  t.match(readServerUrls(urls, {}), [
    { hosts: [{ host: 'standby-1', port: 5433 }], password: 'a,b', requiresPrimary: false },
    { hosts: [{ host: 'standby-2', port: 5432 }], encryption: { mode: 'required' }, requiresPrimary: false }
  ])
  const part = 'READ_DATABASE_URLS (part 2) is not valid: '
  for (const [url, message] of [
    ['postgres://me:secret@a,b/x', `${part}it must name one host; give each server a URL of its own`],
    ['postgres://me:secret@a:0/x', `${part}a port must be a number up to 65535`]
  ] as const)
    t.throws(() => readServerUrls(`postgres://a/x,${url}`, {}), new ConfigError(message))
  t.throws(
    () => readServerUrls('postgres://a/x?secret=1', {}),
    /^READ_DATABASE_URLS is not valid: it has an unknown parameter/
  )
})

t.test('the service and the migrations connect in the same way', async (t) => {
  const { url } = await createDatabase(t)
  /** The outcome of connecting, for both. */
  const connect = async (databaseUrl: string) => {
    const pool = connectDatabase(databaseUrl, {
      name: 'test',
      connections: 1,
      lockTimeout: 60_000,
      statementTimeout: 60_000
    })
    const outcomes = await Promise.allSettled([pool`select`, migrate(databaseUrl)])
    await pool.end({ timeout: 1 })
    return outcomes.map((outcome) =>
      outcome.status === 'rejected' ? String(outcome.reason.code ?? outcome.reason) : 'connected'
    )
  }
  const both = (outcome: string) => [outcome, outcome]
  const withParameters = (base: string, parameters: Record<string, string>) => {
    const changed = new URL(base)
    for (const [name, value] of Object.entries(parameters)) changed.searchParams.set(name, value)
    return changed.href
  }

  t.test('to the first of several hosts that answers', async (t) => {
    const several = url.replace(/@([^/]+)/, '@127.0.0.1:1,$1')
    t.same(await connect(several), both('connected'))
    t.same(await connect(url.replace(/@[^/]+/, '@127.0.0.1:1,127.0.0.1:2')), both('ECONNREFUSED'))
  })

  t.test('with the required encryption', async (t) => {
    const certificate = createCertificate()
    const folder = await createFolder(t)
    const own = join(folder, 'own.pem')
    const other = join(folder, 'other.pem')
    await writeFile(own, certificate.cert)
    await writeFile(other, createCertificate().cert)
    const proxy = await startFaultProxy(t, url, certificate)
    const encrypted = (parameters: Record<string, string>) => connect(withParameters(proxy.url, parameters))
    t.same(await encrypted({ sslmode: 'prefer' }), both('connected'))
    t.same(await encrypted({ sslmode: 'require' }), both('connected'))
    t.same(await encrypted({ sslmode: 'verify-full' }), both('DEPTH_ZERO_SELF_SIGNED_CERT'))
    t.same(await encrypted({ sslmode: 'verify-full', sslrootcert: own }), both('connected'))
    t.same(await encrypted({ sslmode: 'verify-ca', sslrootcert: own }), both('connected'))
    t.same(await encrypted({ sslmode: 'verify-ca', sslrootcert: other }), both('DEPTH_ZERO_SELF_SIGNED_CERT'))
    t.same(await encrypted({ sslmode: 'require', sslrootcert: other }), both('DEPTH_ZERO_SELF_SIGNED_CERT'))

    t.same(
      await connect(withParameters(url, { sslmode: 'prefer' })),
      both('connected'),
      'not supported by the server'
    )
    t.same(await connect(withParameters(url, { sslmode: 'require' })), [
      'CONNECTION_CLOSED',
      'Error: the database does not support encryption'
    ])
  })

  t.test('with a certificate of the host, which may be a name or an IP address', async (t) => {
    const folder = await createFolder(t)
    for (const subject of ['name', 'address'] as const) {
      const certificate = createCertificate(subject)
      const sslrootcert = join(folder, `${subject}.pem`)
      await writeFile(sslrootcert, certificate.cert)
      const proxy = await startFaultProxy(t, url, certificate)
      for (const host of ['localhost', '127.0.0.1']) {
        const changed = withParameters(proxy.url, { sslmode: 'verify-full', sslrootcert })
        const isNamed = (host === 'localhost') === (subject === 'name')
        t.same(
          await connect(changed.replace('127.0.0.1', host)),
          both(isNamed ? 'connected' : 'ERR_TLS_CERT_ALTNAME_INVALID'),
          `${host}, the certificate has the ${subject}`
        )
      }
    }
  })

  t.test('by a Unix socket, and by an IPv6 address', async (t) => {
    const { hostname, port, pathname, username, password } = new URL(url)
    const forward = async (target: string | { host: string }) => {
      const server = createTcpServer((near) => {
        const far = connectTo(Number(port), hostname)
        near
          .on('error', () => {})
          .pipe(far.on('error', () => {}))
          .pipe(near)
      })
      server.listen(typeof target === 'string' ? target : { ...target, port: 0 })
      await once(server, 'listening')
      t.teardown(() => server.close())
      return server.address()
    }
    const folder = await createFolder(t)
    await forward(join(folder, '.s.PGSQL.5432'))
    const login = `postgres://${username}:${password}@`
    t.same(await connect(`${login}${pathname}?host=${folder}&sslmode=require`), both('connected'))
    t.same(await connect(`${login}${encodeURIComponent(folder)}${pathname}`), both('connected'))
    const address = await forward({ host: '::1' })
    if (address === null || typeof address === 'string') throw new Error('no port')
    t.same(await connect(`${login}[::1]:${address.port}${pathname}`), both('connected'))
  })

  t.test('with encoded names and passwords', async (t) => {
    const { sql } = await createDatabase(t)
    const [name, role, password] = ['é /?#%@:', `röle @:/${randomBytes(4).toString('hex')}`, 'p/@:?#%&ä']
    const database = `${name}${randomBytes(4).toString('hex')}`
    await sql.unsafe(`create role "${role}" login superuser password '${password}'`)
    await sql.unsafe(`create database "${database}" owner "${role}"`)
    t.teardown(async () => {
      const { sql: later } = await createDatabase(t)
      await later.unsafe(`drop database "${database}" with (force)`)
      await later.unsafe(`drop role "${role}"`)
    })
    const [user, secret, path] = [role, password, database].map(encodeURIComponent)
    t.same(
      await connect(`postgres://${user}:${secret}@${new URL(url).host}/${path}?channel_binding=prefer`),
      both('connected')
    )
  })

  t.test('not to another server than PostgreSQL', async (t) => {
    const server = createServer().listen(0, '127.0.0.1')
    t.teardown(() => server.close())
    await new Promise((resolve) => server.once('listening', resolve))
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    const outcomes = await connect(`postgres://127.0.0.1:${address.port}/x?sslmode=require`)
    t.notMatch(outcomes, ['connected'])
  })
})

t.test(
  'each connection has the settings that the SQL relies on, whatever the defaults of the database',
  async (t) => {
    const { url, sql } = await createDatabase(t)
    const name = sql.options.database
    const others = {
      TimeZone: 'Asia/Tokyo',
      DateStyle: 'German, DMY',
      IntervalStyle: 'iso_8601',
      default_transaction_isolation: 'repeatable read',
      default_transaction_read_only: 'on',
      idle_session_timeout: '50',
      idle_in_transaction_session_timeout: '50',
      statement_timeout: '50',
      standard_conforming_strings: 'off',
      bytea_output: 'escape',
      extra_float_digits: '0'
    }
    for (const [setting, value] of Object.entries(others))
      await sql.unsafe(`alter database ${name} set ${setting} = '${value}'`)
    t.same(await migrate(url), [], 'migrations')
    const pool = connectDatabase(url, {
      name: 'test',
      connections: 1,
      lockTimeout: 60_000,
      statementTimeout: 60_000
    })
    t.teardown(() => pool.end({ timeout: 1 }))
    const [row] = await pool`
    select
      '2023-08-02 00:00Z'::timestamptz::text as time,
      interval '1 day 2 hours'::text as interval,
      current_setting('transaction_isolation') as isolation,
      current_setting('transaction_read_only') as read_only,
      current_setting('idle_session_timeout') as idle,
      current_setting('idle_in_transaction_session_timeout') as idle_in_transaction,
      current_setting('statement_timeout') as statement,
      '\\x41'::text as text`
    t.same(row, {
      time: '2023-08-02 00:00:00+00',
      interval: '1 day 02:00:00',
      isolation: 'read committed',
      read_only: 'off',
      idle: '0',
      idle_in_transaction: '5s',
      statement: '1min',
      text: '\\x41'
    })
  }
)
