import { readFile } from 'node:fs/promises'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormatsModule from 'ajv-formats'
import t from 'tap'
import { isDayOrTime } from '../../src/database/times.ts'
import { dereference } from '../support/dereference.ts'
import { startService } from '../support/service.ts'

type Schema = { default?: unknown; examples?: unknown[]; properties?: { code?: { enum?: string[] } } }
type Media = { schema: Schema; example?: unknown; examples?: Record<string, { value: unknown }> }
type Parameter = Media & { name: string; in: string; required?: boolean; description?: string }
type Operation = {
  operationId?: string
  summary?: string
  description?: string
  tags?: string[]
  parameters?: Parameter[]
  requestBody?: { content: Record<string, Media> }
  security?: Record<string, string[]>[]
  responses: Record<string, { description: string; content?: Record<string, Media> }>
}
type Document = {
  openapi: string
  servers: { url: string }[]
  tags: { name: string; description?: string }[]
  components: { securitySchemes: Record<string, { type: string; scheme: string; description: string }> }
  paths: Record<string, Record<string, Operation>>
}

/** All examples within a value. */
function examplesOf({ schema, example, examples = {} }: Media): unknown[] {
  const named = Object.values(examples).map(({ value }) => value)
  return [...(example === undefined ? [] : [example]), ...named, ...(schema.examples ?? [])]
}

