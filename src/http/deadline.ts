import type { FastifyReply, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import { REQUEST_DEADLINE_MS } from '../limits.ts'
import { deadlineExceeded } from './errors.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Milliseconds in which the handler has to answer. Default: REQUEST_DEADLINE_MS. */
    deadline?: number
  }
  interface FastifyReply {
    /** Created by {@link signalAbandonment}. */
    abandonment: AbortController | undefined
  }
}

/**
 * Returns a signal that aborts when nobody waits for the answer any more: the client has disconnected, or the deadline
 * has passed. Statements of the database are dropped or cancelled by it.
 */
export function signalAbandonment(reply: FastifyReply): AbortSignal {
  if (!reply.abandonment) {
    const abandonment = new AbortController()
    reply.abandonment = abandonment
    if (reply.raw.destroyed) abandonment.abort()
    else reply.raw.once('close', () => abandonment.abort())
  }
  return reply.abandonment.signal
}

async function answerWithin<T>(milliseconds: number, reply: FastifyReply, answer: Promise<T>): Promise<T> {
  const { promise: overdue, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    // Sending a file takes as long as the client takes to read it.
    if (reply.raw.headersSent) return
    reject(deadlineExceeded())
    reply.abandonment?.abort()
  }, milliseconds)
  try {
    return await Promise.race([answer, overdue])
  } catch (error) {
    // The client has disconnected: the error is that of a statement that was dropped or cancelled.
    throw reply.abandonment?.signal.aborted ? deadlineExceeded() : error
  } finally {
    clearTimeout(timer)
  }
}

/**
 * Answers 503 when a handler has not answered within its deadline, whatever the database does.
 *
 * Fastify's own `handlerTimeout` is not used: Fastify 5.12 clears it as soon as the body of a request has been read
 * (fastify/fastify 6725), so a POST can hang.
 */
export const deadlinePlugin = fp(
  async (app) => {
    app.decorateReply('abandonment', undefined)
    app.addHook('onRoute', (route: RouteOptions) => {
      if (route.schema?.hide) return
      const { handler } = route
      const deadline = route.config?.deadline ?? REQUEST_DEADLINE_MS
      route.handler = function (request, reply) {
        return answerWithin(deadline, reply, Promise.resolve(handler.call(this, request, reply)))
      }
    })
  },
  { name: 'deadline' }
)
