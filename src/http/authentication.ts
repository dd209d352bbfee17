import rateLimit from '@fastify/rate-limit'
import type {
  FastifyInstance,
  FastifyRequest,
  onRequestAsyncHookHandler,
  onRequestHookHandler,
  RouteOptions
} from 'fastify'
import fp from 'fastify-plugin'
import type { Config } from '../../schemas/config.ts'
import { ConfigError } from '../config.ts'
import { type Actor, type ApiKey, findActor, type Role, readApiKeys, roles } from './api-keys.ts'
import { roleErrors } from './common-responses.ts'
import { forbidden, rateLimited, unauthenticated } from './errors.ts'

/** What a route needs: a key of that role or a higher one, or no key at all. */
type RouteRole = Role | 'open'

/** Routes beside the API's, which need no key where OPEN_ROUTES names them. */
type OptionallyOpen = 'docs' | 'metrics'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whom the route serves. A route without it is refused when it is registered. */
    role?: RouteRole
  }
  interface FastifyInstance {
    /** The role to declare for such routes: `open` where OPEN_ROUTES names them, else `reader`. */
    roleOf: (routes: OptionallyOpen) => RouteRole
    /** The role of the routes of this scope that declare none, for plugins whose routes can't. */
    undeclaredRole: RouteRole | undefined
  }
  interface FastifyRequest {
    /** Who sent the request; undefined on open routes, and where authentication is off. */
    actor: Actor | undefined
  }
}

type AuthenticationOptions = Pick<Config, 'API_KEYS' | 'AUTH' | 'HOST' | 'OPEN_ROUTES' | 'RATE_LIMIT'>

/** RFC 6750, 2.1. The scheme's case makes no difference. */
const bearerPattern = /^bearer +([\w.~+/-]+=*)$/i

/** The name of the scheme in the OpenAPI document. */
export const BEARER_SCHEME = 'key'

/** Milliseconds over which the limit counts. */
const LIMIT_WINDOW_MS = 1_000
const NO_HEADERS = {
  'x-ratelimit-limit': false,
  'x-ratelimit-remaining': false,
  'x-ratelimit-reset': false,
  'retry-after': false
}

const CHALLENGE = 'Bearer realm="user-segments"'

/** What is wrong with what came instead of a key. Nothing of it is shown: it may be a secret for something else. */
function describeRefusal(authorization: string | undefined, secret: string | undefined): string {
  if (authorization === undefined) return 'header (authorization) is missing: it must be Bearer <secret>'
  if (secret === undefined) return 'header (authorization) must be Bearer <secret>'
  return 'header (authorization) has the secret of no key'
}

/** Lets those pass who have the role or a higher one: a hook of each route, so that no request looks up its role. */
function requireRole(keys: readonly ApiKey[], needed: Role): onRequestHookHandler {
  const sufficient = new Set(roles.slice(roles.indexOf(needed)))
  return (request, reply, done) => {
    const { authorization } = request.headers
    const secret = bearerPattern.exec(authorization ?? '')?.[1]
    const actor = secret === undefined ? undefined : findActor(keys, secret)
    request.actor = actor
    if (actor === undefined) {
      reply.header('www-authenticate', CHALLENGE)
      return done(unauthenticated(describeRefusal(authorization, secret)))
    }
    done(sufficient.has(actor.role) ? undefined : forbidden(actor.name, actor.role, needed))
  }
}

/** Says in the documentation what the route needs, and what it answers without. */
function documentRole(route: RouteOptions, needed: Role): void {
  if (route.schema?.hide) return
  const sufficient = roles.slice(roles.indexOf(needed)).map((role) => `\`${role}\``)
  const need = `Needs a key with the role ${sufficient.join(' or ')}.`
  route.schema = {
    ...route.schema,
    description: [route.schema?.description, need].filter(Boolean).join('\n\n'),
    security: [{ [BEARER_SCHEME]: [] }],
    response: Object.assign({}, route.schema?.response, roleErrors(needed))
  }
}

/** The keys of one name are one caller, who changes its secret. */
const nameOf = ({ actor }: FastifyRequest) => actor?.name ?? ''

/**
 * Counts the requests of each name, on this instance, and refuses those above the limit of a second. Who is refused
 * gets `Retry-After`; no headers tell the others how many are left.
 */
async function limitRate(app: FastifyInstance, limit: number): Promise<onRequestAsyncHookHandler> {
  await app.register(rateLimit, {
    global: false,
    max: limit,
    timeWindow: LIMIT_WINDOW_MS,
    keyGenerator: nameOf,
    addHeaders: NO_HEADERS,
    addHeadersOnExceeding: NO_HEADERS,
    errorResponseBuilder: (request) => rateLimited(nameOf(request), limit)
  })
  // Made once: all routes count together.
  return app.rateLimit()
}

/**
 * Every route declares whom it serves, and serves nobody else. Authentication is off where no keys are configured:
 * then all routes serve everybody.
 *
 * @throws {ConfigError} where the keys are wrong, or missing where others could reach the service.
 */
export const authenticationPlugin = fp<AuthenticationOptions>(
  async (app, options) => {
    const keys = readApiKeys(options)
    const isOff = keys.length === 0
    if (isOff && options.RATE_LIMIT !== undefined)
      throw new ConfigError('RATE_LIMIT is not valid: it counts by key, and API_KEYS is not set')
    const limits = options.RATE_LIMIT === undefined ? [] : [await limitRate(app, options.RATE_LIMIT)]

    const open = options.OPEN_ROUTES.split(',')
    app.decorate('roleOf', (routes) => (open.includes(routes) ? 'open' : 'reader'))
    app.decorate('undeclaredRole', undefined)
    app.decorateRequest('actor', undefined)

    app.addHook('onListen', async () => {
      if (isOff) app.log.warn('authentication is off: whoever reaches the service may do everything')
    })
    app.addHook('onRoute', function (route) {
      const role = route.config?.role ?? this.undeclaredRole
      if (role === undefined) throw new Error(`${route.method} ${route.url} declares no role`)
      route.config = { ...route.config, role }
      if (role === 'open') return
      documentRole(route, role)
      if (isOff) return
      // Before the body is read, which may be large, or tell a stranger what is valid.
      route.onRequest = [requireRole(keys, role), ...limits, ...[route.onRequest ?? []].flat()]
    })
  },
  { name: 'authentication' }
)
