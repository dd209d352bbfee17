import { readFile } from 'node:fs/promises'
import t from 'tap'
import { ConfigSchema } from '../schemas/config.ts'
import { readConfig, readTrustedProxies, toSeconds, wantsTracing } from '../src/config.ts'
import { ConfigError } from '../src/config-error.ts'
import { readStorageLocation } from '../src/reports/open-storage.ts'

const DATABASE_URL = 'postgres://user:secret@localhost:5432/segments'

t.test('the defaults', async (t) => {
  t.same(readConfig({ DATABASE_URL }), {
    DATABASE_URL,
    HOST: '127.0.0.1',
    PORT: 8080,
    OPEN_ROUTES: 'docs,console',
    REPORTS_DIR: '.data/reports',
    AWS_REGION: 'us-east-1',
    REPORT_TTL: '7d',
    REPORT_LEASE: '30s',
    CHANGES_RETENTION: '30d',
    SHUTDOWN_DELAY: '0s',
    LOG_LEVEL: 'info'
  })
  t.same(
    readConfig({ DATABASE_URL, PORT: '', PUBLIC_URL: '', HOST: '' }).PORT,
    8080,
    'an empty variable is unset'
  )
})

t.test('values are read', async (t) => {
  const environment = {
    DATABASE_URL: 'postgresql://db/x',
    READ_DATABASE_URLS: 'postgres://standby-1/x,postgres://standby-2/x',
    READ_STALENESS: '5s',
    HOST: '::',
    PORT: '0',
    PUBLIC_URL: 'https://example.com/base',
    ALLOWED_HOSTS: 'segments,segments.internal',
    TRUST_PROXY: '10.0.0.0/8',
    API_KEYS: 'checked where it is used',
    AUTH: 'off',
    OPEN_ROUTES: 'console,docs,metrics',
    RATE_LIMIT: '1000',
    CORS_ORIGINS: 'https://a.example,http://127.0.0.1:3000',
    REPORTS_DIR: '/reports',
    REPORTS_URL: 's3://bucket/some/prefix',
    S3_ENDPOINT: 'http://127.0.0.1:9000',
    AWS_REGION: 'eu-central-1',
    REPORTS_REDIRECT: 'on',
    REPORT_TTL: '36h',
    REPORT_LEASE: '2m',
    CHANGES_RETENTION: '30d',
    WEBHOOK_PRIVATE: 'on',
    SHUTDOWN_DELAY: '5s',
    LOG_LEVEL: 'silent'
  }
  t.same(readConfig({ ...environment, OTHER: 'ignored' }), { ...environment, PORT: 0, RATE_LIMIT: 1000 })
})

t.test('spaces around the entries of a list are no error', async (t) => {
  const spaced = { OPEN_ROUTES: ' docs, metrics ', CORS_ORIGINS: 'https://a.example , https://b.example' }
  t.match(readConfig({ DATABASE_URL: 'postgres://db/x', ...spaced }), spaced)
})

t.test('durations are seconds', async (t) => {
  t.same(['5s', '2m', '36h', '7d'].map(toSeconds), [5, 120, 129_600, 604_800])
})

t.test('missing and invalid variables are named in one line without secrets', async (t) => {
  const port = 'PORT is not valid: it must be a port from 0 to 65535'
  const database = 'it must be a URL such as postgres://user:password@host:5432/database'
  const level = 'LOG_LEVEL is not valid: it must be one of fatal, error, warn, info, debug, trace, silent'
  const auth = 'AUTH is not valid: it must be off, or unset'
  const open =
    'OPEN_ROUTES is not valid: it must be some of docs, console, metrics with commas between them, or none'
  const rate = 'RATE_LIMIT is not valid: it must be a number of requests a second, from 1'
  const cors =
    'CORS_ORIGINS is not valid: it must be comma-separated origins such as https://admin.example.com'
  const hosts =
    'ALLOWED_HOSTS is not valid: it must be comma-separated host names such as segments.example.com, without ports, or *'
  const publicUrl = 'PUBLIC_URL is not valid: it must be a URL such as https://segments.example.com'
  const servers =
    'READ_DATABASE_URLS is not valid: it must be comma-separated URLs such as postgres://user:password@host:5432/database'
  const staleness = 'READ_STALENESS is not valid: it must be a number with its unit (s, m, h or d) such as 5s'
  const timeToLive = 'REPORT_TTL is not valid: it must be a number with its unit (s, m, h or d) such as 7d'
  const reportsUrl = 'REPORTS_URL is not valid: it must be a URL such as s3://bucket/prefix'
  const endpoint = 'S3_ENDPOINT is not valid: it must be a URL such as https://storage.example.com'
  for (const [environment, message] of [
    [{}, `DATABASE_URL is not set: ${database}`],
    [{ DATABASE_URL: 'mysql://user:secret@host/x' }, `DATABASE_URL is not valid: ${database}`],
    [{ DATABASE_URL, READ_DATABASE_URLS: 'standby-1:secret' }, servers],
    [{ DATABASE_URL, READ_STALENESS: '0s' }, staleness],
    [{ DATABASE_URL, PORT: 'abc' }, port],
    [{ DATABASE_URL, PORT: '-1' }, port],
    [{ DATABASE_URL, PORT: '65536' }, port],
    [{ DATABASE_URL, PORT: '80.5' }, port],
    [{ DATABASE_URL, LOG_LEVEL: 'loud' }, level],
    ...['7', '0d', 'd', '7 days', '-1d', '1.5d', '7D'].map(
      (text) => [{ DATABASE_URL, REPORT_TTL: text }, timeToLive] as const
    ),
    [{ DATABASE_URL, PUBLIC_URL: 'example.com' }, publicUrl],
    [{ DATABASE_URL, PUBLIC_URL: 'https://example.com/?x' }, publicUrl],
    [{ DATABASE_URL, API_KEYS: '' }, 'API_KEYS is empty: unset it to serve without keys'],
    [{ DATABASE_URL, API_KEYS: '', AUTH: 'off' }, 'API_KEYS is empty: unset it to serve without keys'],
    ...['https://a.example', 'a.example:8080', 'a.example,', 'a.example,*'].map(
      (text) => [{ DATABASE_URL, ALLOWED_HOSTS: text }, hosts] as const
    ),
    ...['bucket', 's3://', 's3://key:secret@bucket', 'https://bucket/prefix', 's3://bucket/a?b'].map(
      (text) => [{ DATABASE_URL, REPORTS_URL: text }, reportsUrl] as const
    ),
    [{ DATABASE_URL, S3_ENDPOINT: 'storage.example.com' }, endpoint],
    [{ DATABASE_URL, REPORTS_REDIRECT: 'yes' }, 'REPORTS_REDIRECT is not valid: it must be on, or unset'],
    [{ DATABASE_URL, AUTH: 'on' }, auth],
    [{ DATABASE_URL, AUTH: 'false' }, auth],
    [{ DATABASE_URL, OPEN_ROUTES: 'docs,api' }, open],
    [{ DATABASE_URL, OPEN_ROUTES: 'none,docs' }, open],
    [{ DATABASE_URL, OPEN_ROUTES: 'all' }, open],
    [{ DATABASE_URL, RATE_LIMIT: '0' }, rate],
    [{ DATABASE_URL, RATE_LIMIT: 'off' }, rate],
    [{ DATABASE_URL, CORS_ORIGINS: '*' }, cors],
    [{ DATABASE_URL, CORS_ORIGINS: 'https://*.example.com' }, cors],
    [{ DATABASE_URL, CORS_ORIGINS: 'https://a.example https://b.example' }, cors],
    [{ DATABASE_URL, CORS_ORIGINS: 'https://a.example/' }, cors]
  ] as const) {
    t.throws(() => readConfig(environment), new ConfigError(message), message)
  }
})

