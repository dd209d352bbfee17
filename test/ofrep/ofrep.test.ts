/** The protocol itself, as its OpenAPI document (version 0.3.0) describes it. */
import t from 'tap'
import { MAX_BULK_FLAGS } from '../../src/limits.ts'
import type { Answer } from '../support/client.ts'
import { configureKeys, makeKey } from '../support/keys.ts'
import { scrape } from '../support/metrics.ts'
import { shareService, startService, startServiceOn, type TestService } from '../support/service.ts'

const emptyService = await shareService(t)

const ONE = '/ofrep/v1/evaluate/flags'
type Headers = Record<string, string>

const evaluateOne = (service: TestService, key: string, targetingKey: unknown, headers: Headers = {}) =>
  service.post(`${ONE}/${key}`, { context: { targetingKey } }, headers)
const evaluateAll = (service: TestService, targetingKey: unknown, headers: Headers = {}) =>
  service.post(ONE, { context: { targetingKey } }, headers)

/** The values of a bulk answer, by key. */
function valuesOf(answer: Answer): Record<string, boolean | string> {
  const { flags } = answer.json<{ flags: { key: string; value: boolean | string }[] }>()
  return Object.fromEntries(flags.map(({ key, value }) => [key, value]))
}

const on = (key: string) => ({ key, value: true, reason: 'TARGETING_MATCH', variant: 'on' })
const off = (key: string) => ({ key, value: false, reason: 'TARGETING_MATCH', variant: 'off' })

t.test('a segment is a flag that says whether the user is a member', async (t) => {
  const service = await emptyService()
  await service.createSegment('VOICE_MSG')
  await service.createSegment('PROMO')
  await service.changeSegments(10, ['VOICE_MSG'])
  t.same(await evaluateOne(service, 'VOICE_MSG', '10'), {
    status: 200,
    body: { ...on('VOICE_MSG'), metadata: {} }
  })
  t.same((await evaluateOne(service, 'PROMO', '10')).body, { ...off('PROMO'), metadata: {} })
  t.same((await evaluateOne(service, 'voice_msg', '10')).body, { ...on('VOICE_MSG'), metadata: {} })
  t.match(
    await evaluateOne(service, 'VOICE_MSG', '11'),
    { status: 200, body: { value: false } },
    'unknown user'
  )
  t.equal((await service.getSegments(11)).status, 404, 'an evaluation makes no user known')
  t.same(await evaluateAll(service, '10'), {
    status: 200,
    body: { flags: [on('VOICE_MSG'), off('PROMO')] }
  })
  t.same((await evaluateAll(service, '11')).body, { flags: [off('VOICE_MSG'), off('PROMO')] })
  for (const answer of [await evaluateOne(service, 'PROMO', '10'), await evaluateAll(service, '10')])
    t.equal(answer.headers['cache-control'], 'no-store')
})

t.test('a slug that is part of another is not taken for it', async (t) => {
  const service = await emptyService()
  for (const slug of ['A', 'A.B', 'AA']) await service.createSegment(slug)
  await service.changeSegments(1, ['A.B', 'AA'])
  t.match((await evaluateOne(service, 'A', '1')).body, { value: false })
  t.same(valuesOf(await evaluateAll(service, '1')), { A: false, 'A.B': true, AA: true })
})

t.test('each change is seen by the next evaluation, on another instance too', async (t) => {
  const service = await emptyService()
  const other = await startServiceOn(t, service.database)
  const agree = async (values: Record<string, boolean | undefined>) => {
    for (const instance of [service, other]) {
      const live = Object.entries(values).filter(([, value]) => value !== undefined)
      t.same(valuesOf(await evaluateAll(instance, '1')), Object.fromEntries(live))
      for (const [key, value] of Object.entries(values)) {
        const { status, body } = await evaluateOne(instance, key, '1')
        if (value === undefined) t.match([status, body], [404, { errorCode: 'FLAG_NOT_FOUND' }], key)
        else t.match([status, body], [200, { value }], key)
      }
    }
  }
  await agree({ A: undefined })
  await service.createSegment('A')
  await agree({ A: false })
  await service.changeSegments(1, ['A'])
  await agree({ A: true })
  await service.createSegment('B', 1)
  await agree({ A: true, B: true })
  await service.changeSegments(1, [], ['A'])
  await agree({ A: false, B: true })
  await service.deleteSegment('B')
  await agree({ A: false, B: undefined })
  await service.request({ method: 'DELETE', url: '/api/v1/users/1' })
  await agree({ A: false })
  await service.deleteSegment('A')
  await agree({ A: undefined, B: undefined })
})

