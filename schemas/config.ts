import { type Static, Type } from '@sinclair/typebox'

const DURATION = '^[1-9][0-9]{0,5}[smhd]$'
const DURATION_OR_NONE = '^(0s|[1-9][0-9]{0,5}[smhd])$'

/** The environment the service reads, all of it. `.env.example` mirrors it. */
export const ConfigSchema = Type.Object({
  /** PostgreSQL 15 or later. */
  DATABASE_URL: Type.String({
    pattern: '^postgres(ql)?://.',
    description: 'a URL such as postgres://user:password@host:5432/database'
  }),
  /** The address to listen on. */
  HOST: Type.String({ default: '127.0.0.1', minLength: 1, description: 'an address to listen on' }),
  /** The port to listen on; 0 takes a free one. */
  PORT: Type.Integer({ default: 8080, minimum: 0, maximum: 65535, description: 'a port from 0 to 65535' }),
  /** The base of the links that the service hands out. Unset: taken from each request. */
  PUBLIC_URL: Type.Optional(
    Type.String({
      pattern: '^https?://[^/?#\\s]+(/[^?#\\s]*)?$',
      description: 'a URL such as https://segments.example.com'
    })
  ),
  /** Who may call the service. Unset, everybody may, on a loopback address. */
  API_KEYS: Type.Optional(
    Type.String({ description: 'comma-separated name:role:sha256-of-secret, as `npm run key` prints them' })
  ),
  /** Lets everybody in on other addresses too, where there are no keys. */
  AUTH: Type.Optional(Type.Literal('off', { description: 'off, or unset' })),
  /** What needs no key of the routes that are not the API's. */
  OPEN_ROUTES: Type.String({
    default: 'docs',
    pattern: '^(none|(docs|metrics)(,(docs|metrics))*)$',
    description: 'docs, metrics, both with a comma between them, or none'
  }),
  /** Requests a second that each key may send to an instance. Unset: as many as it likes. */
  RATE_LIMIT: Type.Optional(
    Type.Integer({ minimum: 1, description: 'a number of requests a second, from 1' })
  ),
  /** Whose pages may call the service from a browser. Unset: its own alone. */
  CORS_ORIGINS: Type.Optional(
    Type.String({
      pattern: '^https?://[^/?#\\s,*]+(,https?://[^/?#\\s,*]+)*$',
      description: 'comma-separated origins such as https://admin.example.com'
    })
  ),
  /** Where reports lie. Made where it is missing. */
  REPORTS_DIR: Type.String({ default: '.data/reports', minLength: 1, description: 'a folder' }),
  /** How long a finished report is kept. */
  REPORT_TTL: Type.String({
    default: '7d',
    pattern: DURATION,
    description: 'a number with its unit (s, m, h or d) such as 7d'
  }),
  /** How long a report that is being made stays with an instance that gives no sign of life. */
  REPORT_LEASE: Type.String({
    default: '30s',
    pattern: DURATION,
    description: 'a number with its unit (s, m, h or d) such as 30s'
  }),
  /** How long the service goes on once it has been told to end, so that balancers see its readiness fail first. */
  SHUTDOWN_DELAY: Type.String({
    default: '0s',
    pattern: DURATION_OR_NONE,
    description: 'a number with its unit (s, m, h or d) such as 5s, or 0s'
  }),
  /** How much is logged: pino's levels. */
  LOG_LEVEL: Type.Union(
    ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'].map((level) => Type.Literal(level)),
    { default: 'info', description: 'one of fatal, error, warn, info, debug, trace, silent' }
  )
})
export type Config = Static<typeof ConfigSchema>
