import { KindGuard } from '@sinclair/typebox'
import type {
  FastifyReply,
  FastifyRequest,
  HookHandlerDoneFunction,
  preValidationHookHandler,
  RouteOptions
} from 'fastify'
import fp from 'fastify-plugin'
import { closedObject } from '../../schemas/common.ts'
import { compressedBody, invalidRequest, shorten } from './errors.ts'
import { parseJsonBody } from './json-body.ts'
import { isJsonObject } from './json-object.ts'
import { allowNulls, dropNulls } from './optional-nulls.ts'

/** Refuses a body unless it is empty: some clients send `{}` or null with every request. */
function refuseBody(request: FastifyRequest, _reply: FastifyReply, done: HookHandlerDoneFunction): void {
  const isEmpty = JSON.stringify(request.body ?? {}) === '{}'
  done(isEmpty ? undefined : invalidRequest(`${request.method} takes no body here`))
}

/**
 * @param supported the encodings, in lower case, that the route decodes; the first one is recommended.
 * @throws {ApiError} UNSUPPORTED_MEDIA_TYPE if the body of the request is compressed in another way.
 */
export function refuseCompressed({ headers }: FastifyRequest, supported: readonly string[] = []): void {
  const encoding = headers['content-encoding'] ?? 'identity'
  if (!['identity', ...supported].includes(encoding.toLowerCase()))
    throw compressedBody(encoding, supported[0])
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}

/**
 * Refuses a query with a parameter that appears more than once, or that is not percent-encoded UTF-8. Fastify would pass
 * on a list, or the encoded text.
 */
function refuseAmbiguousQuery(
  { raw, query }: FastifyRequest,
  _reply: FastifyReply,
  done: HookHandlerDoneFunction
) {
  const { url = '' } = raw
  const start = url.indexOf('?')
  if (start < 0) return done()
  if (url.includes('%', start))
    for (const parameter of url.slice(start + 1).split('&')) {
      const [name = ''] = parameter.split('=', 1)
      if (!isDecodable(parameter))
        return done(invalidRequest(`query parameter (${shorten(name)}) is not valid percent-encoded UTF-8`))
    }
  if (isJsonObject(query))
    for (const [name, value] of Object.entries(query))
      if (Array.isArray(value))
        return done(invalidRequest(`query parameter (${shorten(name)}) appears more than once`))
  done()
}

/** Replaces Node's own check, which answers 400 without a body. */
function requireHost({ raw }: FastifyRequest, _reply: FastifyReply, done: HookHandlerDoneFunction): void {
  const isMissing = raw.headers.host === undefined && raw.httpVersion !== '1.0'
  done(isMissing ? invalidRequest('header (host) is missing') : undefined)
}

/**
 * Creates hooks that convert query parameters, which arrive as text, to the integers and booleans of their schema. Ajv's
 * own coercion also accepts ` 5`, `1e2` and `010`. Here such forms stay text, which the schema then refuses.
 */
function parseQuery(querystring: unknown): preValidationHookHandler[] {
  if (!KindGuard.IsObject(querystring)) return []
  const parameters = Object.entries(querystring.properties)
  const integers = parameters.filter(([, schema]) => KindGuard.IsInteger(schema)).map(([name]) => name)
  const booleans = parameters.filter(([, schema]) => KindGuard.IsBoolean(schema)).map(([name]) => name)
  if (integers.length === 0 && booleans.length === 0) return []
  return [
    ({ query }, _reply, done) => {
      if (isJsonObject(query)) {
        for (const name of integers) query[name] = parseInteger(query[name])
        for (const name of booleans) query[name] = parseBoolean(query[name])
      }
      done()
    }
  ]
}

function parseInteger(value: unknown): unknown {
  return typeof value === 'string' && /^(0|[1-9][0-9]*)$/.test(value) ? Number(value) : value
}

function parseBoolean(value: unknown): unknown {
  return value === 'true' || value === 'false' ? value === 'true' : value
}

function closeRoute(route: RouteOptions): void {
  if (route.schema?.hide) return
  const schema = { querystring: closedObject({}), ...route.schema }
  const { body, querystring } = schema
  if (body !== undefined) schema.body = allowNulls(body)
  route.schema = schema
  const refusals = route.method === 'DELETE' && body === undefined ? [refuseBody] : []
  const hooks = [refuseAmbiguousQuery, ...parseQuery(querystring), ...refusals, ...dropNulls(body)]
  route.preValidation = [...hooks, ...[route.preValidation ?? []].flat()]
}

/** Makes documented routes accept only JSON, and only the query parameters and the body that they declare. */
export const strictRequestsPlugin = fp(
  async (app) => {
    app.addHook('onRoute', closeRoute)
    app.addHook('onRequest', requireHost)

    app.removeAllContentTypeParsers()
    app.addContentTypeParser<Buffer>('application/json', { parseAs: 'buffer' }, (request, body, done) => {
      refuseCompressed(request)
      // Some clients always send a content type, even with a DELETE without a body.
      done(null, request.method === 'DELETE' && body.length === 0 ? undefined : parseJsonBody(body))
    })
  },
  { name: 'strict-requests' }
)