t.test('a membership that has expired is none', async (t) => {
  const service = await emptyService()
  await service.createSegment('A')
  await service.post('/api/v1/segments/user/1', { segments_to_add: ['A'], ttl_seconds: 3_600 })
  t.match((await evaluateOne(service, 'A', '1')).body, { value: true })
  await service.sql`update memberships set added_at = now() - interval '2 s', expires_at = now() - interval '1 s'`
  t.match((await evaluateOne(service, 'A', '1')).body, { value: false })
  t.same(valuesOf(await evaluateAll(service, '1')), { A: false })
})

t.test('evaluations that arrive together share their queries', async (t) => {
  const service = await emptyService()
  for (const slug of ['A', 'B']) await service.createSegment(slug)
  await service.sql`insert into users (id) select generate_series(1, 30)`
  await service.changeSegments(1, ['A'])
  const countStatements = async () =>
    (await scrape(service)).value('user_segments_database_statement_duration_seconds_count{pool="reads"}') ??
    0
  const before = await countStatements()
  const answers = await Promise.all(
    Array.from({ length: 30 }, (_, n) => [
      evaluateOne(service, n % 2 === 0 ? 'A' : 'B', String(n + 1)),
      evaluateAll(service, String(n + 1))
    ]).flat()
  )
  t.same(
    answers.filter(({ status }) => status !== 200),
    []
  )
  t.equal(answers.filter(({ text }) => text.includes('true')).length, 2)
  const statements = (await countStatements()) - before
  t.ok(statements > 0 && statements < 30, `${statements} statements for 60 evaluations of two lookups each`)
})

t.test('without a user, the code says what is wrong with the context', async (t) => {
  const service = await emptyService()
  await service.createSegment('A')
  const huge = 'body field (context.targetingKey) must be an integer from 1 to 9223372036854775807'
  const cases: [body: unknown, errorCode: string, message: string][] = [
    [{}, 'TARGETING_KEY_MISSING', 'body field (context) is missing'],
    [{ context: null }, 'TARGETING_KEY_MISSING', 'body field (context) must be a JSON object'],
    [{ context: {} }, 'TARGETING_KEY_MISSING', 'body field (context.targetingKey) is missing'],
    [{ context: { plan: 'free' } }, 'TARGETING_KEY_MISSING', 'body field (context.targetingKey) is missing'],
    [{ context: { targetingKey: null } }, 'TARGETING_KEY_MISSING', huge],
    [{ context: { targetingKey: '' } }, 'TARGETING_KEY_MISSING', huge],
    [{ context: { targetingKey: 'anna@example.com' } }, 'INVALID_CONTEXT', huge],
    [{ context: { targetingKey: '0' } }, 'INVALID_CONTEXT', huge],
    [{ context: { targetingKey: '9223372036854775808' } }, 'INVALID_CONTEXT', huge],
    [{ context: { targetingKey: 10 } }, 'INVALID_CONTEXT', huge],
    [{ context: { targetingKey: 0 } }, 'INVALID_CONTEXT', huge],
    [{ context: 'anna' }, 'INVALID_CONTEXT', 'body field (context) must be a JSON object'],
    [[], 'INVALID_CONTEXT', 'the body must be a JSON object']
  ]
  for (const [body, errorCode, message] of cases) {
    const failure = { message, code: 'INVALID_REQUEST', errorCode, errorDetails: message }
    t.same(await service.post(ONE, body), { status: 400, body: failure }, JSON.stringify(body))
    t.same(await service.post(`${ONE}/A`, body), {
      status: 400,
      body: { ...failure, key: 'A', metadata: {} }
    })
  }
})

t.test('attributes of the user and fields of later versions of the protocol are ignored', async (t) => {
  const service = await emptyService()
  await service.createSegment('A')
  const context = { targetingKey: '1', email: 'anna@example.com', nested: { a: [1, null] }, nothing: null }
  for (const url of [ONE, `${ONE}/A`, `${ONE}?flagConfigEtag=abc&flagConfigLastModified=1771622898`])
    t.equal((await service.post(url, { context, later: true })).status, 200, url)
})

t.test(
  'a body that cannot be read is PARSE_ERROR, and what is wrong beside the body is GENERAL',
  async (t) => {
    const service = await emptyService()
    await service.createSegment('A')
    const send = (body: string | Buffer, query = '', headers: Headers = {}) =>
      service.request({
        method: 'POST',
        url: `${ONE}/A${query}`,
        headers: { 'content-type': 'application/json', ...headers },
        body
      })
    const valid = '{"context":{"targetingKey":"1"}}'
    const twice = '{"context":{"targetingKey":"1","targetingKey":"2"}}'
    for (const body of ['', '{', twice, Buffer.from(valid, 'utf16le')])
      t.match(await send(body), { status: 400, body: { key: 'A', errorCode: 'PARSE_ERROR' } })
    t.match(await send(valid, '?colour=1'), { status: 400, body: { key: 'A', errorCode: 'GENERAL' } })
    t.match(await send(valid, '', { 'x-segments-token': 'x' }), {
      status: 400,
      body: { errorCode: 'GENERAL' }
    })
    t.match(await send(valid, '', { 'content-type': 'text/plain' }), {
      status: 415,
      body: { code: 'UNSUPPORTED_MEDIA_TYPE' }
    })
  }
)

