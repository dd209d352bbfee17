/** Reads of a user's segments with `If-None-Match`. */
import t from 'tap'
import { tagText } from '../../src/http/conditional.ts'
import { startService } from '../support/service.ts'

t.test('a read of a user has a strong ETag, and is 304 while its answer is the same', async (t) => {
  const service = await startService(t)
  await service.createSegment('A')
  await service.createSegment('B')
  await service.changeSegments(1, ['A'])
  const urls = [
    '/api/v1/segments/user/1',
    '/api/v1/segments/user/1/history?limit=10',
    '/api/v1/segments/user/1/memberships',
    '/api/v1/segment/B/users/1'
  ]
  for (const url of urls) {
    const first = await service.get(url)
    const { etag = '' } = first.headers
    t.match(etag, /^"[\da-z-]+"$/, url)
    for (const known of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
      const { status, text, headers } = await service.get(url, { 'if-none-match': known })
      t.same([status, text, headers.etag], [304, '', etag], `${url} ${known}`)
      t.same([headers['content-type'], headers['content-length']], [undefined, undefined])
      t.equal(headers['cache-control'], 'no-store')
    }
    for (const other of ['"x"', `"x", W/"y"`, etag.slice(1, -1), ''])
      t.same((await service.get(url, { 'if-none-match': other })).text, first.text, `${url} ${other}`)

    const head = await service.request({ method: 'HEAD', url, headers: { 'if-none-match': etag } })
    t.same([head.status, head.text, head.headers.etag], [304, '', etag], url)
    t.equal((await service.request({ method: 'HEAD', url })).headers.etag, etag)

    await service.changeSegments(1, ['B'])
    const changed = await service.get(url, { 'if-none-match': etag })
    t.equal(changed.status, 200, url)
    t.not(changed.headers.etag, etag)
    t.equal((await service.get(url)).text, changed.text)
    await service.changeSegments(1, [], ['B'])
  }
  const unknown = await service.get('/api/v1/segments/user/2', { 'if-none-match': '*' })
  t.same([unknown.code, unknown.headers.etag], ['USER_NOT_FOUND', undefined], 'an error has none')
  const past = '/api/v1/segments/user/1?at=2023-08-01T00:00:00Z'
  t.equal((await service.get(past, { 'if-none-match': (await service.get(past)).headers.etag })).status, 304)
})

t.test('texts that differ have different tags', async (t) => {
  const texts = new Set<string>(['[]', '["A"]', '["B"]', '["A","B"]', '["B","A"]', '["AB"]', '["A", "B"]'])
  for (let number = 0; number < 200_000; number += 1)
    texts.add(`["SEGMENT_${number}","SEGMENT_${number % 7}"]`)
  const tags = new Set([...texts].map(tagText))
  t.equal(tags.size, texts.size)
})
