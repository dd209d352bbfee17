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
import { invalidRequest } from './errors.ts'

/** Refuses a body unless it is empty: some clients send `{}` or null with every request. */
function refuseBody(request: FastifyRequest, _reply: FastifyReply, done: HookHandlerDoneFunction): void {
  const isEmpty = JSON.stringify(request.body ?? {}) === '{}'
  done(isEmpty ? undefined : invalidRequest(`${request.method} takes no body here`))
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
      if (isRecord(query)) {
        for (const name of integers) query[name] = parseInteger(query[name])
        for (const name of booleans) query[name] = parseBoolean(query[name])
      }
      done()
    }
  ]
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function parseInteger(value: unknown): unknown {
  return typeof value === 'string' && /^(0|[1-9][0-9]*)$/.test(value) ? Number(value) : value
}

function parseBoolean(value: unknown): unknown {
  return value === 'true' || value === 'false' ? value === 'true' : value
}

function closeRoute(route: RouteOptions): void {
  if (route.schema?.hide) return
  route.schema = { querystring: closedObject({}), ...route.schema }
  const refusals = route.method === 'DELETE' && !route.schema.body ? [refuseBody] : []
  const hooks = [...parseQuery(route.schema.querystring), ...refusals]
  if (hooks.length > 0) route.preValidation = [...hooks, ...[route.preValidation ?? []].flat()]
}

/** Makes documented routes accept only JSON, and only the query parameters and the body that they declare. */
export const strictRequestsPlugin = fp(
  async (app) => {
    app.addHook('onRoute', closeRoute)
    app.addHook('onRequest', requireHost)

    const parseJson = app.getDefaultJsonParser('error', 'error')
    app.removeAllContentTypeParsers()
    app.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (request, body, done) => {
      // Some clients always send a content type, even with a DELETE without a body.
      if (request.method === 'DELETE' && body === '') return done(null, undefined)
      return parseJson(request, body, done)
    })
  },
  { name: 'strict-requests' }
)
