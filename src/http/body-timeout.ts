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
 * Limits the time in which a body arrives. The limit of the route applies until the request has been answered. Then the
 * rest of the body has ARRIVAL_TIMEOUT_MS. Node's own timeout (`requestTimeout`) is the same for all routes.
 */
export const bodyTimeoutPlugin = fp(
  async (app) => {
    app.addHook('onRequest', (request, reply, done) => {
      done()
      if (!hasBody(request)) return
      const { raw } = request
      const hasArrived = () => raw.complete || raw.readableEnded
      const giveUp = () => {
        if (hasArrived()) return
        const error = Object.assign(new Error('request timeout'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' })
        if (reply.raw.headersSent) raw.destroy()
        else app.server.emit('clientError', error, raw.socket)
      }
      let timer = setTimeout(giveUp, request.routeOptions.config.arrival ?? ARRIVAL_TIMEOUT_MS).unref()
      raw.once('end', () => clearTimeout(timer))
      raw.once('close', () => clearTimeout(timer))
      reply.raw.once('finish', () => {
        clearTimeout(timer)
        if (!hasArrived()) timer = setTimeout(giveUp, ARRIVAL_TIMEOUT_MS).unref()
      })
    })
  },
  { name: 'body-timeout' }
)