t.test('a key that names no segment is FLAG_NOT_FOUND, whatever its form', async (t) => {
  const service = await emptyService()
  await service.createSegment('GONE')
  await service.changeSegments(1, ['GONE'])
  await service.deleteSegment('GONE')
  for (const key of ['GONE', 'gone', 'NEVER', 'a flag', 'ß', '_x', 'A"', 'X'.repeat(200)]) {
    const { status, body } = await evaluateOne(service, encodeURIComponent(key), '1')
    t.match(
      [status, body],
      [404, { key, code: 'SEGMENT_NOT_FOUND', errorCode: 'FLAG_NOT_FOUND', errorDetails: /not found$/ }],
      key
    )
  }
})

t.test('a bulk answer has an ETag, which changes with the answer alone', async (t) => {
  const service = await emptyService()
  for (const slug of ['A', 'B']) await service.createSegment(slug)
  await service.changeSegments(1, ['A'])
  const readTag = async (userId: string) => String((await evaluateAll(service, userId)).headers.etag)
  const first = await readTag('1')
  t.match(first, /^"[\w-]+"$/)
  t.equal(await readTag('1'), first)
  t.not(await readTag('2'), first, 'other values')
  for (const known of [first, `W/${first}`, `"x", ${first}`, '*']) {
    const answer = await evaluateAll(service, '1', { 'if-none-match': known })
    t.same([answer.status, answer.text, answer.headers.etag], [304, '', first], known)
  }
  t.equal((await evaluateAll(service, '2', { 'if-none-match': first })).status, 200, 'of another user')

  const seen = [first]
  const changes = [
    () => service.changeSegments(1, ['B']),
    () => service.changeSegments(1, [], ['A']),
    () => service.createSegment('C'),
    () => service.deleteSegment('B')
  ]
  for (const change of changes) {
    await change()
    const answer = await evaluateAll(service, '1', { 'if-none-match': seen.join() })
    t.equal(answer.status, 200)
    t.notOk(seen.includes(String(answer.headers.etag)))
    seen.push(String(answer.headers.etag))
  }
  await service.changeSegments(2, ['C'])
  t.equal((await evaluateAll(service, '1', { 'if-none-match': String(seen.at(-1)) })).status, 304)
})

t.test('as many flags as the limit are answered, and not one more', async (t) => {
  const service = await emptyService()
  await service.sql`insert into segments (slug) select 'SEGMENT_' || n from generate_series(1, ${MAX_BULK_FLAGS}::integer) n`
  await service.changeSegments(1, ['SEGMENT_1', `SEGMENT_${MAX_BULK_FLAGS}`])
  const values = Object.entries(valuesOf(await evaluateAll(service, '1')))
  t.equal(values.length, MAX_BULK_FLAGS)
  t.same(
    values.filter(([, value]) => value).map(([key]) => key),
    ['SEGMENT_1', `SEGMENT_${MAX_BULK_FLAGS}`]
  )
  await service.createSegment('ONE_MORE')
  t.match(await evaluateAll(service, '1'), {
    status: 400,
    body: { code: 'TOO_MANY_FLAGS', errorCode: 'GENERAL', errorDetails: /more than 20000 segments/ }
  })
  t.match((await evaluateOne(service, 'ONE_MORE', '1')).body, { value: false })
  await service.deleteSegment('SEGMENT_2')
  t.equal(Object.keys(valuesOf(await evaluateAll(service, '1'))).length, MAX_BULK_FLAGS)
})

t.test('a failure of the service has errorDetails, and shows nothing of the inside', async (t) => {
  const service = await startService(t)
  await service.sql`alter table users rename to gone`
  await service.sql`create view users as select (1 / (1 - 1))::bigint as id`
  for (const url of [ONE, `${ONE}/A`]) {
    const { status, body } = await service.post(url, { context: { targetingKey: '1' } })
    const { message } = body as { message: string }
    t.same([status, body], [500, { message, code: 'INTERNAL_ERROR', errorDetails: message }])
    t.notMatch(message, /division|select/)
  }
})