t.test('the OpenAPI document', async (t) => {
  const service = await startService(t)
  const { body } = await service.request({ method: 'GET', url: '/openapi.json' })
  const document = dereference(body as Document)
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ ...operation, name: `${method} ${path}` }))
  )

  t.test('equals the committed one: after a change, run `npm run openapi`', async (t) => {
    const committed = await readFile(new URL('../../openapi.json', import.meta.url), 'utf8')
    t.same(body, JSON.parse(committed))
    t.equal(JSON.stringify(body), JSON.stringify(JSON.parse(committed)), 'in the same order')
    t.ok(committed.length < 5_000 * operations.length, 'shared parts appear once')
    t.notMatch(committed, /x-expected/)
  })

  t.test('contains every operation, in the order in which one tries them', async (t) => {
    t.same(
      operations.map(({ name }) => name),
      [
        'post /api/v1/segment',
        'get /api/v1/segments',
        'post /api/v1/segments/user/{user_id}',
        'get /api/v1/segments/user/{user_id}',
        'post /api/v1/segments/users/query',
        'get /api/v1/segments/user/{user_id}/history',
        'get /api/v1/segments/user/{user_id}/memberships',
        'get /api/v1/segment/{slug}/users/{user_id}',
        'post /api/v1/users',
        'get /api/v1/segment/{slug}/users.csv',
        'post /api/v1/segment/{slug}/users',
        'get /api/v1/segment/{slug}/users',
        'put /api/v1/segment/{slug}/users',
        'delete /api/v1/segment/{slug}/users',
        'get /api/v1/segment/{slug}/sizes',
        'get /api/v1/segment/{slug}/history',
        'post /api/v1/segments/count',
        'get /api/v1/segment/{slug}',
        'patch /api/v1/segment/{slug}',
        'delete /api/v1/segment/{slug}',
        'post /api/v1/groups',
        'get /api/v1/groups',
        'get /api/v1/groups/{slug}/overlap',
        'get /api/v1/groups/{slug}',
        'delete /api/v1/groups/{slug}',
        'get /api/v1/changes',
        'get /api/v1/changes/stream',
        'post /api/v1/webhooks',
        'get /api/v1/webhooks',
        'get /api/v1/webhooks/{id}',
        'patch /api/v1/webhooks/{id}',
        'delete /api/v1/webhooks/{id}',
        'post /ofrep/v1/evaluate/flags/{slug}',
        'post /ofrep/v1/evaluate/flags',
        'get /api/v1/segments/user/{user_id}/csv',
        'get /api/v1/segments/user/history/{filename}/status',
        'get /api/v1/segments/user/history/{filename}',
        'delete /api/v1/segments/user/history/{filename}',
        'post /api/v1/reports',
        'get /api/v1/reports/{filename}/status',
        'get /api/v1/reports/{filename}',
        'delete /api/v1/reports/{filename}',
        'get /api/v1/users/count',
        'delete /api/v1/users/{user_id}',
        'get /api/v1/key',
        'get /api/v1/system',
        'get /health/live',
        'get /health/ready',
        'get /metrics',
        'get /openapi.json'
      ]
    )
    t.equal(document.openapi, '3.1.0')
    const tags = operations.flatMap((operation) => operation.tags ?? [])
    t.same(
      [...new Set(tags)],
      document.tags.map(({ name }) => name),
      'with their tags'
    )
  })

  t.test('describes each with its parameters, statuses and examples', async (t) => {
    const ids = operations.map(({ operationId }) => operationId)
    t.equal(new Set(ids).size, ids.length, 'operationIds are unique')
    for (const { name, operationId, summary, tags, parameters = [], requestBody, responses } of operations) {
      t.ok(operationId && summary && tags?.length, name)
      for (const parameter of parameters) {
        t.ok(parameter.description, `${name} parameter ${parameter.name}`)
        const isOptional = 'default' in parameter.schema || parameter.required !== true
        t.equal(parameter.required !== true, isOptional, `${name} ${parameter.name} may be omitted`)
        // Swagger UI would fill in an example; optional parameters should stay empty, unless the operation needs them.
        const isNeeded = /csv (from|to)$|stream (after|wait)$/.test(`${name} ${parameter.name}`)
        const isFilled = parameter.required === true || isNeeded
        t.equal(parameter.example !== undefined, isFilled, `${name} ${parameter.name}`)
        t.ok(examplesOf(parameter).length, `${name} parameter ${parameter.name} has an example`)
      }
      for (const [type, media] of Object.entries(requestBody?.content ?? {}))
        t.ok(media.example, `${name} ${type}`)
      for (const [status, response] of Object.entries(responses)) {
        t.not(response.description, 'Default Response', `${name} ${status}`)
        // The document is its own example.
        for (const [type, media] of Object.entries(response.content ?? {}))
          if (name !== 'get /openapi.json' || status !== '200')
            t.ok(examplesOf(media).length, `${name} ${status} ${type} has an example`)
      }
      t.ok(responses['400'], `${name} can refuse an unknown query parameter`)
    }
  })

  t.test('has no example that is invalid by its schema', async (t) => {
    const ajv = new Ajv2020({ strict: false })
    addFormatsModule.default(ajv)
    ajv.addFormat('user-id', true).addFormat('day-or-time', isDayOrTime)
    for (const { name, parameters = [], requestBody, responses } of operations) {
      const bodies: { content?: Record<string, Media> }[] = Object.values(responses)
      if (requestBody) bodies.push(requestBody)
      const contents = bodies.flatMap(({ content = {} }) => Object.values(content))
      for (const media of [...parameters, ...contents])
        for (const example of examplesOf(media))
          t.ok(ajv.validate(media.schema, example), `${name} ${JSON.stringify(example)} ${ajv.errorsText()}`)
    }
  })

  t.test('names the codes of each failure, each with an example', async (t) => {
    for (const { name, responses } of operations) {
      for (const [status, { content = {} }] of Object.entries(responses)) {
        if (status < '400') continue
        const { schema, examples = {} } = content['application/json'] ?? { schema: {} }
        const codes = Object.values(examples).map(({ value }) => (value as { code: string }).code)
        t.ok(codes.length, `${name} ${status}`)
        t.same(schema.properties?.code?.enum?.toSorted(), codes.toSorted(), `${name} ${status}`)
      }
    }
  })

  t.test('names the server from PUBLIC_URL', async (t) => {
    t.same(document.servers, [{ url: '/' }])
    const behindProxy = await startService(t, { PUBLIC_URL: 'https://example.com/segments/' })
    t.match(await behindProxy.get('/openapi.json'), {
      body: { servers: [{ url: 'https://example.com/segments' }] }
    })
  })

  t.test('says for each operation which role it needs, and how it answers without a key', async (t) => {
    const { key } = document.components.securitySchemes
    t.match(key, { type: 'http', scheme: 'bearer', description: /`reader`.*`editor`.*`admin`/s })
    const needs: Record<string, string> = {
      'get /health/live': 'open',
      'get /health/ready': 'open',
      'get /openapi.json': 'open',
      'post /api/v1/segment': 'admin',
      'patch /api/v1/segment/{slug}': 'admin',
      'delete /api/v1/segment/{slug}': 'admin',
      'post /api/v1/segments/user/{user_id}': 'editor',
      'post /api/v1/segment/{slug}/users': 'editor',
      'put /api/v1/segment/{slug}/users': 'editor',
      'delete /api/v1/segment/{slug}/users': 'editor',
      'post /api/v1/users': 'editor',
      'post /api/v1/groups': 'admin',
      'delete /api/v1/groups/{slug}': 'admin',
      'delete /api/v1/users/{user_id}': 'admin',
      'post /api/v1/webhooks': 'admin',
      'get /api/v1/webhooks': 'admin',
      'get /api/v1/webhooks/{id}': 'admin',
      'patch /api/v1/webhooks/{id}': 'admin',
      'delete /api/v1/webhooks/{id}': 'admin'
    }
    for (const { name, security, description, responses } of operations) {
      const needed = needs[name] ?? 'reader'
      const answers = ['401', '403', '429'].filter((status) => status in responses)
      if (needed === 'open') {
        t.same([security, answers], [[], name.includes('/health/') ? [] : ['429']], name)
      } else {
        const alternatives = name.includes(' /ofrep/') ? [{ key: [] }, { keyHeader: [] }] : [{ key: [] }]
        t.same(security, alternatives, name)
        t.match(description, `Needs a key with the role \`${needed}\``)
        // An order by GET refuses pages of other sites.
        const isForbidden = needed !== 'reader' || name.endsWith('/csv')
        t.same(answers, isForbidden ? ['401', '403', '429'] : ['401', '429'], name)
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
