/** OpenFeature's own SDKs and OFREP providers against the service. */
import { OFREPProvider } from '@openfeature/ofrep-provider'
import { OFREPWebProvider } from '@openfeature/ofrep-web-provider'
import { OpenFeature } from '@openfeature/server-sdk'
import { ProviderEvents, OpenFeature as WebOpenFeature } from '@openfeature/web-sdk'
import t, { type Test } from 'tap'
import { configureKeys, makeKey, type TestKey } from '../support/keys.ts'
import { startService, type TestService, waitUntil } from '../support/service.ts'

const keys = { reader: makeKey('shop', 'reader'), admin: makeKey('marketing', 'admin') }
const API_KEYS = configureKeys(keys.reader, keys.admin)

type Shop = { baseUrl: string; service: TestService; post: (path: string, body: object) => Promise<void> }

/** A listening service in which user 10 is in VOICE_MSG and not in PROMO. */
async function startShop(t: Test, config: { RATE_LIMIT?: number } = {}): Promise<Shop> {
  const service = await startService(t, { API_KEYS, ...config })
  const baseUrl = await service.app.listen({ host: '127.0.0.1', port: 0 })
  const post = async (path: string, body: object) => {
    const { status } = await service.post(`/api/v1/${path}`, body, keys.admin.headers)
    t.equal(status, 200, path)
  }
  await post('segment', { slug: 'VOICE_MSG' })
  await post('segment', { slug: 'PROMO' })
  await post('segments/user/10', { segments_to_add: ['VOICE_MSG'] })
  return { baseUrl, service, post }
}

t.afterEach(async () => {
  await OpenFeature.clearProviders()
  await WebOpenFeature.clearProviders()
})

/** A client of the server SDK. */
async function connect(baseUrl: string, headers: [string, string][]) {
  await OpenFeature.setProviderAndWait(new OFREPProvider({ baseUrl, headers }))
  return OpenFeature.getClient()
}

const asBearer = ({ headers }: TestKey): [string, string][] => [['Authorization', headers.authorization]]
const asKeyHeader = ({ secret }: TestKey): [string, string][] => [['X-API-Key', secret]]

t.test('the server SDK evaluates segments with the key in either header', async (t) => {
  const { baseUrl } = await startShop(t)
  for (const headers of [asBearer(keys.reader), asKeyHeader(keys.reader)]) {
    const client = await connect(baseUrl, headers)
    t.match(await client.getBooleanDetails('VOICE_MSG', false, { targetingKey: '10', plan: 'free' }), {
      flagKey: 'VOICE_MSG',
      value: true,
      reason: 'TARGETING_MATCH',
      variant: 'on',
      errorCode: undefined
    })
    t.match(await client.getBooleanDetails('PROMO', true, { targetingKey: '10' }), {
      value: false,
      reason: 'TARGETING_MATCH',
      variant: 'off'
    })
    t.equal(await client.getBooleanValue('VOICE_MSG', true, { targetingKey: '11' }), false, 'unknown user')
  }
})

t.test('the server SDK sees each change in its next evaluation', async (t) => {
  const { baseUrl, post } = await startShop(t)
  const client = await connect(baseUrl, asBearer(keys.reader))
  const evaluate = (flag: string) => client.getBooleanDetails(flag, true, { targetingKey: '10' })
  t.match(await evaluate('PROMO'), { value: false })
  await post('segments/user/10', { segments_to_add: ['PROMO'], segments_to_delete: ['VOICE_MSG'] })
  t.match(await evaluate('PROMO'), { value: true, variant: 'on' })
  t.match(await evaluate('VOICE_MSG'), { value: false })
  t.match(await evaluate('LATER'), { value: true, errorCode: 'FLAG_NOT_FOUND' })
  await post('segment', { slug: 'LATER' })
  t.match(await evaluate('LATER'), { value: false, reason: 'TARGETING_MATCH' })
})

t.test('the server SDK returns the default with the code of the error', async (t) => {
  const { baseUrl } = await startShop(t)
  const client = await connect(baseUrl, asBearer(keys.reader))
  const evaluate = (flag: string, targetingKey?: string) =>
    client.getBooleanDetails(flag, true, targetingKey === undefined ? {} : { targetingKey })
  const failed = { value: true, reason: 'ERROR' }
  t.match(await evaluate('NOWHERE', '10'), {
    ...failed,
    errorCode: 'FLAG_NOT_FOUND',
    errorMessage: 'segment with slug (NOWHERE) not found'
  })
  t.match(await evaluate('VOICE_MSG'), { ...failed, errorCode: 'TARGETING_KEY_MISSING' })
  t.match(await evaluate('VOICE_MSG', ''), { ...failed, errorCode: 'TARGETING_KEY_MISSING' })
  t.match(await evaluate('VOICE_MSG', 'anna'), {
    ...failed,
    errorCode: 'INVALID_CONTEXT',
    errorMessage: 'body field (context.targetingKey) must be an integer from 1 to 9223372036854775807'
  })
  t.match(await client.getStringDetails('VOICE_MSG', 'x', { targetingKey: '10' }), {
    value: 'x',
    errorCode: 'TYPE_MISMATCH'
  })
  const stranger = await connect(baseUrl, [['X-API-Key', 'A'.repeat(43)]])
  t.match(await stranger.getBooleanDetails('VOICE_MSG', false, { targetingKey: '10' }), {
    value: false,
    reason: 'ERROR',
    errorCode: 'GENERAL'
  })
})

