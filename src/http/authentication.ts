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
import { splitList } from '../config.ts'
import { ConfigError } from '../config-error.ts'
import { type Actor, type ApiKey, findActor, type Role, readApiKeys, roles } from './api-keys.ts'
import { roleErrors } from './common-responses.ts'
import { forbidden, rateLimited, unauthenticated } from './errors.ts'

/** What a route requires: a key with this role or a higher one, or no key if it is `open`. */
type RouteRole = Role | 'open'

/** Routes outside the API that require no key if OPEN_ROUTES lists them. */
type OptionallyOpen = 'docs' | 'metrics'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What the route requires. Registering a route fails if neither it nor its scope declares a role. */
    role?: RouteRole
    /** Whether a request without the header `Authorization` needs no key, because its URL is signed. */
    hasSignedUrl?: (request: FastifyRequest) => Promise<boolean>
  }
  interface FastifyInstance {
    /** The role to declare for such routes: `open` if OPEN_ROUTES lists them, otherwise `reader`. */
    roleOf: (routes: OptionallyOpen) => RouteRole
    /** The role of this scope's routes that declare none, for plugins whose routes cannot declare one. */
    undeclaredRole: RouteRole | undefined
  }
  interface FastifyRequest {
    /** The sender of the request; undefined on open routes and if authentication is off. */
    actor: Actor | undefined
  }
}

type AuthenticationOptions = Pick<Config, 'API_KEYS' | 'AUTH' | 'HOST' | 'OPEN_ROUTES' | 'RATE_LIMIT'>

/** RFC 6750, 2.1. The scheme is case-insensitive. */
const bearerPattern = /^bearer +([\w.~+/-]+=*)$/i

/** The name of the scheme in the OpenAPI document. */
export const BEARER_SCHEME = 'key'

/** Milliseconds over which requests are counted for the limit. */
const LIMIT_WINDOW_MS = 1_000
const NO_HEADERS = {
  'x-ratelimit-limit': false,
  'x-ratelimit-remaining': false,
  'x-ratelimit-reset': false,
  'retry-after': false
}

const CHALLENGE = 'Bearer realm="user-segments"'

/** Explains why the header is refused, without quoting it: it may contain a secret of another service. */
function describeRefusal(authorization: string | undefined, secret: string | undefined): string {
  if (authorization === undefined) return 'header (authorization) is missing: it must be Bearer <secret>'
  if (secret === undefined) return 'header (authorization) must be Bearer <secret>'
  return 'header (authorization) matches no API key'
}

/** Refuses requests without the role or a higher one. Each route has its own hook, so no request looks up the role. */
function requireRole(keys: readonly ApiKey[], needed: Role): onRequestHookHandler {
  const sufficient = new Set(roles.slice(roles.indexOf(needed)))
  return (request, reply, done) => {
    const { authorization } = request.headers
    const secret = bearerPattern.exec(authorization ?? '')?.[1]
    const actor = secret === undefined ? undefined : findActor(keys, secret)
    request.actor = actor
    if (actor === undefined) {
      const refuse = () => {
        reply.header('www-authenticate', CHALLENGE)
        done(unauthenticated(describeRefusal(authorization, secret)))
      }
      const { hasSignedUrl } = request.routeOptions.config
      if (authorization !== undefined || !hasSignedUrl) refuse()
      else hasSignedUrl(request).then((isSigned) => (isSigned ? done() : refuse()), done)
      return
    }
    done(sufficient.has(actor.role) ? undefined : forbidden(actor.name, actor.role, needed))
  }
}

/** Adds to the documentation which role the route requires, and what it answers to requests without that role. */
function documentRole(route: RouteOptions, needed: RouteRole): void {
  if (route.schema?.hide) return
  if (needed === 'open') {
    route.schema = { ...route.schema, security: [] }
    return
  }
  const sufficient = roles.slice(roles.indexOf(needed)).map((role) => `\`${role}\``)
  const need = `Needs a key with the role ${sufficient.join(' or ')}.`
  route.schema = {
    ...route.schema,
    description: [route.schema?.description, need].filter(Boolean).join('\n\n'),
    security: [{ [BEARER_SCHEME]: [] }],
    // A route may document further codes of the same status.
    response: Object.assign(roleErrors(needed), route.schema?.response)
  }
}

/** Keys with the same name belong to one caller that is replacing its secret. */
const nameOf = ({ actor }: FastifyRequest) => actor?.name ?? ''

/**
 * Counts the requests to this instance by key name, and refuses those above the limit per second. Refusals have
 * `Retry-After`. No header shows the number of remaining requests.
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
  // Created once, so that all routes share one count.
  return app.rateLimit()
}

/**
 * Requires every route to declare a role, and enforces it. If no keys are configured, authentication is off, and every
 * route serves every caller.
 *
 * @throws {ConfigError} if the configuration of the keys or of their rate limit is invalid; see {@link readApiKeys}.
 */
export const authenticationPlugin = fp<AuthenticationOptions>(
  async (app, options) => {
    const keys = readApiKeys(options)
    const isOff = keys.length === 0
    if (isOff && options.RATE_LIMIT !== undefined)
      throw new ConfigError('RATE_LIMIT is not valid: it counts by key, and API_KEYS is not set')
    const limits = options.RATE_LIMIT === undefined ? [] : [await limitRate(app, options.RATE_LIMIT)]

    const open = splitList(options.OPEN_ROUTES)
    app.decorate('roleOf', (routes) => (open.includes(routes) ? 'open' : 'reader'))
    app.decorate('undeclaredRole', undefined)
    app.decorateRequest('actor', undefined)

    app.addHook('onListen', async () => {
      if (isOff) app.log.warn('authentication is off: anyone who can reach the service has full access')
    })
    app.addHook('onRoute', function (route) {
      const role = route.config?.role ?? this.undeclaredRole
      if (role === undefined) throw new Error(`${route.method} ${route.url} declares no role`)
      route.config = { ...route.config, role }
      documentRole(route, role)
      if (role === 'open' || isOff) return
      // Before the body is read: it may be large, and validation errors would tell strangers what is valid.
      route.onRequest = [requireRole(keys, role), ...limits, ...[route.onRequest ?? []].flat()]
    })
  },
  { name: 'authentication' }
)
