import cors from '@fastify/cors'
import fp from 'fastify-plugin'
import { splitList } from '../config.ts'

/** Headers that a page may read, in addition to the few that browsers always expose. */
const EXPOSED_HEADERS = [
  'accept-ranges',
  'allow',
  'content-disposition',
  'content-range',
  'etag',
  'idempotency-replayed',
  'link',
  'location',
  'preference-applied',
  'ratelimit',
  'ratelimit-policy',
  'retry-after',
  'www-authenticate',
  'x-request-id',
  'x-segments-token',
  'x-segments-cursor'
]
/** All methods that routes have. A path answers 405 to those that it lacks. */
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']
/** Seconds for which a browser may reuse the answer to a preflight. */
const PREFLIGHT_MAX_AGE = 600

/**
 * Allows pages of the configured origins to call the service from a browser; by default, none. Preflights have no key,
 * so they are answered here, before authentication.
 *
 * Register it before the hooks that inspect routes: @fastify/cors adds a route `OPTIONS *`, which they would take for a
 * path of the service.
 */
export const corsPlugin = fp<{ origins: string | undefined }>(
  async (app, { origins }) => {
    if (origins === undefined) return
    const options = {
      origin: splitList(origins),
      methods: METHODS,
      exposedHeaders: EXPOSED_HEADERS,
      maxAge: PREFLIGHT_MAX_AGE
    }
    await app.register(cors, {
      delegator: ({ method, headers }, done) => {
        const isPreflight = headers.origin && headers['access-control-request-method']
        // Any other OPTIONS request is left to the service, which answers 405: no path has that method.
        done(null, method === 'OPTIONS' && !isPreflight ? { origin: false } : options)
      }
    })
  },
  { name: 'cors' }
)
