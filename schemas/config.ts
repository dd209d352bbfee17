import { type Static, Type } from '@sinclair/typebox'

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
  /** Where reports lie. Made where it is missing. */
  REPORTS_DIR: Type.String({ default: '.data/reports', minLength: 1, description: 'a folder' }),
  /** How much is logged: pino's levels. */
  LOG_LEVEL: Type.Union(
    ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'].map((level) => Type.Literal(level)),
    { default: 'info', description: 'one of fatal, error, warn, info, debug, trace, silent' }
  )
})
export type Config = Static<typeof ConfigSchema>
