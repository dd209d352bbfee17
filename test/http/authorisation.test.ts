import { readdir } from 'node:fs/promises'
import type { InjectOptions, RouteOptions } from 'fastify'
import t, { type Test } from 'tap'
import { type Role, roles } from '../../src/http/api-keys.ts'
import { configureKeys, makeKey } from '../support/keys.ts'
import { collectRoutes, describeRoute, exampleRequest } from '../support/routes.ts'
import { emptyTables, removeReports, startService, type TestService } from '../support/service.ts'

const names = { reader: 'analyst', editor: 'support', admin: 'marketing' }

function makeKeys() {
  return {
    reader: makeKey(names.reader, 'reader'),
    editor: makeKey(names.editor, 'editor'),
    admin: makeKey(names.admin, 'admin')
  }
}

const keys = makeKeys()
/** Keys with the same names, as during a rotation. */
const renewedKeys = makeKeys()
/** A former key of the same name, which is no longer configured. */
const formerKey = makeKey(names.admin, 'admin')
const API_KEYS = configureKeys(...Object.values(keys), ...Object.values(renewedKeys))

const { secret } = keys.admin
const missing = 'header (authorization) is missing: it must be Bearer <secret>'
const malformed = 'header (authorization) must be Bearer <secret>'
const wrong = 'header (authorization) matches no API key'

/** Invalid keys: the header, if any, and the message. */
const invalidCredentials: [credential: string, authorization: string | undefined, message: string][] = [
  ['none', undefined, missing],
  ['an empty header', '', malformed],
  ['a scheme without a secret', 'Bearer', malformed],
  ['a scheme and a space', 'Bearer ', malformed],
  ['a secret without a scheme', secret, malformed],
  ['no space after the scheme', `Bearer${secret}`, malformed],
  ['two secrets', `Bearer ${secret} ${secret}`, malformed],
  ['secrets with a comma between them', `Bearer ${secret},${secret}`, malformed],
  ['a quoted secret', `Bearer "${secret}"`, malformed],
  ['a whole setting', `Bearer ${keys.admin.setting}`, malformed],
  ['another scheme', `Token ${secret}`, malformed],
  ['Basic', `Basic ${Buffer.from(`marketing:${secret}`).toString('base64')}`, malformed],
  ['a wrong secret', `Bearer ${'A'.repeat(secret.length)}`, wrong],
  ['a part of a secret', `Bearer ${secret.slice(0, -1)}`, wrong],
  ['more than a secret', `Bearer ${secret}A`, wrong],
  ['a secret in another case', `Bearer ${secret.toLowerCase()}`, wrong],
  ['the digest of a secret', `Bearer ${keys.admin.setting.split(':')[2]}`, wrong],
  ['a name', `Bearer ${names.admin}`, wrong],
  ['a former secret of a name that has newer ones', `Bearer ${formerKey.secret}`, wrong]
]

const validCredentials = (role: Role): [credential: string, authorization: string][] => [
  [role, keys[role].headers.authorization],
  [`${role}, renewed`, renewedKeys[role].headers.authorization],
  [`${role}, the scheme in another case`, `bEARER  ${keys[role].secret}`]
]

const reaches = (role: Role, needed: Role) => roles.indexOf(role) >= roles.indexOf(needed)

function withCredential(request: InjectOptions, authorization: string | undefined): InjectOptions {
  if (authorization === undefined) return request
  return { ...request, headers: { ...request.headers, authorization } }
}

/** Everything that a request could change: every row of every table, and the reports. */
async function readState({ sql, reportsDirectory }: TestService): Promise<Record<string, unknown>> {
  const tables = await sql<{ name: string }[]>`
    select table_name as name
    from information_schema.tables
    where table_schema = 'public'
      and table_type = 'BASE TABLE'`
  const state: Record<string, unknown> = { reports: (await readdir(reportsDirectory)).sort() }
  for (const { name } of tables) {
    const [row] = await sql`select json_agg(t order by t::text)::text as rows from ${sql(name)} t`
    state[name] = row?.['rows']
  }
  return state
}

/** Creates what the examples of the route need, but nothing that they create. */
async function prepare(service: TestService, { url }: RouteOptions): Promise<TestService> {
  const { sql } = service
  await emptyTables(service.database)
  await removeReports(service)
  await sql`insert into users (id) values (10)`
  if (url === '/api/v1/segment') return service
  if (url.includes('/groups/:slug')) await sql`insert into exclusive_groups (slug) values ('CHECKOUT_TEST')`
  await sql`insert into segments (slug) values ('AVITO_VOICE_MESSAGES'), ('CHECKOUT_NEW')`
  if (url.includes('/webhooks/'))
    await sql`insert into webhooks (url, secret, cursor) values ('https://receiver.example', 'whsec_', 'x')`
  if (url.includes(':slug'))
    await sql`insert into memberships (user_id, segment_id) select 10, id from segments`
  return service
}

