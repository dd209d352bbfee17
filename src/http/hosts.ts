import { isIP } from 'node:net'
import { hostname } from 'node:os'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Config } from '../../schemas/config.ts'
import { splitList } from '../config.ts'
import { hostNotAllowed, invalidRequest, originForbidden } from './errors.ts'

/**
 * Refuses a second `Host` or `Authorization`. Node.js keeps the first one. A proxy that checks the last one would check
 * another one than the service uses.
 */
function refuseRepeated({ raw: { rawHeaders } }: FastifyRequest): Error | undefined {
  let hosts = 0
  let authorizations = 0
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? ''
    // Most names have another length, and converting each one would cost more than the rest of the check.
    if (name.length === 4 && name.toLowerCase() === 'host') hosts += 1
    if (name.length === 13 && name.toLowerCase() === 'authorization') authorizations += 1
  }
  if (hosts > 1) return invalidRequest('header (host) appears more than once')
  if (authorizations > 1) return invalidRequest('header (authorization) appears more than once')
  return undefined
}

/** The host name in an authority such as `example.com:8080` or `[::1]:8080`, in lower case. */
function nameIn(authority: string): string {
  const name = authority.replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase()
  return name.startsWith('[') && name.endsWith(']') ? name.slice(1, -1) : name
}

/**
 * Creates the check of the header `Host` for a service without keys. By DNS rebinding, a page of any site can make its name
 * point to this service. Then the browser lets the page call it, with that name in `Host`. An address cannot be rebound.
 */
function createHostCheck({ HOST, PUBLIC_URL, ALLOWED_HOSTS = '' }: HostOptions): (host: string) => boolean {
  const configured = ALLOWED_HOSTS.split(',').filter((name) => name !== '')
  if (configured.includes('*')) return () => true
  const publicHost = PUBLIC_URL === undefined ? [] : [new URL(PUBLIC_URL).host]
  const names = new Set(['localhost', hostname(), HOST, ...publicHost, ...configured].map(nameIn))
  return (host) => {
    const name = nameIn(host)
    return isIP(name) !== 0 || names.has(name) || name.endsWith('.localhost')
  }
}

/**
 * Creates the check of the header `Origin` of writes to a service without keys. A page of any site may make the browser send a
 * form, or a request without a body, without asking the service before.
 */
function createOriginCheck({
  PUBLIC_URL,
  CORS_ORIGINS = ''
}: HostOptions): (request: FastifyRequest) => boolean {
  const allowed = new Set(splitList(CORS_ORIGINS))
  if (PUBLIC_URL !== undefined) allowed.add(new URL(PUBLIC_URL).origin)
  return ({ headers: { origin, host }, routeOptions: { config } }) =>
    // Only browsers send it.
    origin === undefined ||
    (config.role !== 'editor' && config.role !== 'admin') ||
    allowed.has(origin) ||
    (URL.canParse(origin) && new URL(origin).host === host)
}

type HostOptions = Pick<Config, 'API_KEYS' | 'HOST' | 'PUBLIC_URL' | 'ALLOWED_HOSTS' | 'CORS_ORIGINS'>

/**
 * Refuses requests with a repeated `Host` or `Authorization`, and, without API keys, those for another host and the writes of
 * other sites' pages. With keys, a page of another site has none. Probes are served for every host: they show nothing, and orchestrators choose the name.
 */
export const hostsPlugin = fp<HostOptions>(
  async (app, options) => {
    const hasKeys = options.API_KEYS !== undefined
    const isAllowed = hasKeys ? () => true : createHostCheck(options)
    const isOwn = hasKeys ? () => true : createOriginCheck(options)

    app.addHook('onRequest', (request, _reply, done) => {
      const { host } = request.raw.headers
      // Requests of HTTP/1.0 may have no Host. Browsers do not send them.
      const isExempt = host === undefined || request.routeOptions.config.isProbe
      const refusal = refuseRepeated(request)
      if (refusal) done(refusal)
      else if (!isExempt && !isAllowed(host)) done(hostNotAllowed(host))
      else done(isOwn(request) ? undefined : originForbidden(request.headers.origin ?? ''))
    })
  },
  { name: 'hosts' }
)
