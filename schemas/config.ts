import { type Static, Type } from '@sinclair/typebox'

const DURATION = '^[1-9][0-9]{0,5}[smhd]$'
const DURATION_OR_NONE = '^(0s|[1-9][0-9]{0,5}[smhd])$'

/** All environment variables that the service reads. `.env.example` lists the same. */
export const ConfigSchema = Type.Object({
  /** PostgreSQL 15 or later. */
  DATABASE_URL: Type.String({
    pattern: '^postgres(ql)?://.',
    description: 'a URL such as postgres://user:password@host:5432/database'
  }),
  /** Servers for membership reads: streaming standbys, or nodes of a Citus cluster. Default: only DATABASE_URL. */
  READ_DATABASE_URLS: Type.Optional(
    Type.String({
      pattern: '^\\s*postgres(ql)?://.',
      description: 'comma-separated URLs such as postgres://user:password@host:5432/database'
    })
  ),
  /** How far a standby may be behind, for membership reads without a token. Default: such reads are never stale. */
  READ_STALENESS: Type.Optional(
    Type.String({ pattern: DURATION, description: 'a number with its unit (s, m, h or d) such as 5s' })
  ),
  /** The address to listen on. */
  HOST: Type.String({ default: '127.0.0.1', minLength: 1, description: 'an address to listen on' }),
  /** The port to listen on; 0 chooses a free one. */
  PORT: Type.Integer({ default: 8080, minimum: 0, maximum: 65535, description: 'a port from 0 to 65535' }),
  /** The base URL of links in responses. Default: derived from each request. */
  PUBLIC_URL: Type.Optional(
    Type.String({
      pattern: '^https?://[^/?#\\s]+(/[^?#\\s]*)?$',
      description: 'a URL such as https://segments.example.com'
    })
  ),
  /** Further names of the service in the header `Host`, for a service without keys; `*` allows every name. */
  ALLOWED_HOSTS: Type.Optional(
    Type.String({
      pattern: '^(\\*|[A-Za-z0-9_.-]+(,[A-Za-z0-9_.-]+)*)$',
      description: 'comma-separated host names such as segments.example.com, without ports, or *'
    })
  ),
  /** Addresses of proxies whose `X-Forwarded-*` headers are believed. Default: none. */
  TRUST_PROXY: Type.Optional(
    Type.String({
      description:
        'comma-separated addresses or subnets such as 10.0.0.0/8, or loopback, linklocal, uniquelocal'
    })
  ),
  /** The API keys. Default: none, so that anyone may call the service, on a loopback address only. */
  API_KEYS: Type.Optional(
    Type.String({ description: 'comma-separated name:role:sha256-of-secret, as `npm run key` prints them' })
  ),
  /** `off` allows a service without keys on other addresses too. */
  AUTH: Type.Optional(Type.Literal('off', { description: 'off, or unset' })),
  /** The routes outside the API that need no key. */
  OPEN_ROUTES: Type.String({
    default: 'docs,console',
    pattern: '^\\s*(none|(docs|console|metrics)(\\s*,\\s*(docs|console|metrics))*)\\s*$',
    description: 'some of docs, console, metrics with commas between them, or none'
  }),
  /** Requests per second that each key may send to an instance. Default: no limit. */
  RATE_LIMIT: Type.Optional(
    Type.Integer({ minimum: 1, description: 'a number of requests a second, from 1' })
  ),
  /** Origins that may call the service from a browser. Default: only its own. */
  CORS_ORIGINS: Type.Optional(
    Type.String({
      pattern: '^\\s*https?://[^/?#\\s,*]+(\\s*,\\s*https?://[^/?#\\s,*]+)*\\s*$',
      description: 'comma-separated origins such as https://admin.example.com'
    })
  ),
  /** The folder of the reports. It is created if it is missing. */
  REPORTS_DIR: Type.String({ default: '.data/reports', minLength: 1, description: 'a folder' }),
  /** The bucket of an object storage for the reports, and a prefix of their names. Default: none, but REPORTS_DIR. */
  REPORTS_URL: Type.Optional(
    Type.String({
      pattern: "^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9!_.*'()/-]*)?$",
      description: 'a URL such as s3://bucket/prefix'
    })
  ),
  /** The URL of an object storage other than that of AWS. */
  S3_ENDPOINT: Type.Optional(
    Type.String({
      pattern: '^https?://[^/?#\\s]+(/[^?#\\s]*)?$',
      description: 'a URL such as https://storage.example.com'
    })
  ),
  /** The region of the object storage. */
  AWS_REGION: Type.String({
    default: 'us-east-1',
    pattern: '^[A-Za-z0-9-]+$',
    description: 'a region such as eu-central-1'
  }),
  /** `on` redirects downloads of reports to the object storage. */
  REPORTS_REDIRECT: Type.Optional(Type.Literal('on', { description: 'on, or unset' })),
  /** How long a finished report is kept. */
  REPORT_TTL: Type.String({
    default: '7d',
    pattern: DURATION,
    description: 'a number with its unit (s, m, h or d) such as 7d'
  }),
  /** The lease of a report in progress: if it is not renewed in this time, another instance takes over. */
  REPORT_LEASE: Type.String({
    default: '30s',
    pattern: DURATION,
    description: 'a number with its unit (s, m, h or d) such as 30s'
  }),
  /** How long changes stay in the change feed, in whole days. */
  CHANGES_RETENTION: Type.String({
    default: '30d',
    pattern: DURATION,
    description: 'a number with its unit (s, m, h or d) such as 30d'
  }),
  /** `on` delivers to webhooks in private networks too. */
  WEBHOOK_PRIVATE: Type.Optional(Type.Literal('on', { description: 'on, or unset' })),
  /** How long the service keeps serving after SIGTERM, so that load balancers notice its failing readiness first. */
  SHUTDOWN_DELAY: Type.String({
    default: '0s',
    pattern: DURATION_OR_NONE,
    description: 'a number with its unit (s, m, h or d) such as 5s, or 0s'
  }),
  /** The log level, one of pino's. */
  LOG_LEVEL: Type.Union(
    ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'].map((level) => Type.Literal(level)),
    { default: 'info', description: 'one of fatal, error, warn, info, debug, trace, silent' }
  )
})
export type Config = Static<typeof ConfigSchema>
