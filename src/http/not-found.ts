import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import findMyWay from 'find-my-way'
import { type ApiError, methodNotAllowed, routeNotFound } from './errors.ts'

type Path = { methods: Set<string> }

/**
 * Answers 404 to an unknown path, and 405 with `Allow` to a path that lacks the method. Fastify answers 404 to both.
 * This is decided before the body is read: otherwise the content type would be refused first.
 */
export const notFoundPlugin = fp<{ maxParamLength: number }>(
  async (app, { maxParamLength }) => {
    const paths = findMyWay({ ignoreTrailingSlash: true, maxParamLength })
    const registered = new Map<string, Path>()

    app.addHook('onRoute', ({ url, method }) => {
      let path = registered.get(url)
      if (!path) {
        path = { methods: new Set() }
        registered.set(url, path)
        // To the router, a path with a trailing slash is the same path, and it refuses duplicates.
        if (!paths.hasRoute('GET', url)) paths.on('GET', url, () => {}, path)
      }
      for (const name of [method].flat()) path.methods.add(name)
    })

    function describeMissing({ method, url }: FastifyRequest, reply: FastifyReply): ApiError {
      const [pathname = '/'] = url.split('?', 1)
      const path = paths.find('GET', pathname)?.store as Path | undefined
      if (!path || path.methods.has(method)) return routeNotFound(pathname)
      reply.header('allow', [...path.methods].join(', '))
      return methodNotAllowed(method, pathname)
    }

    // For routes that find something missing, such as a file of Swagger UI.
    app.setNotFoundHandler((request, reply) => {
      throw describeMissing(request, reply)
    })

    // Hooks of every request use callbacks: a promise for each hook would cost more than the hook does.
    app.addHook('onRequest', (request, reply, done) => {
      if (!request.is404) return done()
      app.limitUnrouted(request).then(() => done(describeMissing(request, reply)), done)
    })
  },
  { name: 'not-found', dependencies: ['authentication'] }
)
