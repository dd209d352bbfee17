import type { FastifyReply, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import { deadlineExceeded } from './errors.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Milliseconds in which the handler has to answer, where it is not the common deadline. */
    deadline?: number
  }
}

/** Milliseconds from the end of a request's body to its answer, at the most. */
const REQUEST_DEADLINE_MS = 10_000

async function answerWithin<T>(milliseconds: number, reply: FastifyReply, answer: Promise<T>): Promise<T> {
  const { promise: overdue, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    // A file that is being sent takes as long as the client does.
    if (!reply.raw.headersSent) reject(deadlineExceeded())
  }, milliseconds)
  try {
    return await Promise.race([answer, overdue])
  } finally {
    clearTimeout(timer)
  }
}

/**
 * Every handler answers within its deadline, with 503 if need be, whatever the database does.
 *
 * Fastify's own `handlerTimeout` is not used: in 5.12 it is cleared as soon as a request's body has been read
 * (fastify/fastify 6725), so that a POST can hang.
 */
export const deadlinePlugin = fp(
  async (app) => {
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
