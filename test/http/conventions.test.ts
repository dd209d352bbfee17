import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import t from 'tap'
import { holdTable } from '../support/locks.ts'
import { startService, waitUntil } from '../support/service.ts'

t.test('the conventions of every answer', async (t) => {
  const service = await startService(t)
  await service.createSegment('A')
  const json = { 'content-type': 'application/json' }
  const send = (method: string, url: string, body?: string, headers: Record<string, string> = {}) =>
    service.app.inject({
      method: method as 'GET',
      url,
      headers: body === undefined ? headers : { ...json, ...headers },
      ...(body === undefined ? {} : { body })
    })

  t.test('a trailing slash makes no difference', async (t) => {
    t.equal((await send('POST', '/api/v1/segments/user/1/', '{"segments_to_add":["A"]}')).statusCode, 200)
    t.same((await send('GET', '/api/v1/segments/user/1/')).json(), ['A'])
    t.equal((await send('POST', '/api/v1/segment/', '{"slug":"SLASH"}')).statusCode, 200)
    t.equal((await send('DELETE', '/api/v1/segment/SLASH/')).statusCode, 200)
    const order = await send('GET', '/api/v1/segments/user/1/csv/?from=2023-08-01&to=2023-08-31')
    t.equal(order.statusCode, 202)
  })

  t.test('a known path answers 405 with Allow to a method it lacks', async (t) => {
    const cases: [string, string, string][] = [
      ['DELETE', '/api/v1/segment/', 'POST'],
      ['DELETE', '/api/v1/segment', 'POST'],
      ['GET', '/api/v1/segment', 'POST'],
      ['PUT', '/api/v1/segment', 'POST'],
      ['OPTIONS', '/api/v1/segment', 'POST'],
      ['PROPFIND', '/api/v1/segment', 'POST'],
      ['POST', '/api/v1/segment/A', 'DELETE, GET, HEAD, PATCH'],
      ['PUT', '/api/v1/segment/A/', 'DELETE, GET, HEAD, PATCH'],
      ['POST', '/api/v1/segment/A/users.csv', 'GET, HEAD'],
      ['GET', '/api/v1/segments/users/query', 'POST'],
      ['PATCH', '/api/v1/segment/A/users', 'DELETE, GET, HEAD, POST, PUT'],
      ['DELETE', '/api/v1/users', 'POST'],
      ['DELETE', '/api/v1/segments/user/1', 'GET, HEAD, POST'],
      ['PATCH', '/api/v1/segments/user/not-a-number?x=1', 'GET, HEAD, POST'],
      ['POST', '/api/v1/segments/user/1/csv', 'GET'],
      ['PUT', '/api/v1/segments/user/history/x.csv', 'DELETE, GET, HEAD'],
      ['GET', '/api/v1/reports', 'POST'],
      ['PUT', '/api/v1/reports/x.csv', 'DELETE, GET, HEAD'],
      ['POST', '/api/v1/reports/x.csv/status', 'GET, HEAD'],
      ['PUT', '/api/v1/webhooks', 'GET, HEAD, POST'],
      ['POST', '/api/v1/webhooks/1', 'DELETE, GET, HEAD, PATCH'],
      ['GET', '/ofrep/v1/evaluate/flags', 'POST'],
      ['GET', '/ofrep/v1/evaluate/flags/A', 'POST'],
      ['POST', '/health/ready', 'GET, HEAD'],
      ['POST', '/openapi.json', 'GET, HEAD']
    ]
    for (const [method, url, allow] of cases) {
      const answer = await send(method, url)
      const path = url.split('?')[0]
      t.same(
        [answer.statusCode, answer.headers.allow?.toString().split(', ').sort().join(', '), answer.json()],
        [
          405,
          allow,
          { message: `method (${method}) is not allowed for path (${path})`, code: 'METHOD_NOT_ALLOWED' }
        ],
        `${method} ${url}`
      )
    }
    t.equal(
      (await send('PUT', '/api/v1/segment', 'x', { 'content-type': 'text/plain' })).statusCode,
      405,
      'whatever the body'
    )
  })

  t.test('an unknown path answers 404', async (t) => {
    for (const url of [
      '/api/v1',
      '/api/v2/segment',
      '/api/v1/segments/user',
      '/api/v1/segments/user/1/csv/x',
      '/favicon.ico'
    ]) {
      for (const method of ['GET', 'POST', 'DELETE']) {
        const answer = await send(method, url, method === 'POST' ? 'not json' : undefined)
        t.same(
          [answer.statusCode, answer.json()],
          [404, { message: `path (${url}) not found`, code: 'ROUTE_NOT_FOUND' }],
          `${method} ${url}`
        )
      }
    }
    t.match(await service.request({ method: 'GET', url: '/%zz' }), {
      status: 400,
      body: { code: 'INVALID_URL' }
    })
  })

  t.test(
    'a body that is not JSON is answered with 400, one that is too large with 413, one of another type with 415',
    async (t) => {
      const post = async (body: string, headers: Record<string, string> = {}) => {
        const answer = await send('POST', '/api/v1/segment', body, headers)
        return [answer.statusCode, answer.json().code]
      }
      t.same(await post('{"slug":'), [400, 'INVALID_JSON'])
      t.same(await post(''), [400, 'INVALID_JSON'])
      t.same(await post('{"slug":"X","__proto__":{}}'), [400, 'INVALID_REQUEST'])
      t.same(await post('{"slug":"X"}', { 'content-type': 'text/plain' }), [415, 'UNSUPPORTED_MEDIA_TYPE'])
      t.same(await post('slug=X', { 'content-type': 'application/x-www-form-urlencoded' }), [
        415,
        'UNSUPPORTED_MEDIA_TYPE'
      ])
      t.same(await post(JSON.stringify({ slug: 'X'.repeat(2 ** 20) })), [413, 'BODY_TOO_LARGE'])
      const padded = (bytes: number) => '{"slug":"EXACT"}'.padEnd(bytes, ' ')
      t.same(await post(padded(2 ** 20 + 1)), [413, 'BODY_TOO_LARGE'], 'a byte over the limit')
      t.equal((await send('POST', '/api/v1/segment', padded(2 ** 20))).statusCode, 200, 'just at the limit')
      t.equal(
        (
          await send('POST', '/api/v1/segment', '{"slug":"CHARSET"}', {
            'content-type': 'application/json; charset=utf-8'
          })
        ).statusCode,
        200
      )
      t.equal(
        (await send('DELETE', '/api/v1/segment/X')).statusCode,
        404,
        'no refused request created a segment'
      )
    }
  )

  t.test('unknown body fields and query parameters are refused, by every route', async (t) => {
    for (const [method, url, body] of [
      ['POST', '/api/v1/segment?dry_run=true', '{"slug":"Q"}'],
      ['DELETE', '/api/v1/segment/A?force=1', undefined],
      ['POST', '/api/v1/segment/A/users?force=1', '[]'],
      ['PUT', '/api/v1/segment/A/users?force=1', '[]'],
      ['DELETE', '/api/v1/segment/A/users?force=1', '[]'],
      ['POST', '/api/v1/users?force=1', '[]'],
      ['GET', '/api/v1/segment/A/users.csv?force=1', undefined],
      ['GET', '/api/v1/segments/user/1?force=1', undefined],
      ['POST', '/api/v1/segments/user/1?force=1', '{}'],
      ['GET', '/api/v1/segments/user/1/csv?from=2023-08-01&to=2023-08-31&force=1', undefined],
      ['GET', '/api/v1/segments/user/history/user-1_2023-08-01_2023-08-31.csv?force=1', undefined],
      ['POST', '/api/v1/reports?force=1', '{"from":"2023-08-01","to":"2023-08-31"}'],
      ['GET', '/api/v1/reports/all_2023-08-01_2023-08-31.csv?force=1', undefined]
    ] as const) {
      const answer = await send(method, url, body)
      t.equal(answer.statusCode, 400, `${method} ${url}`)
      t.match(answer.json(), {
        message: /^unknown query parameter \((force|dry_run)\)$/,
        code: 'INVALID_REQUEST'
      })
    }
    t.same((await send('GET', '/api/v1/segments/user/1')).json(), ['A'], 'the segment is still there')
    t.equal((await send('DELETE', '/api/v1/segment/Q')).statusCode, 404)
  })

  t.test('a DELETE takes no body, but an empty one and a content type are no error', async (t) => {
    const remove = (body?: string) =>
      service.app.inject({
        method: 'DELETE',
        url: '/api/v1/segment/A',
        headers: json,
        ...(body === undefined ? {} : { body })
      })
    const refused = await remove('{"dry_run":true}')
    t.same(
      [refused.statusCode, refused.json()],
      [400, { message: 'DELETE takes no body here', code: 'INVALID_REQUEST' }]
    )
    t.equal((await remove('[]')).statusCode, 400)
    t.same((await send('GET', '/api/v1/segments/user/1')).json(), ['A'], 'nothing was deleted')
    for (const [slug, body] of [
      ['NO_BODY', undefined],
      ['EMPTY_BODY', ''],
      ['EMPTY_OBJECT', '{}']
    ] as const) {
      await service.createSegment(slug)
      const answer = await send('DELETE', `/api/v1/segment/${slug}`, body, json)
      t.equal(answer.statusCode, 200, slug)
    }
  })

  t.test('an internal error shows no SQL, no stack and no path', async (t) => {
    await service.sql`alter table users rename to gone`
    await service.sql`create view users as select (1 / (1 - 1))::bigint as id`
    const answer = await send('GET', '/api/v1/segments/user/1')
    await service.sql`drop view users`
    await service.sql`alter table gone rename to users`
    t.same(
      [answer.statusCode, answer.json()],
      [
        500,
        { message: 'the service failed on this request; the failure has been logged', code: 'INTERNAL_ERROR' }
      ]
    )
    t.same((await send('GET', '/api/v1/segments/user/1')).json(), ['A'], 'the request passes')
  })

  t.test('responses must not be cached', async (t) => {
    t.equal((await send('GET', '/api/v1/segments/user/1')).headers['cache-control'], 'no-store')
  })

  t.test('a request whose client disconnects is no longer in flight', async (t) => {
    const address = new URL(await service.app.listen({ host: '127.0.0.1', port: 0 }))
    const release = await holdTable(t, service.database, 'memberships')
    const socket = connect(Number(address.port), '127.0.0.1')
    socket.write('GET /api/v1/segments/user/1 HTTP/1.1\r\nhost: localhost\r\n\r\n')
    const inFlight = (count: number) =>
      waitUntil(
        async () => service.app.load.inFlight,
        (current) => current === count
      )
    await inFlight(1)
    socket.resetAndDestroy()
    await inFlight(0)
    await release()
    t.same((await send('GET', '/api/v1/segments/user/1')).json(), ['A'])
  })

  t.test('a malformed HTTP request is answered in the same form', async (t) => {
    const { port } = service.app.server.address() as AddressInfo
    const speak = async (text: string) => {
      const socket = connect(port, '127.0.0.1')
      socket.end(text)
      let answer = ''
      socket.on('data', (chunk) => {
        answer += chunk
      })
      await once(socket, 'close')
      return answer
    }
    const malformed = await speak('NONSENSE\r\n\r\n')
    t.match(malformed, /^HTTP\/1\.1 400 /)
    t.match(malformed, '{"message":"the request is not valid HTTP","code":"MALFORMED_REQUEST"}')
    const homeless = await speak('GET /health/live HTTP/1.1\r\nconnection: close\r\n\r\n')
    t.match(homeless, /^HTTP\/1\.1 400 /)
    t.match(homeless, '{"message":"header (host) is missing","code":"INVALID_REQUEST"}')
    t.match(
      await speak(
        'GET /health/live HTTP/1.1\r\nhost: localhost\r\nexpect: much\r\nconnection: close\r\n\r\n'
      ),
      /^HTTP\/1\.1 200 /,
      'additional expectations make no difference'
    )
    const oversized = await speak(`GET / HTTP/1.1\r\nhost: localhost\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`)
    t.match(oversized, /^HTTP\/1\.1 431 /)
    t.match(oversized, '"code":"HEADERS_TOO_LARGE"')
  })
})
