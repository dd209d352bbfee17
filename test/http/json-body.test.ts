import * as fc from 'fast-check'
import t from 'tap'
import { findRepeatedKey } from '../../src/http/json-body.ts'
import type { Answer } from '../support/client.ts'
import { shareService, type TestService } from '../support/service.ts'

const emptyService = await shareService(t)
const JSON_TYPE = { 'content-type': 'application/json' }

type Schema = { properties?: Record<string, object>; required?: string[] }
type Media = { schema: { $ref?: string }; example?: Record<string, unknown> }
type Document = {
  paths: Record<string, Record<string, { requestBody?: { content: Record<string, Media> } }>>
  components: { schemas: Record<string, Schema> }
}

/** The operations whose only body is a JSON object, with its schema and an example of it. */
async function findOperations(service: TestService) {
  const { paths, components } = (await service.get('/openapi.json')).json<Document>()
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, { requestBody }]) => {
      const { 'application/json': json, ...others } = requestBody?.content ?? {}
      const { properties, required = [] } =
        components.schemas[json?.schema.$ref?.split('/').at(-1) ?? ''] ?? {}
      if (!properties || Object.keys(others).length > 0) return []
      const url = path.replace('{user_id}', '10').replace('{slug}', 'A').replace('{id}', '1')
      return [{ method: method.toUpperCase(), url, properties, required, example: json?.example ?? {} }]
    })
  )
}

t.test('null for an optional field is the same as no field, on every route', async (t) => {
  const service = await emptyService()
  await service.createSegment('A', 0)
  const operations = await findOperations(service)
  t.ok(operations.length >= 5)
  for (const { method, url, properties, required, example } of operations) {
    for (const name of Object.keys(properties)) {
      const send = (value?: null) => {
        const body = JSON.stringify({ ...example, [name]: value })
        return service.request({ method, url, headers: JSON_TYPE, body })
      }
      const isRefused = ({ code, text }: Answer) => code === 'INVALID_REQUEST' && text.includes(`(${name})`)
      const withNull = await send(null)
      t.equal(isRefused(withNull), isRefused(await send()), `${method} ${url} ${name}`)
      if (required.includes(name)) t.ok(isRefused(withNull), 'required')
      else t.match(JSON.stringify(properties[name]), /"null"/, 'as documented')
    }
  }
})

t.test('null has the effect of no field', async (t) => {
  const service = await emptyService()
  const nothing = { selection: null, description: null, enroll_new_users: null }
  t.equal((await service.post('/api/v1/segment', { slug: 'A', ...nothing })).status, 200)
  t.match((await service.getSegment('A')).body, {
    selection: null,
    description: null,
    enroll_new_users: false
  })
  const change = {
    segments_to_add: ['A'],
    segments_to_delete: null,
    expires_at: null,
    ttl_seconds: 60
  }
  t.same(await service.post('/api/v1/segments/user/1', change), { status: 200, body: '' })
  t.same((await service.getSegments(1)).body, ['A'])
  t.same(
    await service.post('/api/v1/segments/user/1', { segments_to_add: null, segments_to_delete: ['A'] }),
    {
      status: 200,
      body: ''
    }
  )
  t.same((await service.getSegments(1)).body, [])

  await service.patchSegment('A', { selection: 0.5, description: 'first' })
  t.equal((await service.patchSegment('A', { selection: null, description: null })).status, 200)
  t.match(
    (await service.getSegment('A')).body,
    { selection: 0.5, description: null },
    'of a description that is to change, null removes it'
  )
  t.match(await service.patchSegment('A', { selection: null }), { status: 400 }, 'nothing to change')
})

t.test('a key that appears more than once is refused, on every route', async (t) => {
  const service = await emptyService()
  for (const { method, url, example } of await findOperations(service)) {
    const [name = ''] = Object.keys(example)
    const body = JSON.stringify(example).replace(/\}$/, `,"${name}":null}`)
    t.match(
      await service.request({ method, url, headers: JSON_TYPE, body }),
      {
        status: 400,
        body: {
          message: `the body is ambiguous: key (${name}) appears more than once in an object`,
          code: 'INVALID_JSON'
        }
      },
      `${method} ${url}`
    )
  }
  t.same(await service.sql`select from segments`, [])
})

t.test('repeated keys are found at any depth, and only in the same object', async (t) => {
  for (const [json, key] of [
    ['{"a":1,"a":1}', 'a'],
    ['{"a":1 , "\\u0061" : 2}', 'a'],
    ['[{"b":{}},{"a":[{"b":1,"c":{"d":1},"b":2}]}]', 'b'],
    ['{"":1,"":2}', ''],
    ['{"\\"":1,"\\"":2}', '"'],
    ['{"a\\\\":"\\\\","b":"\\"a","a\\\\":1}', 'a\\'],
    ['{"__proto__":1,"__proto__":2}', '__proto__'],
    ['{"a":{"a":{"a":"a"}},"b":["a","a"],"c":"a"}', undefined],
    ['{"a":"{\\"a\\":1,","b":"}\\\\"}', undefined],
    ['["a","a",":","a:"]', undefined],
    ['"a"', undefined],
    ['1', undefined]
  ] as const)
    t.equal(findRepeatedKey(json), key, json)
  await fc.assert(
    fc.property(fc.json({ maxDepth: 4, stringUnit: 'binary' }), fc.nat(5), (json, indent) => {
      const text = JSON.stringify(JSON.parse(json), null, indent)
      t.equal(findRepeatedKey(text), undefined, 'JSON.parse keeps each key once')
    })
  )
  await fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.json(), fc.json(), (key, first, second) => {
      const name = JSON.stringify(key)
      t.equal(findRepeatedKey(`[1,{${name}:${first},${name}:${second}}]`), key)
    })
  )
})

t.test('a body that is not UTF-8 is refused, and nothing is stored', async (t) => {
  const service = await emptyService()
  const send = (body: Buffer) =>
    service.request({ method: 'POST', url: '/api/v1/segment', headers: JSON_TYPE, body })
  const invalid = (message: string) => ({ status: 400, body: { message, code: 'INVALID_UTF8' } })
  const text = '{"slug":"A","description":"ä"}'
  t.same(await send(Buffer.from(text, 'latin1')), invalid('the body is not valid UTF-8'))
  t.same(
    await send(Buffer.from(text, 'utf16le')),
    invalid('the body must be UTF-8: it seems to be UTF-16 or UTF-32')
  )
  const surrogate = Buffer.concat([
    Buffer.from('{"slug":"A","description":"'),
    Buffer.of(0xed, 0xa0, 0x80, 0x22, 0x7d)
  ])
  t.same(await send(surrogate), invalid('the body is not valid UTF-8'), 'an encoded surrogate')
  t.equal((await service.getSegment('A')).status, 404)
  t.equal((await send(Buffer.from(`\ufeff${text}`))).status, 200, 'a byte order mark')
  t.match((await service.getSegment('A')).body, { description: 'ä' })
})
