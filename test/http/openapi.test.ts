import { readFile } from 'node:fs/promises'
import t from 'tap'
import { startService } from '../support/service.ts'

type Operation = {
  operationId?: string
  summary?: string
  description?: string
  tags?: string[]
  parameters?: { name: string; in: string; description?: string; example?: unknown; examples?: unknown }[]
  requestBody?: { content: Record<string, { example?: unknown }> }
  security?: Record<string, string[]>[]
  responses: Record<
    string,
    { description: string; content?: Record<string, { example?: unknown; examples?: unknown }> }
  >
}
type Document = {
  openapi: string
  components: { securitySchemes: Record<string, { type: string; scheme: string }> }
  paths: Record<string, Record<string, Operation>>
}

t.test('the OpenAPI document', async (t) => {
  const service = await startService(t)
  const { body } = await service.request({ method: 'GET', url: '/openapi.json' })
  const document = body as Document

  t.test('is the one that is committed: after a change, run `npm run openapi`', async (t) => {
    t.same(document, JSON.parse(await readFile(new URL('../../openapi.json', import.meta.url), 'utf8')))
  })

  t.test('holds every operation', async (t) => {
    const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`)
    )
    t.same(operations.toSorted(), [
      'delete /api/v1/segment/{slug}',
      'delete /api/v1/segment/{slug}/users',
      'get /api/v1/reports/{filename}',
      'get /api/v1/reports/{filename}/status',
      'get /api/v1/segment/{slug}',
      'get /api/v1/segment/{slug}/users',
      'get /api/v1/segment/{slug}/users.csv',
      'get /api/v1/segments',
      'get /api/v1/segments/user/history/{filename}',
      'get /api/v1/segments/user/history/{filename}/status',
      'get /api/v1/segments/user/{user_id}',
      'get /api/v1/segments/user/{user_id}/csv',
      'get /api/v1/segments/user/{user_id}/history',
      'get /health/live',
      'get /health/ready',
      'get /metrics',
      'get /openapi.json',
      'patch /api/v1/segment/{slug}',
      'post /api/v1/reports',
      'post /api/v1/segment',
      'post /api/v1/segment/{slug}/users',
      'post /api/v1/segments/user/{user_id}',
      'post /api/v1/segments/users/query',
      'post /api/v1/users'
    ])
    t.equal(document.openapi, '3.1.0')
  })

  t.test('describes each with its parameters, statuses and examples', async (t) => {
    const ids = new Set<string>()
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        const name = `${method} ${path}`
        t.ok(operation.operationId && operation.summary && operation.tags?.length, name)
        t.notOk(ids.has(operation.operationId ?? ''), 'operationIds are unique')
        ids.add(operation.operationId ?? '')
        for (const parameter of operation.parameters ?? []) {
          t.ok(
            parameter.description && (parameter.example ?? parameter.examples),
            `${name} parameter ${parameter.name}`
          )
        }
        for (const media of Object.values(operation.requestBody?.content ?? {}))
          t.ok(media.example, `${name} body`)
        for (const [status, response] of Object.entries(operation.responses)) {
          t.not(response.description, 'Default Response', `${name} ${status}`)
          for (const [type, media] of Object.entries(response.content ?? {})) {
            if (path !== '/openapi.json' || status !== '200') {
              t.ok(media.example ?? media.examples ?? type === 'text/csv', `${name} ${status} has an example`)
            }
          }
        }
        t.ok(operation.responses['400'], `${name} can refuse an unknown query parameter`)
      }
    }
  })

  t.test('says of each whether it needs a key, of which role, and what it answers without', async (t) => {
    t.match(document.components.securitySchemes, { key: { type: 'http', scheme: 'bearer' } })
    const needs: Record<string, string> = {
      '/health/live': 'open',
      '/health/ready': 'open',
      '/openapi.json': 'open',
      'post /api/v1/segment': 'admin',
      'delete /api/v1/segment/{slug}': 'admin',
      'post /api/v1/segments/user/{user_id}': 'editor',
      'post /api/v1/segment/{slug}/users': 'editor',
      'delete /api/v1/segment/{slug}/users': 'editor',
      'post /api/v1/users': 'editor'
    }
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const [method, { security, description, responses }] of Object.entries(methods)) {
        const name = `${method} ${path}`
        const needed = needs[path] ?? needs[name] ?? /with the role `(\w+)`/.exec(description ?? '')?.[1]
        const answers = ['401', '403', '429'].filter((status) => status in responses)
        if (needed === 'open') {
          t.same([security, answers], [undefined, []], name)
        } else {
          t.same(security, [{ key: [] }], name)
          t.match(description, `Needs a key with the role \`${needed}\``)
          t.same(answers, needed === 'reader' ? ['401', '429'] : ['401', '403', '429'], name)
        }
      }
    }
  })
})

t.test('Swagger UI is served under its two addresses', async (t) => {
  const service = await startService(t)
  for (const url of ['/swagger', '/swagger/', '/swagger/index.html', '/swagger/index.html?x=1']) {
    const answer = await service.app.inject(url)
    t.equal(answer.statusCode, 200, url)
    t.match(answer.headers['content-type'], /^text\/html/)
    t.match(answer.body, /swagger-ui/)
  }
  t.same(await service.request({ method: 'GET', url: '/swagger/static/nowhere.js' }), {
    status: 404,
    body: { message: 'path (/swagger/static/nowhere.js) not found', code: 'ROUTE_NOT_FOUND' }
  })
})