/** A service without background jobs, so that no earlier request changes anything during the next. */
async function startRestingService(t: Test, OPEN_ROUTES: string): Promise<TestService> {
  const service = await startService(t, { API_KEYS, OPEN_ROUTES })
  await service.app.webhookPusher.close()
  await Promise.all(Object.values(service.app.backgroundJobs).map((job) => job.stop()))
  return service
}

/** All routes, one per method, with their declared roles, and the service. */
async function startWithRoutes(
  t: Test,
  OPEN_ROUTES: string
): Promise<{ service: TestService; routes: [RouteOptions, Role | 'open'][] }> {
  const collected = collectRoutes(t)
  const service = await startRestingService(t, OPEN_ROUTES)
  const single = collected.flatMap((route) => [route.method].flat().map((method) => ({ ...route, method })))
  const routes = single.map((route): [RouteOptions, Role | 'open'] => {
    if (!route.config?.role) throw new Error(`${describeRoute(route)} declares no role`)
    return [route, route.config.role]
  })
  return { service, routes }
}

/** No report has been made, and the files of the console have a hash in their names. */
const isMissingFile = ({ url }: RouteOptions, status: number): boolean =>
  status === 404 && /:filename|\/assets\//.test(url)

async function serveEverybody(t: Test, service: TestService, route: RouteOptions): Promise<void> {
  t.match(route.method, /^(GET|HEAD)$/, 'it changes nothing')
  for (const [credential, authorization] of [...invalidCredentials, ...roles.flatMap(validCredentials)]) {
    const request = withCredential(exampleRequest(route), authorization)
    const { statusCode } = await service.app.inject({ ...request, remoteAddress: nextAddress() })
    t.ok(statusCode < 400 || isMissingFile(route, statusCode), `${credential}: ${statusCode}`)
  }
}

let lastAddress = 0

/** Another address for each request, because requests without a key are counted by it. */
function nextAddress(): string {
  lastAddress += 1
  return `10.0.${lastAddress >> 8}.${lastAddress & 255}`
}

async function refuse(t: Test, service: TestService, route: RouteOptions, needed: Role): Promise<void> {
  const before = await readState(service)
  const check = async (request: InjectOptions, status: number, body: object, comment: string) => {
    const answer = await service.app.inject({ ...request, remoteAddress: nextAddress() })
    t.equal(answer.statusCode, status, comment)
    t.equal(answer.headers['www-authenticate'], status === 401 ? 'Bearer realm="user-segments"' : undefined)
    if (request.method !== 'HEAD') t.same(answer.json(), body, comment)
  }
  const request = exampleRequest(route)
  // An invalid body, which must not be read.
  const unreadable = { ...request, headers: { 'content-type': 'text/plain' }, body: 'x'.repeat(2 ** 20 + 1) }
  for (const [credential, authorization, message] of invalidCredentials) {
    for (const sent of request.body === undefined ? [request] : [request, unreadable]) {
      await check(withCredential(sent, authorization), 401, { message, code: 'UNAUTHENTICATED' }, credential)
    }
  }
  for (const role of roles.filter((role) => !reaches(role, needed))) {
    const message = `key (${names[role]}) has the role ${role}, this needs the role ${needed}`
    for (const [credential, authorization] of validCredentials(role)) {
      await check(withCredential(request, authorization), 403, { message, code: 'FORBIDDEN' }, credential)
    }
  }
  t.same(await readState(service), before, 'nothing has changed')
}

async function serve(t: Test, service: TestService, route: RouteOptions, needed: Role): Promise<void> {
  const sufficient = roles.filter((role) => reaches(role, needed))
  const isRead = route.method === 'GET' || route.method === 'HEAD'
  if (isRead) await prepare(service, route)
  for (const [credential, authorization] of sufficient.flatMap(validCredentials)) {
    if (!isRead) await prepare(service, route)
    const before = isRead ? undefined : await readState(service)
    const { statusCode } = await service.app.inject(withCredential(exampleRequest(route), authorization))
    t.ok(statusCode < 400 || isMissingFile(route, statusCode), `${credential}: ${statusCode}`)
    if (needed !== 'reader' && !isRead)
      t.notSame(await readState(service), before, `${credential} has changed something`)
  }
}

t.test('with OPEN_ROUTES=none', async (t) => {
  const { service, routes } = await startWithRoutes(t, 'none')
  for (const [route, role] of routes) {
    const name = describeRoute(route)
    if (role === 'open') {
      t.test(`${name} needs no key`, async (t) => serveEverybody(t, await prepare(service, route), route))
    } else {
      t.test(`${name} serves no lower role than ${role}`, async (t) =>
        refuse(t, await prepare(service, route), route, role)
      )
    }
  }
  // Last, because ordered reports are still being generated afterwards.
  for (const [route, role] of routes) {
    if (role === 'open') continue
    t.test(`${describeRoute(route)} serves the role ${role} and higher ones`, (t) =>
      serve(t, service, route, role)
    )
  }
})

