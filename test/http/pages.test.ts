import t from 'tap'
import { startService } from '../support/service.ts'

t.test('the documentation is sent once to a client that keeps it', async (t) => {
  const { app } = await startService(t)
  for (const url of ['/openapi.json', '/swagger/index.html', '/swagger/static/swagger-ui-bundle.js']) {
    const answer = await app.inject(url)
    const { etag } = answer.headers
    t.match(answer, { statusCode: 200, headers: { 'cache-control': 'no-cache', etag: /^"[\w-]{43}"$/ } })
    t.ok(answer.body.length > 500)
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const repeated = await app.inject({ url, headers: { 'if-none-match': known } })
      t.match(repeated, { statusCode: 304, body: '', headers: { etag } }, `${url} ${known}`)
    }
    const changed = await app.inject({ url, headers: { 'if-none-match': '"other"' } })
    t.equal(changed.body, answer.body)
    const head = await app.inject({ method: 'HEAD', url })
    t.match(head, { statusCode: 200, body: '', headers: { etag } })
  }
})