t.test('the key may come in either header', async (t) => {
  const keys = { reader: makeKey('web', 'reader'), admin: makeKey('marketing', 'admin') }
  const service = await startService(t, { API_KEYS: configureKeys(keys.reader, keys.admin) })
  await service.createSegment('A', undefined, keys.admin.headers)
  const { secret, headers } = keys.reader
  const ask = async (sent: Headers) => {
    const answers = [await evaluateOne(service, 'A', '1', sent), await evaluateAll(service, '1', sent)]
    return answers.map(({ status, body }) =>
      status === 200 ? status : (body as { message: string }).message
    )
  }
  const wrong = 'A'.repeat(secret.length)
  const missing = 'header (authorization) is missing: it must be Bearer <secret>'
  const cases: [sent: Headers, answer: unknown][] = [
    [headers, 200],
    [{ 'x-api-key': secret }, 200],
    [{ 'x-api-key': secret, authorization: 'Basic YTpi' }, 200],
    [{ 'x-api-key': wrong, ...headers }, 200],
    [{}, missing],
    [{ 'x-api-key': wrong }, 'header (x-api-key) matches no API key'],
    [{ 'x-api-key': '' }, 'header (x-api-key) matches no API key'],
    [{ 'x-api-key': `${secret}, ${secret}` }, 'header (x-api-key) matches no API key'],
    [{ 'x-api-key': `Bearer ${secret}` }, 'header (x-api-key) matches no API key'],
    [{ 'x-api-key': secret, authorization: `Bearer ${wrong}` }, 'header (authorization) matches no API key']
  ]
  for (const [sent, answer] of cases) t.same(await ask(sent), [answer, answer], Object.keys(sent).join())
  const elsewhere = await service.get('/api/v1/segments/user/1', { 'x-api-key': secret })
  t.match(elsewhere, { status: 401, body: { message: missing } }, 'other routes take one header')
})

t.test('the limit of a key answers 429 with Retry-After', async (t) => {
  const key = makeKey('web', 'reader')
  const service = await startService(t, { API_KEYS: key.setting, RATE_LIMIT: 1 })
  const answers = await Promise.all(
    Array.from({ length: 3 }, () => evaluateOne(service, 'A', '1', { 'x-api-key': key.secret }))
  )
  const refused = answers.find(({ status }) => status === 429)
  t.match(refused, { body: { code: 'RATE_LIMITED' } })
  t.equal(refused?.headers['retry-after'], '1')
})

t.test('pages of configured origins may evaluate, and read the ETag', async (t) => {
  const origin = 'https://shop.example.com'
  const service = await startService(t, { CORS_ORIGINS: origin })
  const preflight = await service.app.inject({
    method: 'OPTIONS',
    url: ONE,
    headers: {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,content-type,if-none-match,x-api-key'
    }
  })
  t.equal(preflight.statusCode, 204)
  t.match(preflight.headers, {
    'access-control-allow-origin': origin,
    'access-control-allow-methods': /\bPOST\b/,
    'access-control-allow-headers': 'authorization,content-type,if-none-match,x-api-key'
  })
  const { headers } = await evaluateAll(service, '1', { origin })
  t.equal(headers['access-control-allow-origin'], origin)
  const exposed = String(headers['access-control-expose-headers']).split(', ')
  t.ok(exposed.includes('etag') && exposed.includes('retry-after'))
})

t.test('an exclusive group is a flag whose variants are its segments', async (t) => {
  const service = await emptyService()
  await service.post('/api/v1/groups', { slug: 'G' })
  await service.createSegment('OTHER')
  for (const slug of ['A', 'AB']) await service.post('/api/v1/segment', { slug, group: 'G' })
  const group = (segment: string) => ({
    key: 'G',
    value: segment,
    reason: 'TARGETING_MATCH',
    ...(segment !== '' && { variant: segment })
  })
  const agree = async (userId: string, segment: string, message: string) => {
    const { body } = await evaluateOne(service, 'g', userId)
    t.same(body, { ...group(segment), metadata: {} }, message)
    const { flags } = (await evaluateAll(service, userId)).json<{ flags: object[] }>()
    t.same(flags.at(-1), group(segment), message)
  }
  await service.changeSegments(1, ['AB', 'OTHER'])
  await agree('1', 'AB', 'in a segment of the group')
  await service.changeSegments(1, ['A'], ['AB'])
  await agree('1', 'A', 'in another one')
  await service.deleteSegment('A')
  await agree('1', '', 'in none')
  await agree('2', '', 'unknown user')
  t.same(valuesOf(await evaluateAll(service, '1')), { OTHER: true, AB: false, G: '' })
  await service.post('/api/v1/groups', { slug: 'EMPTY' })
  t.match((await evaluateOne(service, 'EMPTY', '1')).body, { value: '' })
  await service.request({ method: 'DELETE', url: '/api/v1/groups/G' })
  t.match(await evaluateOne(service, 'G', '1'), { status: 404, body: { errorCode: 'FLAG_NOT_FOUND' } })
  t.same(valuesOf(await evaluateAll(service, '1')), { OTHER: true, AB: false, EMPTY: '' })
})
