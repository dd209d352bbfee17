import type { FastifyHelmetOptions } from '@fastify/helmet'
import fp from 'fastify-plugin'

/**
 * Helmet's headers for Swagger UI. It may load only its own files and call only its own service. Inline
 * styles are allowed, because Swagger UI writes them into its elements.
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
  // Only the operator of the proxy that terminates TLS knows whether the whole domain may promise that.
  strictTransportSecurity: false
}

/**
 * The same for the console, which writes neither inline styles nor markup: with trusted types, no script of the page can
 * turn text into elements.
 */
export const consoleHeaders: FastifyHelmetOptions = {
  ...pageHeaders,
  contentSecurityPolicy: {
    useDefaults: false,
    directives: {
      defaultSrc: ["'none'"],
      baseUri: ["'none'"],
      connectSrc: ["'self'"],
      fontSrc: ["'self'"],
      formAction: ["'none'"],
      frameAncestors: ["'none'"],
      imgSrc: ["'self'", 'data:'],
      scriptSrc: ["'self'"],
      styleSrc: ["'self'"],
      requireTrustedTypesFor: ["'script'"],
      trustedTypes: ["'none'"]
    }
  }
}

/**
 * Keeps browsers from guessing the type of an answer. Helmet's other headers concern pages, so only pages have them:
 * they are 500 bytes, several times the size of a membership lookup's answer, and helmet creates its functions for them
 * again for each answer.
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
