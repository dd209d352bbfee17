/** Errors as RFC 9457 describes them, for clients that accept these and not JSON. */
import { once } from 'node:events'
import t from 'tap'
import { configureKeys, makeKey } from '../support/keys.ts'
import { openConnection } from '../support/raw-connection.ts'
import { startService, waitUntil } from '../support/service.ts'

const PROBLEM = 'application/problem+json'
const PROBLEM_CONTENT = `${PROBLEM}; charset=utf-8`

t.test('an error is a problem only for clients that accept problems and not JSON', async (t) => {
  const service = await startService(t)
  const get = (accept?: string) =>
    service.get('/api/v1/segments/user/10', accept === undefined ? {} : { accept })
  for (const accept of [
    PROBLEM,
    'Application/Problem+JSON',
    `${PROBLEM};q=0.1`,
    `text/html, ${PROBLEM}`,
    `${PROBLEM}, application/json;q=0`,
    `${PROBLEM} ; q=0.5 , application/json ; q=0.000, */*`,
    `application/json;q=0, application/*, ${PROBLEM}`
  ]) {
    const { status, text, headers } = await get(accept)
    t.same([status, headers['content-type']], [404, PROBLEM_CONTENT], accept)
    t.equal(headers['cache-control'], 'no-store')
    t.same(JSON.parse(text), {
      type: 'about:blank',
      title: 'Not Found',
      status: 404,
      detail: 'user with id (10) not found',
      code: 'USER_NOT_FOUND'
    })
  }
  for (const accept of [
    undefined,
    '',
    '*/*',
    'application/*',
    'application/json',
    'text/html',
    `${PROBLEM};q=0`,
    `application/json, ${PROBLEM}`,
    `${PROBLEM}, application/json;q=0.5`,
    `${PROBLEM}, */*;q=0.1`,
    `${PROBLEM}, application/*`,
    `${PROBLEM}-seq`
  ]) {
    const answer = await get(accept)
    t.equal(answer.headers['content-type'], 'application/json; charset=utf-8', accept ?? 'no Accept')
    t.same(answer, {
      status: 404,
      body: { message: 'user with id (10) not found', code: 'USER_NOT_FOUND' }
    })
  }
})

t.test('every error is a problem where the client asks for it', async (t) => {
  const key = makeKey('billing', 'admin')
  const service = await startService(t, { API_KEYS: configureKeys(key), RATE_LIMIT: 4 })
  const headers = { accept: PROBLEM, ...key.headers }
  const expect = async (
    request: { method: string; url: string; headers?: object; body?: string },
    status: number,
    code: string,
    more: object = {}
  ) => {
    const answer = await service.send({ ...request, headers: { ...headers, ...request.headers } })
    t.equal(answer.headers['content-type'], PROBLEM_CONTENT, code)
    t.match(JSON.parse(answer.text), { type: 'about:blank', status, code, detail: /./, ...more }, code)
  }
  const json = { 'content-type': 'application/json' }
  const second = () =>
    waitUntil(
      async () => service.send({ method: 'GET', url: '/api/v1/segments', headers }),
      ({ headers }) => headers['ratelimit']?.includes('r=3') === true
    )
  await second()
  await expect({ method: 'GET', url: '/nowhere' }, 404, 'ROUTE_NOT_FOUND', { title: 'Not Found' })
  await expect({ method: 'PUT', url: '/api/v1/segments' }, 405, 'METHOD_NOT_ALLOWED')
  await expect({ method: 'GET', url: '/api/v1/segments/user/%ff' }, 400, 'INVALID_URL')
  await expect({ method: 'POST', url: '/api/v1/segment', headers: json, body: '{' }, 400, 'INVALID_JSON')
  await expect({ method: 'GET', url: '/api/v1/segments?x=1' }, 400, 'INVALID_REQUEST')
  await second()
  await expect(
    {
      method: 'POST',
      url: '/api/v1/segments/user/1',
      headers: json,
      body: '{"segments_to_add":["A"]}'
    },
    404,
    'SEGMENTS_NOT_FOUND',
    { segments: ['A'] }
  )
  await expect(
    { method: 'GET', url: '/api/v1/segments', headers: { authorization: 'x' } },
    401,
    'UNAUTHENTICATED'
  )
  for (let sent = 0; sent < 4; sent += 1)
    await service.send({ method: 'GET', url: '/api/v1/segments', headers })
  await expect({ method: 'GET', url: '/api/v1/segments' }, 429, 'RATE_LIMITED')
})

t.test('refusals before routing, and of what is not HTTP, are problems too', async (t) => {
  const service = await startService(t)
  const address = await service.app.listen({ host: '127.0.0.1', port: 0 })
  const send = async (text: string) => {
    const connection = await openConnection(t, address)
    connection.socket.write(text)
    await connection.ended()
    return connection.received
  }
  const accept = `host: localhost\r\naccept: ${PROBLEM}\r\n`
  const malformed = await send(`GET /health/live HTTP/1.1\r\n${accept}x y: 1\r\n\r\n`)
  t.match(
    malformed,
    /^HTTP\/1\.1 400 Bad Request\r\n[\s\S]*content-type: application\/problem\+json; charset=utf-8\r\n/
  )
  t.match(malformed, /"status":400,"detail":"the request is not valid HTTP","code":"MALFORMED_REQUEST"}$/)
  const large = await send(`GET /health/live HTTP/1.1\r\n${accept}x: ${'x'.repeat(20_000)}\r\n\r\n`)
  t.match(large, /^HTTP\/1\.1 431 [\s\S]*application\/problem\+json[\s\S]*"code":"HEADERS_TOO_LARGE"}$/)
  const json = await send('GET /health/live HTTP/1.1\r\nhost: localhost\r\nx y: 1\r\n\r\n')
  t.match(
    json,
    /application\/json[\s\S]*{"message":"the request is not valid HTTP","code":"MALFORMED_REQUEST"}$/
  )
  const second = await send(
    `GET /health/live HTTP/1.1\r\n${accept}\r\nGET /health/live HTTP/1.1\r\nhost: localhost\r\nx y: 1\r\n\r\n`
  )
  t.match(
    second,
    /application\/json; charset=utf-8\r\n[\s\S]*"code":"MALFORMED_REQUEST"}$/,
    'the Accept of its own'
  )
})

t.test('a request that is refused because of the load gets a problem if it asks for one', async (t) => {
  const service = await startService(t)
  const address = await service.app.listen({ host: '127.0.0.1', port: 0 })
  const connections = await Promise.all(Array.from({ length: 65 }, () => openConnection(t, address)))
  for (const { socket } of connections)
    socket.write(
      'POST /api/v1/segments/user/1 HTTP/1.1\r\nhost: localhost\r\n' +
        `accept: ${PROBLEM}\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n`
    )
  const refused = await waitUntil(
    async () => connections.find(({ received }) => received !== ''),
    (connection) => connection !== undefined
  )
  t.match(
    refused?.received,
    /^HTTP\/1\.1 503 [\s\S]*content-type: application\/problem\+json[\s\S]*"code":"OVERLOADED"}$/
  )
  for (const { socket } of connections) socket.destroy()
  await Promise.all(connections.map(({ socket }) => socket.closed || once(socket, 'close')))
})
