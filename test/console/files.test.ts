import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import t from 'tap'
import { STRANGER_RATE_LIMIT } from '../../src/limits.ts'
import { makeKey } from '../support/keys.ts'
import { shareDatabase, startService, type TestService } from '../support/service.ts'

const contentSecurityPolicy =
  "default-src 'none';base-uri 'none';connect-src 'self';font-src 'self';form-action 'none';frame-ancestors 'none';" +
  "img-src 'self' data:;script-src 'self';style-src 'self';require-trusted-types-for 'script';trusted-types 'none'"

/** What a browser transfers for the first page, at most: the files of all pages. Each page adds some 8 kB. */
const MAX_BYTES = 150_000

/** The files that a page names, in its order. */
function listFiles(page: string): string[] {
  return [...page.matchAll(/(?:href|src)="([^"]*\/assets\/[^"]+)"/g)].map(([, path = '']) => path)
}

async function readPage({ app }: TestService): Promise<string> {
  return (await app.inject('/console')).body
}

t.test('one page is served for all paths of the console', async (t) => {
  const service = await startService(t)
  const first = await service.app.inject('/console')
  for (const url of ['/console', '/console/', '/console/segments/PROMO_5?tab=members', '/console/users/10']) {
    const answer = await service.app.inject(url)
    t.match(answer, { statusCode: 200, body: first.body }, url)
    t.match(answer.headers, {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': contentSecurityPolicy,
      'cache-control': 'no-cache',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer'
    })
    const known = await service.app.inject({ url, headers: { 'if-none-match': answer.headers.etag } })
    t.equal(known.statusCode, 304)
  }
  t.notMatch(
    first.body,
    /<style|\sstyle=|\son\w+=|<script>|javascript:|https?:/,
    'nothing inline, nothing from elsewhere'
  )
  t.match(await service.app.inject({ method: 'POST', url: '/console' }), { statusCode: 405 })
  const root = await service.app.inject('/')
  t.match(root, { statusCode: 302, headers: { location: '/console' } })
})

t.test('its files have their content in their names, and are kept for ever', async (t) => {
  const service = await startService(t)
  const paths = [...new Set(listFiles(await readPage(service)))]
  t.ok(paths.length > 20)
  for (const path of paths) {
    t.match(path, /^\/console\/assets\/[\w-]+\.[\w-]{10}\.(js|css|svg)$/)
    const plain = await service.app.inject(path)
    t.match(
      plain,
      { statusCode: 200, headers: { 'cache-control': 'public, max-age=31536000, immutable' } },
      path
    )
    t.equal(plain.headers['content-encoding'], undefined)
    t.equal(plain.headers.vary, 'accept-encoding')
    t.notOk(plain.headers['content-security-policy'], 'headers of pages are not repeated with each file')
    for (const [accepted, encoding, decode] of [
      ['gzip, deflate, br, zstd', 'br', brotliDecompressSync],
      ['gzip;q=0.5, br;q=0', 'gzip', gunzipSync],
      ['GZIP', 'gzip', gunzipSync]
    ] as const) {
      const answer = await service.app.inject({ url: path, headers: { 'accept-encoding': accepted } })
      t.equal(answer.headers['content-encoding'], encoding, accepted)
      t.equal(decode(answer.rawPayload).toString(), plain.body)
    }
    const known = await service.app.inject({ url: path, headers: { 'if-none-match': plain.headers.etag } })
    t.match(known, { statusCode: 304, body: '' })
  }
  for (const name of [
    'app.js',
    'app.0123456789.js',
    '..%2f..%2fpackage.json',
    '%00',
    `${paths[0]?.split('/').at(-1)}x`
  ]) {
    t.match(await service.get(`/console/assets/${name}`), { status: 404, code: 'ROUTE_NOT_FOUND' }, name)
  }
})

t.test('modules import only modules that the page has named before', async (t) => {
  const service = await startService(t)
  const page = await readPage(service)
  const modules = [...page.matchAll(/modulepreload" href="[^"]*\/([^"/]+)"/g)].map(([, name = '']) => name)
  const seen = new Set<string>()
  for (const name of modules) {
    const { body } = await service.app.inject(`/console/assets/${name}`)
    const imported = [...body.matchAll(/(?:^|[;}\n])\s*(?:import|export)\b[^"';]*?from\s*["']([^"']+)["']/g)]
    for (const [, specifier = ''] of imported) {
      t.ok(specifier.startsWith('./') && seen.has(specifier.slice(2)), `${name} imports ${specifier}`)
    }
    t.notMatch(body, /sourceMappingURL|: string\b/, name)
    for (const [, specifier = ''] of body.matchAll(/\bimport\(\s*["']([^"']+)["']\s*\)/g)) {
      t.notOk(seen.has(specifier.slice(2)), `${specifier} is not loaded before it is needed`)
      t.match(await service.get(`/console/assets/${specifier.slice(2)}`), { status: 200 }, specifier)
    }
    seen.add(name)
  }
  t.match(
    page,
    new RegExp(`<script type="module" src="/console/assets/${modules.at(-1)}">`),
    'the last one is the entry'
  )
})

t.test(`the first page takes at most ${MAX_BYTES} bytes`, async (t) => {
  const service = await startService(t)
  const page = await service.app.inject('/console')
  let bytes = page.rawPayload.length + JSON.stringify(page.headers).length
  for (const url of new Set(listFiles(page.body))) {
    const answer = await service.app.inject({ url, headers: { 'accept-encoding': 'br' } })
    bytes += answer.rawPayload.length + JSON.stringify(answer.headers).length
  }
  t.comment(`${bytes} bytes`)
  t.ok(bytes < MAX_BYTES, `${bytes}`)
})

t.test('the limit for strangers lets pages load, and ends floods of files', async (t) => {
  const service = await startService(t, { API_KEYS: makeKey('support', 'reader').setting })
  const [file = ''] = listFiles(await readPage(service))
  const statuses: number[] = []
  const load = async (): Promise<void> => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => service.app.inject(file)))
    statuses.push(...answers.map(({ statusCode }) => statusCode))
  }
  for (let page = 0; page < 8; page += 1) await load()
  t.ok(
    statuses.every((status) => status === 200),
    'eight pages in a moment'
  )
  // More than the limit allows in the two windows that the requests can be in.
  const flood = Array.from({ length: 10 * STRANGER_RATE_LIMIT * 3 }, () => service.app.inject(file))
  t.ok(
    (await Promise.all(flood)).some(({ statusCode }) => statusCode === 429),
    'a flood is refused'
  )
})

t.test('OPEN_ROUTES says whether it needs a key', async (t) => {
  const start = await shareDatabase(t)
  const key = makeKey('support', 'reader')
  const closed = await start(t, { API_KEYS: key.setting, OPEN_ROUTES: 'docs' })
  for (const url of ['/console', '/console/users/10', '/console/assets/app.0123456789.js']) {
    t.match(await closed.get(url), { status: 401, code: 'UNAUTHENTICATED' }, url)
  }
  t.equal((await closed.app.inject({ url: '/console', headers: key.headers })).statusCode, 200)
  t.equal((await closed.app.inject('/')).headers.location, '/swagger/index.html')
})

t.test('behind a proxy that adds to the path, the path is that of PUBLIC_URL', async (t) => {
  const service = await startService(t, { PUBLIC_URL: 'https://example.com/se"g<ments/' })
  const page = await readPage(service)
  t.match(page, '<html lang="en" data-base="/se%22g%3Cments">')
  for (const path of listFiles(page)) t.ok(path.startsWith('/se%22g%3Cments/console/assets/'), path)
})
