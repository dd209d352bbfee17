import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { FaultLog } from '../logging.ts'
import { sendError } from './errors.ts'

declare module 'fastify' {
  interface FastifyInstance {
    faultLog: FaultLog
  }
}

function beginRequest(request: FastifyRequest, reply: FastifyReply): void {
  const { metrics } = request.server
  reply.header('x-request-id', request.id)
  // Not onResponse, which never comes when the client has gone.
  reply.raw.once('close', () => metrics.observeRequest(request, reply))
}

/** Answers what Fastify itself refuses, such as a path that is not valid: it passes no hook. */
export function refuseRequest(error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  beginRequest(request, reply)
  sendError(error, request, reply)
}

/** Every request is answered with its id, and measured. */
export const requestsPlugin = fp(
  async (app) => {
    app.decorate('faultLog', new FaultLog())
    app.addHook('onRequest', (request, reply, done) => {
      beginRequest(request, reply)
      done()
    })
  },
  { name: 'requests', dependencies: ['metrics'] }
)
