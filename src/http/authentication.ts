import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyReply, FastifyRequest, onRequestHookHandler, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import type { Config } from '../../schemas/config.ts'
import { splitList } from '../config.ts'
import { ConfigError } from '../config-error.ts'
import { type Actor, type ApiKey, findActor, type Role, readApiKeys, roles } from './api-keys.ts'
import { hostErrors, openErrors, roleErrors, withRateLimits } from './common-responses.ts'
import { forbidden, unauthenticated } from './errors.ts'
import { limitKeys } from './rate-limits.ts'

/** What a route requires: a key with this role or a higher one, or no key if it is `open`. */
type RouteRole = Role | 'open'

/** Routes outside the API that require no key if OPEN_ROUTES lists them. */
type OptionallyOpen = 'console' | 'docs' | 'metrics'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What the route requires. Registering a route fails if neither it nor its scope declares a role. */
    role?: RouteRole
    /** Whether the key may come in the header `X-API-Key` too, as some clients of other protocols send it. */
    acceptsKeyHeader?: boolean
    /** Whether a request without the header `Authorization` needs no key, because its URL is signed. */
    hasSignedUrl?: (request: FastifyRequest) => Promise<boolean>
    /** Whether orchestrators call the route. Their probes are neither counted by address nor refused for their Host. */
    isProbe?: boolean
  }
  interface FastifyInstance {
    /**
     * Counts a request to a path that no route has, unless it has a valid key or authentication is off.
     *
     * @throws {ApiError} if its address has sent too many requests without a valid key.
     */
    limitUnrouted: (request: FastifyRequest) => Promise<void>
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
/** The same for routes that accept the key in {@link KEY_HEADER} too. */
export const KEY_HEADER_SCHEME = 'keyHeader'

const KEY_HEADER = 'x-api-key'

const CHALLENGE = 'Bearer realm="user-segments"'

/** Explains why the header is refused, without quoting it: it may contain a secret of another service. */
function describeRefusal({ authorization }: IncomingHttpHeaders, secret: string | undefined): string {
  if (secret !== undefined && bearerIn(authorization) === undefined)
    return `header (${KEY_HEADER}) matches no API key`
  if (authorization === undefined) return 'header (authorization) is missing: it must be Bearer <secret>'
  if (secret === undefined) return 'header (authorization) must be Bearer <secret>'
  return 'header (authorization) matches no API key'
}

function bearerIn(authorization = ''): string | undefined {
  return bearerPattern.exec(authorization)?.[1]
}

/** The secret that a request brings, if its header has the right form. */
function secretOf({ headers }: FastifyRequest, acceptsKeyHeader: boolean): string | undefined {
  const bearer = bearerIn(headers.authorization)
  if (bearer !== undefined || !acceptsKeyHeader) return bearer
  // Node.js joins repeated headers with commas, which no secret contains.
  return headers[KEY_HEADER]?.toString()
}

/** Counts a request without a valid key by its address, and refuses it unless its URL is signed. */
async function admitStranger(
  request: FastifyRequest,
  reply: FastifyReply,
  secret: string | undefined
): Promise<void> {
  await request.server.limitStranger(request)
  const { authorization } = request.headers
  if (authorization === undefined && (await request.routeOptions.config.hasSignedUrl?.(request))) return
  reply.header('www-authenticate', CHALLENGE)
  throw unauthenticated(describeRefusal(request.headers, secret))
}

/** Refuses requests without the role or a higher one. Each route has its own hook, so no request looks up the role. */
function requireRole(keys: readonly ApiKey[], needed: Role, acceptsKeyHeader: boolean): onRequestHookHandler {
  const sufficient = new Set(roles.slice(roles.indexOf(needed)))
  return (request, reply, done) => {
    const secret = secretOf(request, acceptsKeyHeader)
    const actor = secret === undefined ? undefined : findActor(keys, secret)
    request.actor = actor
    if (actor === undefined) admitStranger(request, reply, secret).then(() => done(), done)
    else done(sufficient.has(actor.role) ? undefined : forbidden(actor.name, actor.role, needed))
  }
}

/** Adds to the documentation which role the route requires, and what it answers to requests without that role. */
function documentRole(route: RouteOptions, needed: RouteRole): void {
  if (route.schema?.hide) return
  if (needed === 'open') {
    const errors = route.config?.isProbe ? {} : { ...openErrors, ...hostErrors }
    route.schema = {
      ...route.schema,
      security: [],
      response: Object.assign({}, route.schema?.response, errors)
    }
    return
  }
  const answers = Object.assign({ ...hostErrors }, roleErrors(needed), route.schema?.response)
  const sufficient = roles.slice(roles.indexOf(needed)).map((role) => `\`${role}\``)
  const need = `Needs a key with the role ${sufficient.join(' or ')}.`
  route.schema = {
    ...route.schema,
    description: [route.schema?.description, need].filter(Boolean).join('\n\n'),
    security: [
      { [BEARER_SCHEME]: [] },
      ...(route.config?.acceptsKeyHeader ? [{ [KEY_HEADER_SCHEME]: [] }] : [])
    ],
    // A route may document further codes of the same status.
    response: withRateLimits(answers)
  }
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
    const limits = options.RATE_LIMIT === undefined ? [] : [limitKeys(options.RATE_LIMIT)]

    const open = splitList(options.OPEN_ROUTES)
    app.decorate('roleOf', (routes) => (open.includes(routes) ? 'open' : 'reader'))
    app.decorate('undeclaredRole', undefined)
    app.decorateRequest('actor', undefined)
    app.decorate('limitUnrouted', async (request) => {
      const secret = secretOf(request, false)
      if (isOff || (secret !== undefined && findActor(keys, secret))) return
      await app.limitStranger(request)
    })

    app.addHook('onListen', async () => {
      if (isOff) app.log.warn('authentication is off: anyone who can reach the service has full access')
    })
    app.addHook('onRoute', function (route) {
      const role = route.config?.role ?? this.undeclaredRole
      if (role === undefined) throw new Error(`${route.method} ${route.url} declares no role`)
      route.config = { ...route.config, role }
      documentRole(route, role)
      if (role === 'open' && !route.config.isProbe)
        route.onRequest = [app.limitStranger, ...[route.onRequest ?? []].flat()]
      if (role === 'open' || isOff) return
      // Before the body is read: it may be large, and validation errors would tell strangers what is valid.
      const check = requireRole(keys, role, route.config.acceptsKeyHeader ?? false)
      route.onRequest = [check, ...limits, ...[route.onRequest ?? []].flat()]
    })
  },
  { name: 'authentication', dependencies: ['rate-limits'] }
)
