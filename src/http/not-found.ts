import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import findMyWay from 'find-my-way'
import { type ApiError, methodNotAllowed, routeNotFound } from './errors.ts'

type Path = { methods: Set<string> }

/**
 * Tells a path that doesn't exist (404) from one that lacks the method (405, with `Allow`): Fastify answers 404
 * to both. Decided before the body is read, which would otherwise be refused for its content type first.
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
        // With a trailing slash is the same path, which the router refuses to hold twice.
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

    // What a route itself finds missing, such as a file of Swagger UI.
    app.setNotFoundHandler((request, reply) => {
      throw describeMissing(request, reply)
    })

    // Hooks that every request passes are callbacks: a promise a hook would cost the hot path more than they do.
    app.addHook('onRequest', (request, reply, done) => {
      done(request.is404 ? describeMissing(request, reply) : undefined)
    })
  },
  { name: 'not-found' }
)
