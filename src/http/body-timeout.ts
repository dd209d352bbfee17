import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { ARRIVAL_TIMEOUT_MS } from '../limits.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Milliseconds for the request's body to arrive. Default: ARRIVAL_TIMEOUT_MS. */
    arrival?: number
  }
}

function hasBody({ headers }: FastifyRequest): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

/**
 * Limits the time in which a body arrives, until the request has been answered. The connections limit it afterwards: some
 * requests are answered before any hook. Node's own timeout (`requestTimeout`) is the same for all routes.
 */
export const bodyTimeoutPlugin = fp(
  async (app) => {
    app.addHook('onRequest', (request, reply, done) => {
      done()
      if (!hasBody(request)) return
      const { raw } = request
      const timer = setTimeout(() => {
        if (raw.complete || raw.readableEnded) return
        const error = Object.assign(new Error('request timeout'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' })
        app.server.emit('clientError', error, raw.socket)
      }, request.routeOptions.config.arrival ?? ARRIVAL_TIMEOUT_MS).unref()
      const stop = () => clearTimeout(timer)
      raw.once('end', stop).once('close', stop)
      reply.raw.once('finish', stop)
    })
  },
  { name: 'body-timeout' }
)