t.test('reports are stored in a folder, or under a prefix of a bucket', async (t) => {
  const locate = (environment: NodeJS.ProcessEnv) =>
    readStorageLocation(readConfig({ DATABASE_URL, ...environment }))
  t.same(locate({ REPORTS_DIR: '/reports' }), { directory: '/reports' })
  const bucket = { bucket: 'b.1', prefix: '', endpoint: undefined, region: 'us-east-1' }
  t.same(locate({ REPORTS_URL: 's3://b.1' }), bucket)
  t.same(locate({ REPORTS_URL: 's3://b.1/' }), bucket)
  for (const REPORTS_URL of ['s3://b.1/some/prefix', 's3://b.1/some/prefix/'])
    t.same(
      locate({ REPORTS_URL, S3_ENDPOINT: 'http://127.0.0.1:9000', AWS_REGION: 'eu-central-1' }),
      { bucket: 'b.1', prefix: 'some/prefix/', endpoint: 'http://127.0.0.1:9000', region: 'eu-central-1' },
      REPORTS_URL
    )
  t.throws(
    () => locate({ REPORTS_REDIRECT: 'on' }),
    new ConfigError('REPORTS_REDIRECT is not valid: it needs REPORTS_URL')
  )
})

t.test('trusted proxies are addresses, subnets and names of subnets', async (t) => {
  t.equal(readTrustedProxies(undefined), false)
  t.same(readTrustedProxies('10.0.0.0/8, ::1,loopback'), ['10.0.0.0/8', '::1', 'loopback'])
  for (const text of ['true', '1', '10.0.0.0/33', '::1/129', '10.0.0.0/x', 'proxy.example', '10.0.0.1,'])
    t.throws(() => readTrustedProxies(text), /^TRUST_PROXY is not valid: part [12] must be an address/, text)
})

t.test('.env.example lists every variable with its default, and no other', async (t) => {
  const example = await readFile(new URL('../.env.example', import.meta.url), 'utf8')
  const named = [...example.matchAll(/^#? ?([A-Z0-9_]+)=(.*)$/gm)].map(([, name, value]) => [name, value])
  const expected = Object.entries(ConfigSchema.properties).map(([name, { default: value }]) => [name, value])
  t.same(
    named.map(([name]) => name),
    expected.map(([name]) => name)
  )
  for (const [name, value] of expected) {
    if (value !== undefined) t.equal(Object.fromEntries(named)[name], String(value), name)
  }
})

t.test('tracing is on if the standard variables set an endpoint and do not switch it off', async (t) => {
  const OTEL_EXPORTER_OTLP_ENDPOINT = 'http://127.0.0.1:4318'
  for (const [environment, wanted] of [
    [{}, false],
    [{ OTEL_SERVICE_NAME: 'segments' }, false],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: '' }, false],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT }, true],
    [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://127.0.0.1:4318/v1/traces' }, true],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_SDK_DISABLED: 'false', OTEL_TRACES_EXPORTER: 'otlp' }, true],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_SDK_DISABLED: 'true' }, false],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_SDK_DISABLED: 'TRUE' }, false],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_TRACES_EXPORTER: 'none' }, false]
  ] as const) {
    t.equal(wantsTracing(environment), wanted, JSON.stringify(environment))
  }
})