t.test('with all routes open that can be', async (t) => {
  const { service, routes } = await startWithRoutes(t, 'docs,metrics,console')
  for (const [route, role] of routes) {
    if (role !== 'open') continue
    t.test(`${describeRoute(route)} needs no key`, async (t) =>
      serveEverybody(t, await prepare(service, route), route)
    )
  }
})

t.test('each route requires the documented role', async (t) => {
  const { routes } = await startWithRoutes(t, 'docs')
  t.match(Object.fromEntries(routes.map(([route, role]) => [describeRoute(route), role])), {
    'POST /api/v1/segment': 'admin',
    'DELETE /api/v1/segment/:slug': 'admin',
    'GET /api/v1/segment/:slug': 'reader',
    'GET /api/v1/segment/:slug/users.csv': 'reader',
    'POST /api/v1/segments/user/:user_id': 'editor',
    'POST /api/v1/segment/:slug/users': 'editor',
    'DELETE /api/v1/segment/:slug/users': 'editor',
    'POST /api/v1/users': 'editor',
    'DELETE /api/v1/users/:user_id': 'admin',
    'POST /api/v1/webhooks': 'admin',
    'GET /api/v1/webhooks': 'admin',
    'GET /api/v1/webhooks/:id': 'admin',
    'PATCH /api/v1/webhooks/:id': 'admin',
    'DELETE /api/v1/webhooks/:id': 'admin',
    'GET /api/v1/segments/user/:user_id': 'reader',
    'HEAD /api/v1/segments/user/:user_id': 'reader',
    'POST /api/v1/segments/users/query': 'reader',
    'POST /api/v1/segments/count': 'reader',
    'GET /api/v1/segments/user/:user_id/csv': 'reader',
    'GET /api/v1/segments/user/history/:filename': 'reader',
    'POST /ofrep/v1/evaluate/flags/:slug': 'reader',
    'POST /ofrep/v1/evaluate/flags': 'reader',
    'POST /api/v1/groups': 'admin',
    'GET /api/v1/groups': 'reader',
    'GET /api/v1/groups/:slug': 'reader',
    'GET /api/v1/groups/:slug/overlap': 'reader',
    'DELETE /api/v1/groups/:slug': 'admin',
    'POST /api/v1/reports': 'reader',
    'GET /api/v1/reports/:filename': 'reader',
    'DELETE /api/v1/reports/:filename': 'reader',
    'GET /api/v1/key': 'reader',
    'GET /api/v1/system': 'reader',
    'GET /health/live': 'open',
    'GET /health/ready': 'open',
    'GET /': 'open',
    'GET /openapi.json': 'open',
    'GET /swagger': 'open',
    'GET /swagger/static/*': 'open'
  })
  const { routes: closed } = await startWithRoutes(t, 'none')
  t.match(Object.fromEntries(closed.map(([route, role]) => [describeRoute(route), role])), {
    'GET /health/live': 'open',
    'GET /health/ready': 'open',
    'GET /': 'reader',
    'GET /openapi.json': 'reader',
    'GET /swagger': 'reader',
    'GET /swagger/json': 'reader',
    'GET /swagger/static/*': 'reader'
  })
})

t.test('a refused order generates no report, and an accepted one does', async (t) => {
  const service = await startService(t, { API_KEYS })
  await service.sql`insert into users (id) values (10)`
  const url = '/api/v1/segments/user/10/csv?from=2023-08-01&to=2023-08-31'
  const { headers } = keys.reader
  const fetchReport = () =>
    service.app.inject({
      url: '/api/v1/segments/user/history/user-10_2023-08-01_2023-08-31.csv',
      headers
    })
  for (const [credential, authorization] of invalidCredentials) {
    await service.app.inject(withCredential({ url }, authorization))
    t.equal((await fetchReport()).json().code, 'REPORT_NOT_FOUND', credential)
  }
  t.equal((await service.app.inject({ url, headers })).statusCode, 202)
  const { statusCode, body } = await fetchReport()
  t.ok(statusCode === 200 || body.includes('"REPORT_PENDING"'), body)
})

t.test('unknown paths and methods get the same response with and without a key', async (t) => {
  const service = await startService(t, { API_KEYS })
  for (const headers of [{}, keys.admin.headers]) {
    const request = async (method: 'GET' | 'PUT' | 'OPTIONS', url: string) => {
      const answer = await service.app.inject({ method, url, headers })
      return [answer.statusCode, answer.json().code]
    }
    t.same(await request('GET', '/api/v1/nowhere'), [404, 'ROUTE_NOT_FOUND'])
    t.same(await request('PUT', '/api/v1/segment'), [405, 'METHOD_NOT_ALLOWED'])
    t.same(await request('OPTIONS', '/api/v1/segment'), [405, 'METHOD_NOT_ALLOWED'])
  }
})
