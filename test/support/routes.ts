import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { FastifyInstance, InjectOptions, RouteOptions } from 'fastify'
import type { Test } from 'tap'

type ExampleSchema = {
  properties?: Record<string, { examples?: unknown[] }>
  examples?: unknown[]
  /** If there are several media types. */
  content?: Record<string, { schema: ExampleSchema }>
}

/**
 * Collects the routes of every app that is built from now on, from all plugins, including the HEAD routes that Fastify
 * adds.
 */
export function collectRoutes(t: Test): RouteOptions[] {
  const routes: RouteOptions[] = []
  const collect = (message: unknown) => {
    const { fastify } = message as { fastify: FastifyInstance }
    fastify.addHook('onRoute', (route) => void routes.push(route))
  }
  subscribe('fastify.initialization', collect)
  t.teardown(() => unsubscribe('fastify.initialization', collect))
  return routes
}

export function describeRoute({ method, url }: RouteOptions): string {
  return `${method} ${url}`
}

/** A valid request to the route, made from the examples in its schema. */
export function exampleRequest({ method, url, schema }: RouteOptions): InjectOptions {
  const {
    params,
    querystring,
    body: documented
  } = (schema ?? {}) as Record<string, ExampleSchema | undefined>
  const body = documented?.content?.['application/json']?.schema ?? documented
  // An empty one only keeps Swagger UI from filling in the next.
  const example = (name: string, from = params) =>
    String(from?.properties?.[name]?.examples?.find((example) => example !== ''))
  const path = url.replace(/:(\w+)/g, (_, name) => example(name)).replace('*', 'index.css')
  // A month replaces other parameters.
  const parameters = Object.keys(querystring?.properties ?? {}).filter((name) => name !== 'month')
  const query = parameters.map((name) => `${name}=${encodeURIComponent(example(name, querystring))}`)
  return {
    method: method as 'GET',
    url: query.length === 0 ? path : `${path}?${query.join('&')}`,
    ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body.examples?.[0]) })
  }
}
