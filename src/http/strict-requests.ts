import type { FastifyReply, FastifyRequest, HookHandlerDoneFunction, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import { closedObject } from '../../schemas/common.ts'
import { invalidRequest } from './errors.ts'

/** A body that says nothing is as good as none: some clients send `{}`, or null, with every request. */
function refuseBody(request: FastifyRequest, _reply: FastifyReply, done: HookHandlerDoneFunction): void {
  const isEmpty = JSON.stringify(request.body ?? {}) === '{}'
  done(isEmpty ? undefined : invalidRequest(`${request.method} takes no body here`))
}

/** By itself Node.js answers 400 with nothing in it. */
function requireHost({ raw }: FastifyRequest, _reply: FastifyReply, done: HookHandlerDoneFunction): void {
  const isMissing = raw.headers.host === undefined && raw.httpVersion !== '1.0'
  done(isMissing ? invalidRequest('header (host) is missing') : undefined)
}

function closeRoute(route: RouteOptions): void {
  if (route.schema?.hide) return
  route.schema = { querystring: closedObject({}), ...route.schema }
  if (route.method === 'DELETE' && !route.schema.body) route.preValidation = refuseBody
}

/** Documented routes take JSON alone, and the query parameters and the body they name, no others. */
export const strictRequestsPlugin = fp(
  async (app) => {
    app.addHook('onRoute', closeRoute)
    app.addHook('onRequest', requireHost)

    const parseJson = app.getDefaultJsonParser('error', 'error')
    app.removeAllContentTypeParsers()
    app.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (request, body, done) => {
      // Some clients send a content type always, with a DELETE that has no body too.
      if (request.method === 'DELETE' && body === '') return done(null, undefined)
      return parseJson(request, body, done)
    })
  },
  { name: 'strict-requests' }
)
