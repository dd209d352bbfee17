import t from 'tap'
import { makeKey } from '../support/keys.ts'
import { startService } from '../support/service.ts'

t.test('every response of the API has the security headers it needs, and no others', async (t) => {
  const key = makeKey('analyst', 'reader')
  const service = await startService(t, { API_KEYS: key.setting })
  await service.sql`insert into users (id) values (1)`
  const { headers } = await service.app.inject({ url: '/api/v1/segments/user/1', headers: key.headers })
  t.same(Object.keys(headers).toSorted(), [
    'cache-control',
    'connection',
    'content-length',
    'content-type',
    'date',
    'etag',
    'x-content-type-options',
    'x-request-id'
  ])
  t.match(headers, { 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' })
})

t.test('every response forbids content sniffing and names no software', async (t) => {
  const service = await startService(t)
  for (const url of [
    '/api/v1/segments/user/0',
    '/api/v1/segment',
    '/nowhere',
    '/health/ready',
    '/openapi.json',
    '/swagger',
    '/swagger/static/swagger-ui.css'
  ]) {
    const { headers } = await service.app.inject(url)
    t.match(
      headers,
      { 'x-content-type-options': 'nosniff', 'x-powered-by': undefined, server: undefined },
      url
    )
  }
})

t.test(
  'the page loads nothing from other origins, runs no inline scripts, and cannot be framed',
  async (t) => {
    const service = await startService(t)
    for (const url of ['/swagger', '/swagger/index.html', '/swagger/static/swagger-ui-bundle.js']) {
      const { headers } = await service.app.inject(url)
      const policy = String(headers['content-security-policy'])
      t.match(policy, /default-src 'none'/)
      t.match(policy, /script-src 'self'(;|$)/)
      t.match(policy, /connect-src 'self'(;|$)/)
      t.match(policy, /frame-ancestors 'none'/)
      t.notMatch(policy, /unsafe-eval|https:|upgrade-insecure-requests/)
      // It would apply to every service of the domain for a year.
      t.match(headers, { 'x-frame-options': 'DENY', 'strict-transport-security': undefined })
    }
  }
)
