import type { FastifyHelmetOptions } from '@fastify/helmet'
import fp from 'fastify-plugin'

/**
 * Helmet's headers for the one page there is, which loads its own files alone and calls its own service alone. The
 * styles are the page's own too, and those that Swagger UI writes into its elements.
 */
export const pageHeaders: FastifyHelmetOptions = {
  contentSecurityPolicy: {
    useDefaults: false,
    directives: {
      defaultSrc: ["'none'"],
      baseUri: ["'none'"],
      connectSrc: ["'self'"],
      formAction: ["'none'"],
      frameAncestors: ["'none'"],
      imgSrc: ["'self'", 'data:'],
      scriptSrc: ["'self'"],
      styleSrc: ["'self'", "'unsafe-inline'"]
    }
  },
  xFrameOptions: { action: 'deny' },
  // Whoever ends TLS before the service knows whether it may promise that for the whole domain.
  strictTransportSecurity: false
}

/**
 * What each answer has: it is no other type than it says. Helmet's further headers are about pages, so only the page
 * pays for them: they are 500 bytes, several times an answer of the hot read, and helmet makes its functions for them
 * anew for each answer.
 */
export const securityHeadersPlugin = fp(
  async (app) => {
    app.addHook('onRequest', (_request, reply, done) => {
      reply.header('x-content-type-options', 'nosniff')
      done()
    })
  },
  { name: 'security-headers' }
)
