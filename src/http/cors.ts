import cors from '@fastify/cors'
import fp from 'fastify-plugin'

/** What a page may read of an answer besides its body and the few headers that browsers always show. */
const EXPOSED_HEADERS = ['allow', 'content-disposition', 'location', 'preference-applied', 'retry-after']
/** Those that a route may have; it answers 405 to those it lacks. */
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']
/** Seconds that a browser need not ask again. */
const PREFLIGHT_MAX_AGE = 600

/**
 * Lets pages of other origins call the service from a browser; none without configuration. Preflights carry no key,
 * so they are answered here, before anyone asks for one.
 *
 * To be registered before the hooks that look at routes: @fastify/cors adds a route `OPTIONS *`, which would look
 * like a path of ours.
 */
export const corsPlugin = fp<{ origins: string | undefined }>(
  async (app, { origins }) => {
    if (origins === undefined) return
    const options = {
      origin: origins.split(','),
      methods: METHODS,
      exposedHeaders: EXPOSED_HEADERS,
      maxAge: PREFLIGHT_MAX_AGE
    }
    await app.register(cors, {
      delegator: ({ method, headers }, done) => {
        const isPreflight = headers.origin && headers['access-control-request-method']
        // Any other OPTIONS is a method that no path has.
        done(null, method === 'OPTIONS' && !isPreflight ? { origin: false } : options)
      }
    })
  },
  { name: 'cors' }
)