t.test('the server SDK stops for as long as Retry-After says', async (t) => {
  const { baseUrl } = await startShop(t, { RATE_LIMIT: 4 })
  const client = await connect(baseUrl, asBearer(keys.reader))
  const evaluate = () => client.getBooleanDetails('VOICE_MSG', false, { targetingKey: '10' })
  const refused = await waitUntil(evaluate, ({ errorCode }) => errorCode === 'GENERAL')
  t.match(refused.errorMessage, /rate limit exceeded|paused due to TooManyRequests/)
  t.match(await evaluate(), { errorMessage: /paused due to TooManyRequests until/ })
  t.match(await waitUntil(evaluate, ({ errorCode }) => errorCode === undefined), { value: true })
})

/** A client of the web SDK that polls, the statuses of its requests, and the flags that each change has named. */
async function connectPage(baseUrl: string, headers: [string, string][], targetingKey: string) {
  const statuses: number[] = []
  const changed: string[] = []
  await WebOpenFeature.setContext({ targetingKey })
  WebOpenFeature.addHandler(ProviderEvents.ConfigurationChanged, (event) => {
    if (Array.isArray(event?.flagsChanged)) changed.push(...event.flagsChanged.map(String))
  })
  const provider = new OFREPWebProvider({
    baseUrl,
    headers,
    pollInterval: 50,
    fetchImplementation: async (input: Request, init: RequestInit) => {
      const answer = await fetch(input, init)
      statuses.push(answer.status)
      return answer
    }
  })
  // By its type, the provider may have undefined in place of hooks, which the type of the SDK refuses.
  await WebOpenFeature.setProviderAndWait(Object.assign(provider, { hooks: [] }))
  return { client: WebOpenFeature.getClient(), statuses, changed }
}

t.test('the web SDK evaluates all segments at once, and polls by ETag', async (t) => {
  const { baseUrl, service, post } = await startShop(t)
  const { client, statuses, changed } = await connectPage(baseUrl, asKeyHeader(keys.reader), '10')
  t.match(client.getBooleanDetails('VOICE_MSG', false), {
    value: true,
    reason: 'TARGETING_MATCH',
    variant: 'on'
  })
  t.match(client.getBooleanDetails('PROMO', true), { value: false, variant: 'off' })
  t.match(client.getBooleanDetails('NOWHERE', true), { value: true, errorCode: 'FLAG_NOT_FOUND' })

  const poll = async () => statuses.length
  const countPolls = async (more: number) => {
    const before = statuses.length
    await waitUntil(poll, (count) => count >= before + more)
  }
  await countPolls(3)
  t.same([...new Set(statuses.slice(1))], [304], 'nothing has changed')
  t.same(changed, [])

  await post('segments/user/10', { segments_to_add: ['PROMO'] })
  await waitUntil(
    async () => changed,
    (flags) => flags.length > 0
  )
  t.same(changed, ['PROMO'])
  t.equal(client.getBooleanValue('PROMO', false), true)

  await post('segment', { slug: 'LATER' })
  await waitUntil(
    async () => client.getBooleanDetails('LATER', true).value,
    (value) => value === false
  )
  await service.request({ method: 'DELETE', url: '/api/v1/segment/VOICE_MSG', headers: keys.admin.headers })
  await waitUntil(
    async () => client.getBooleanDetails('VOICE_MSG', true).errorCode,
    (code) => code === 'FLAG_NOT_FOUND'
  )
  const seen = statuses.length
  await countPolls(3)
  t.same([...new Set(statuses.slice(seen + 1))], [304], 'nothing has changed since')
})

t.test('the web SDK evaluates again for another user', async (t) => {
  const { baseUrl } = await startShop(t)
  const { client } = await connectPage(baseUrl, asBearer(keys.reader), '10')
  t.equal(client.getBooleanValue('VOICE_MSG', false), true)
  await WebOpenFeature.setContext({ targetingKey: '11' })
  t.equal(client.getBooleanValue('VOICE_MSG', true), false)
})

t.test('the web SDK does not start with a wrong key', async (t) => {
  const { baseUrl } = await startShop(t)
  await t.rejects(connectPage(baseUrl, [['X-API-Key', 'A'.repeat(43)]], '10'))
})
