import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { describedKeywords } from '../../src/http/validation-error.ts'
import { collectRoutes } from '../support/routes.ts'
import { shareService, startService, type TestService } from '../support/service.ts'
import type { TestRequest } from '../support/transports.ts'

const emptyService = await shareService(t)

const JSON_TYPE = { 'content-type': 'application/json' }
const time = 'a time as in RFC 3339, such as 2026-11-23T08:51:00Z'
const day = 'a day that exists, as YYYY-MM-DD'
const slug = '1 to 128 characters: a letter or digit, then letters, digits, "_", "-" or "."'
const userId = 'an integer from 1 to 9223372036854775807'
const queriedId = `${userId}, as a string where it is above 9007199254740991`

/** Checks the message and the code of a refused request. */
async function refuses(
  t: Test,
  service: TestService,
  request: TestRequest,
  message: string,
  code = 'INVALID_REQUEST',
  status = 400
): Promise<void> {
  const answer = await service.request(request)
  t.same(answer, { status, body: { message, code } }, message)
}

t.test('a query that callers get wrong is explained', async (t) => {
  const service = await emptyService()
  const cases: [query: string, message: string][] = [
    ['segments?constructor=1', 'unknown query parameter (constructor)'],
    ['segments?__proto__=1', 'unknown query parameter (__proto__)'],
    ['segments?limit=1&limit=2', 'query parameter (limit) appears more than once'],
    ['segments?q=a&q=a', 'query parameter (q) appears more than once'],
    ['segments?q=%zz', 'query parameter (q) is not valid percent-encoded UTF-8'],
    ['segments?q=%', 'query parameter (q) is not valid percent-encoded UTF-8'],
    ['segments?q=%ff', 'query parameter (q) is not valid percent-encoded UTF-8'],
    ['segments?q=%ed%a0%80', 'query parameter (q) is not valid percent-encoded UTF-8'],
    ['segments?%ff=1', 'query parameter (%ff) is not valid percent-encoded UTF-8'],
    [
      'segments/user/1?at=2023-01-01T00:00:00+00:00',
      `query parameter (at) must be ${time}: in a query write + as %2B`
    ],
    [
      'segments/user/1/history?to=2023-01-01T00:00:00+03:00',
      `query parameter (to) must be a day, as YYYY-MM-DD, or ${time}: in a query write + as %2B`
    ],
    ['segments/user/1?at=01.01.2100', `query parameter (at) must be ${time}: the year comes first`],
    ['segments/user/1?at=2023-01-01', `query parameter (at) must be ${time}: the time of day is missing`],
    [
      'segments/user/1?at=2023-01-01T00:00:00',
      `query parameter (at) must be ${time}: the offset is missing, such as Z for UTC`
    ],
    [
      'segments/user/1?at=2023-01-01%2000:00:00Z',
      `query parameter (at) must be ${time}: T must be between the day and the time`
    ],
    [
      'segments/user/1/csv?from=01.01.2023&to=2023-02-01',
      `query parameter (from) must be ${day}: the year comes first`
    ],
    [
      'segments/user/1/csv?from=1/2/2023&to=2023-02-01',
      `query parameter (from) must be ${day}: the year comes first`
    ],
    ['segments/user/1%20', `path parameter (user_id) must be ${userId}: it begins or ends with a space`],
    ['segments/user/007', `path parameter (user_id) must be ${userId}: it begins with 0`],
    [
      'segments/user/6.8e6',
      `path parameter (user_id) must be ${userId}: it is in scientific notation, so a spreadsheet may have rounded it`
    ],
    ['segment/A%20', `path parameter (slug) must be ${slug}: it begins or ends with a space`],
    [
      'segment/%D0%90',
      `path parameter (slug) must be ${slug}: (А), U+0410, is a Cyrillic letter, not a Latin one from A to Z`
    ]
  ]
  for (const [query, message] of cases)
    await refuses(t, service, { method: 'GET', url: `/api/v1/${query}` }, message)
  t.same(await service.get('/api/v1/segments?q=%D0%B0%2B+'), {
    status: 200,
    body: { segments: [], next_cursor: null }
  })
})

