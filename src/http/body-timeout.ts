import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Milliseconds for the request's body to arrive, where it is not the common time. */
    arrival?: number
  }
}

/** Milliseconds for a request's head to arrive, and for its body. */
export const ARRIVAL_TIMEOUT_MS = 10_000

function hasBody({ headers }: FastifyRequest): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

/**
 * Gives up on bodies that don't arrive in their time: the one that the route has, and the common one for what is left
 * of a body when the request has been answered. Node's own time-out (`requestTimeout`) is one for all routes.
 */
export const arrivalPlugin = fp(
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
  { name: 'arrival' }
)
