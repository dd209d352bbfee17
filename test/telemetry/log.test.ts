import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { configureKeys, makeKey } from '../support/keys.ts'
import { countBlocked, holdTable } from '../support/locks.ts'
import { startServerProcess } from '../support/server-process.ts'
import { createDatabase, createFolder, waitUntil } from '../support/service.ts'

const json = { 'content-type': 'application/json' }
/** A secret that occurs in bodies and elsewhere, and must not appear in the log. */
const marker = 'MARKER7f3a'

t.test('no secret, no database URL and no body reaches the log, at its finest level', async (t) => {
  const database = await createDatabase(t)
  const keys = { reader: makeKey('analyst', 'reader'), admin: makeKey('marketing', 'admin') }
  const { password } = new URL(database.url)
  t.match(password, /.{8}/)
  const server = startServerProcess(t, {
    DATABASE_URL: database.url,
    PORT: '0',
    REPORTS_DIR: await createFolder(t),
    LOG_LEVEL: 'trace',
    API_KEYS: configureKeys(...Object.values(keys))
  })
  const address = await server.address()
  const user = `${address}/api/v1/segments/user/1`
  const send = async (path: string, headers: Record<string, string>, body?: string) =>
    (await fetch(path, { headers, ...(body !== undefined && { method: 'POST', body }) })).status

  const { headers } = keys.admin
  t.equal(await send(user, { ...headers, ...json }, '{}'), 200)
  t.equal(await send(user, keys.reader.headers), 200)
  t.equal(await send(`${address}/api/v1/segment`, { ...headers, ...json }, `{"slug":"${marker}"}`), 200)
  t.equal(await send(`${address}/api/v1/segment`, { ...headers, ...json }, `{"slug":"${marker}"}`), 409)
  t.equal(await send(user, { ...headers, ...json }, `{"segments_to_add":["${marker}`), 400)
  t.equal(await send(user, { ...headers, ...json }, `{"${marker}":1}`), 400)
  t.equal(await send(user, { ...headers, 'content-type': 'text/plain' }, marker), 415)
  t.equal(await send(user, { ...keys.reader.headers, ...json }, `{"segments_to_add":["${marker}"]}`), 403)
  t.equal(await send(user, { authorization: `Bearer ${marker}` }), 401)
  t.equal(await send(user, { authorization: `Basic ${marker}` }), 401)
  t.equal(await send(`${user}?api_key=${keys.reader.secret}`, {}), 401)
  t.equal(await send(`${address}/health/live?token=${marker}`, { cookie: marker }), 400)

  // Causes an internal error and a database fault; both are logged with their cause.
  await database.sql`alter table users rename to gone`
  await database.sql`create view users as select (1 / (1 - 1))::bigint as id`
  t.equal(await send(user, { ...headers, ...json }, `{"segments_to_add":["${marker}"]}`), 500)
  await database.sql`drop view users`
  await database.sql`alter table gone rename to users`
  await holdTable(t, database, 'memberships')
  const overdue = send(user, { ...headers, ...json }, `{"segments_to_add":["${marker}"]}`)
  await waitUntil(
    () => countBlocked(database),
    (count) => count > 0
  )
  await database.sql`
    select pg_terminate_backend(pid)
    from pg_stat_activity
    where datname = current_database()
      and application_name like 'user-segments%'`
  t.equal(await overdue, 503)
  server.process.kill('SIGTERM')
  t.equal(await server.exitCode(), 0)

  const log = server.stdout + server.stderr
  t.match(log, '"key":"marketing"', 'the name of the key is logged')
  t.match(log, '"key":"analyst"')
  t.match(log, 'request failed')
  t.match(log, 'DATABASE_UNAVAILABLE')
  for (const { secret, setting } of Object.values(keys)) {
    t.notMatch(log, secret)
    t.notMatch(log, setting.split(':')[2])
  }
  for (const hidden of [marker, password, database.url, 'Bearer']) t.notMatch(log, hidden)
})

t.test('no command prints any part of an invalid database URL', async (t) => {
  const REPORTS_DIR = await createFolder(t)
  for (const script of ['server.ts', 'database/migrate.ts', 'dev/dev.ts']) {
    for (const url of ['mysql://u:sesame@host/db', 'postgres://u:sesame@host:port/db']) {
      const path = fileURLToPath(new URL(`../../src/${script}`, import.meta.url))
      const environment = { PATH: process.env.PATH, DATABASE_URL: url, REPORTS_DIR, PORT: '0' }
      const child = execFile(process.execPath, [path], { cwd: REPORTS_DIR, env: environment })
      let output = ''
      for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (output += chunk))
      const [code] = await once(child, 'close')
      t.equal(code, 1, `${script} ${url}`)
      t.match(output, /\w/)
      t.notMatch(output, 'sesame')
    }
  }
})
