import type { onRequestHookHandler } from 'fastify'

/** Some shared caches store every answer that does not forbid it, and serve it when it is stale. */
export const forbidStoring: onRequestHookHandler = (_request, reply, done) => {
  reply.header('cache-control', 'no-store')
  done()
}