t.test('a body that callers get wrong is explained', async (t) => {
  const service = await emptyService()
  const create: [body: string, message: string][] = [
    ['{"slug":"X","constructor":{"prototype":1}}', 'unknown body field (constructor)'],
    ['{"slug":"X","__proto__":{"selection":1}}', 'unknown body field (__proto__)'],
    [
      '{"slug":"PROMO_А"}',
      `body field (slug) must be ${slug}: (А), U+0410, is a Cyrillic letter, not a Latin one from A to Z`
    ],
    ['{"slug":"É"}', `body field (slug) must be ${slug}: (É), U+00C9, is not a Latin letter from A to Z`],
    ['{"slug":"A\\u200b"}', `body field (slug) must be ${slug}: U+200B is not a Latin letter from A to Z`],
    ['{"slug":" A"}', `body field (slug) must be ${slug}: it begins or ends with a space`],
    [
      '{"slug":"X","description":"a\\u0000"}',
      'body field (description) must be 1 to 1000 characters in one line: it contains U+0000'
    ],
    [
      '{"slug":"X","description":"\\ud800"}',
      'body field (description) must be 1 to 1000 characters in one line: it contains U+D800'
    ],
    ['{"slug":"X","selection":1e400}', 'body field (selection) must be a number from 0 to 1'],
    ['{"slug":"X","enroll_new_users":"true"}', 'body field (enroll_new_users) must be true or false'],
    ['null', 'the body must be a JSON object'],
    ['[]', 'the body must be a JSON object']
  ]
  for (const [body, message] of create)
    await refuses(t, service, { method: 'POST', url: '/api/v1/segment', headers: JSON_TYPE, body }, message)
  t.equal((await service.getSegment('X')).status, 404, 'nothing was created')

  const others: [method: string, path: string, body: string, message: string][] = [
    ['PATCH', 'segment/X', '{}', 'the body must be an object with at least 1 field'],
    [
      'POST',
      'segments/users/query',
      '{"user_ids":[" 1"]}',
      `body field (user_ids[0]) must be ${queriedId}: it begins or ends with a space`
    ],
    [
      'POST',
      'segments/users/query',
      '{"user_ids":[9007199254740993]}',
      `body field (user_ids[0]) must be ${queriedId}`
    ],
    [
      'POST',
      'segments/user/1',
      '{"segments_to_add":["X"],"expires_at":"01.01.2100"}',
      `body field (expires_at) must be ${time}: the year comes first`
    ],
    [
      'POST',
      'segments/user/1',
      '{"segments_to_add":["X"],"ttl_seconds":9007199254740993}',
      'body field (ttl_seconds) must be an integer from 1 to 315360000'
    ],
    [
      'POST',
      'reports',
      '{"from":"01.01.2023","to":"2023-02-01"}',
      `body field (from) must be ${day}: the year comes first`
    ]
  ]
  for (const [method, path, body, message] of others)
    await refuses(t, service, { method, url: `/api/v1/${path}`, headers: JSON_TYPE, body }, message)
})

t.test('a compressed body is refused, and the message names Content-Encoding', async (t) => {
  const service = await emptyService()
  await service.createSegment('A')
  for (const [path, encoding, content, remedy] of [
    ['segment', 'gzip', '{"slug":"X"}', 'uncompressed, without Content-Encoding'],
    ['segments/user/1', 'gzip', '{}', 'uncompressed, without Content-Encoding'],
    ['segment/A/users', 'br', '[1]', 'uncompressed, or with gzip']
  ] as const)
    await refuses(
      t,
      service,
      {
        method: 'POST',
        url: `/api/v1/${path}`,
        headers: { ...JSON_TYPE, 'content-encoding': encoding },
        body: gzipSync(content)
      },
      `the content encoding (${encoding}) is not supported: send the body ${remedy}`,
      'UNSUPPORTED_MEDIA_TYPE',
      415
    )
  const identity = await service.post('/api/v1/segment', { slug: 'X' }, { 'content-encoding': 'Identity' })
  t.equal(identity.status, 200)
})

t.test('an upload that is in another encoding is refused as a whole', async (t) => {
  const service = await emptyService()
  const send = (body: string | Buffer, type = 'text/csv'): TestRequest => ({
    method: 'POST',
    url: '/api/v1/users',
    headers: { 'content-type': type },
    body
  })
  const utf16 = 'the body must be UTF-8: it seems to be UTF-16 or UTF-32'
  for (const type of ['text/csv', 'application/x-ndjson', 'application/json']) {
    const marked = Buffer.from('\ufeff1\n2\n', 'utf16le')
    // A spreadsheet writes CSV so.
    if (type !== 'text/csv')
      for (const body of [marked, Buffer.from(marked).swap16()])
        await refuses(t, service, send(body, type), utf16, 'INVALID_UTF8')
    await refuses(t, service, send(Buffer.from('1\n2\n', 'utf16le'), type), utf16, 'INVALID_UTF8')
    const gzip = 'the body must be UTF-8: it seems to be gzip'
    await refuses(t, service, send(gzipSync('1\n'), type), gzip, 'INVALID_UTF8')
  }
  t.same(await service.sql`select from users`, [])
})

t.test('no message has the wording of the validator', async (t) => {
  const routes = collectRoutes(t)
  await startService(t)
  /** Keywords that describe, that combine other schemas, or whose message is made from the name of the field. */
  const structure = [
    ...['title', 'description', 'examples', 'default', 'x-expected'],
    ...['properties', 'required', 'additionalProperties', 'items', 'anyOf', 'content']
  ]
  const check = (schema: unknown, place: string) => {
    if (typeof schema !== 'object' || schema === null) return
    const { properties = {}, items, anyOf = [], 'x-expected': expected } = schema as Record<string, object[]>
    const refusing = Object.keys(schema).filter((keyword) => !structure.includes(keyword))
    const described = expected === undefined ? describedKeywords : refusing
    t.same(
      refusing.filter((keyword) => !described.includes(keyword)),
      [],
      `${place} has an expectation for each keyword`
    )
    for (const [name, field] of Object.entries(properties)) check(field, `${place}.${name}`)
    check(items, `${place}[]`)
    for (const branch of anyOf) check(branch, place)
  }
  for (const { method, url, schema } of routes)
    for (const part of ['body', 'querystring', 'params', 'headers'] as const)
      check(schema?.[part], `${method} ${url} ${part}`)
  t.ok(routes.length > 20)
})
