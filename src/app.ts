import type { Socket } from 'node:net'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify, { type FastifyInstance, type FastifyPluginAsync } from 'fastify'
import type { Config } from '../schemas/config.ts'
import { RequestLog } from './logging.ts'
import { databasePlugin } from './plugins/database.ts'
import { sendError } from './plugins/errors.ts'
import { notFoundPlugin } from './plugins/not-found.ts'
import { openapiPlugin, rewriteSwaggerIndex } from './plugins/openapi.ts'
import { reportJobsPlugin } from './plugins/report-jobs.ts'
import { shutdownPlugin } from './plugins/shutdown.ts'
import { strictRequestsPlugin } from './plugins/strict-requests.ts'
import { healthRoutes } from './routes/health/index.ts'
import { membershipRoutes } from './routes/memberships/index.ts'
import { reportRoutes } from './routes/reports/index.ts'
import { segmentRoutes } from './routes/segments/index.ts'

/** Milliseconds from a request's arrival to its answer, at the most. */
const REQUEST_DEADLINE_MS = 10_000

/** Longer than any parameter that Node.js lets through, so that a long one is judged by its schema. */
const MAX_PARAM_LENGTH = 65_536

const MAX_USER_ID = 2n ** 63n - 1n

/** What HTTP's parser refuses never becomes a request, so it is answered on the socket. */
function refuseMalformedRequest(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const tooLarge = error.code === 'HPE_HEADER_OVERFLOW'
  const body = JSON.stringify(
    tooLarge
      ? { message: 'the headers are too large', code: 'HEADERS_TOO_LARGE' }
      : { message: 'the request is not valid HTTP', code: 'MALFORMED_REQUEST' }
  )
  socket.end(
    `HTTP/1.1 ${tooLarge ? '431 Request Header Fields Too Large' : '400 Bad Request'}\r\n` +
      `connection: close\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: ${body.length}\r\n\r\n${body}`
  )
}

const apiRoutes: FastifyPluginAsync<{ publicUrl: string | undefined }> = async (app, { publicUrl }) => {
  // Some shared caches keep any answer that doesn't forbid it, and then hand out stale ones.
  app.addHook('onRequest', (_request, reply, done) => {
    reply.header('cache-control', 'no-store')
    done()
  })
  await app.register(segmentRoutes)
  await app.register(membershipRoutes)
  await app.register(reportRoutes, { publicUrl })
}

/**
 * Builds the service, as production and tests run it. Connects to the database on the first request.
 *
 * @throws {ConfigError} where REPORTS_DIR is no folder that can be written to.
 */
export async function buildApp(config: Config): Promise<FastifyInstance> {
  const app = Fastify({
    logger: { level: config.LOG_LEVEL },
    logController: new RequestLog(),
    handlerTimeout: REQUEST_DEADLINE_MS,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: MAX_PARAM_LENGTH },
    rewriteUrl: ({ url = '/' }) => rewriteSwaggerIndex(url),
    // Requests on open connections are answered until the last one has closed.
    return503OnClosing: false,
    ajv: {
      customOptions: {
        // By default Ajv under Fastify drops what a schema doesn't name and bends types: a typo would look like success.
        removeAdditional: false,
        coerceTypes: false,
        verbose: true,
        keywords: ['x-expected'],
        formats: { 'user-id': (text: string) => text.length < 19 || BigInt(text) <= MAX_USER_ID }
      }
    },
    frameworkErrors: sendError,
    clientErrorHandler: refuseMalformedRequest
  }).withTypeProvider<TypeBoxTypeProvider>()

  app.setErrorHandler(sendError)
  await app.register(strictRequestsPlugin)
  await app.register(shutdownPlugin)
  await app.register(notFoundPlugin, { maxParamLength: MAX_PARAM_LENGTH })
  await app.register(databasePlugin, { databaseUrl: config.DATABASE_URL })
  await app.register(reportJobsPlugin, { databaseUrl: config.DATABASE_URL, directory: config.REPORTS_DIR })
  await app.register(openapiPlugin)
  await app.register(healthRoutes, { prefix: '/health' })
  await app.register(apiRoutes, { prefix: '/api/v1', publicUrl: config.PUBLIC_URL })
  await app.ready()
  return app
}
