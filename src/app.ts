import { randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify, { type FastifyInstance, type FastifyPluginAsync } from 'fastify'
import { MAX_USER_ID } from '../schemas/common.ts'
import type { Config } from '../schemas/config.ts'
import { toSeconds } from './config.ts'
import { BULK_STATEMENT_TIMEOUT, databasePlugin } from './database/pools.ts'
import { isTime } from './database/times.ts'
import { authenticationPlugin } from './http/authentication.ts'
import { ARRIVAL_TIMEOUT_MS, arrivalPlugin } from './http/body-timeout.ts'
import { corsPlugin } from './http/cors.ts'
import { deadlinePlugin } from './http/deadline.ts'
import { sendError } from './http/error-handler.ts'
import { loadPlugin } from './http/load-shedding.ts'
import { notFoundPlugin } from './http/not-found.ts'
import { openapiPlugin, rewriteSwaggerIndex } from './http/openapi.ts'
import { securityHeadersPlugin } from './http/security-headers.ts'
import { shutdownPlugin } from './http/shutdown.ts'
import { strictRequestsPlugin } from './http/strict-requests.ts'
import { importRoutes } from './imports/routes.ts'
import { importsPlugin } from './imports/sessions.ts'
import { membershipRoutes } from './memberships/routes.ts'
import { healthRoutes } from './operations/health.ts'
import { metricsRoutes } from './operations/metrics.ts'
import { reportJobsPlugin } from './reports/jobs.ts'
import { reportRoutes } from './reports/routes.ts'
import { backgroundJobsPlugin } from './segments/jobs.ts'
import { segmentRoutes } from './segments/routes.ts'
import { Metrics } from './telemetry/metrics.ts'
import { FaultLog, RequestLog, takeRequestId } from './telemetry/request-log.ts'
import { type LogSink, stdoutLog } from './telemetry/stdout-log.ts'

/** Milliseconds without a byte either way after which a connection is dead: no answer takes as long to begin. */
const CONNECTION_TIMEOUT_MS = BULK_STATEMENT_TIMEOUT + 60_000

/** Milliseconds that an idle connection stays open: longer than a balancer keeps it, so that it is the one to close it. */
const KEEP_ALIVE_TIMEOUT_MS = 75_000

const MAX_BODY_BYTES = 2 ** 20

/** Longer than any parameter that Node.js lets through, so that a long one is judged by its schema. */
const MAX_PARAM_LENGTH = 65_536

/** What HTTP's parser gives up never becomes a request, so it is answered on the socket; by Node's error codes. */
const parserErrors: Record<string, [status: string, code: string, message: string]> = {
  HPE_HEADER_OVERFLOW: [
    '431 Request Header Fields Too Large',
    'HEADERS_TOO_LARGE',
    'the headers are too large'
  ],
  ERR_HTTP_REQUEST_TIMEOUT: [
    '408 Request Timeout',
    'REQUEST_TIMEOUT',
    'the request did not arrive whole in time'
  ]
}
const malformedRequest = ['400 Bad Request', 'MALFORMED_REQUEST', 'the request is not valid HTTP'] as const

function refuseMalformedRequest(
  this: FastifyInstance,
  error: Error & { code?: string },
  socket: Socket
): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const [status, code, message] = parserErrors[error.code ?? ''] ?? malformedRequest
  const requestId = randomUUID()
  const body = JSON.stringify({ message, code })
  socket.end(
    `HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-type: application/json; charset=utf-8\r\n` +
      `x-request-id: ${requestId}\r\ncontent-length: ${body.length}\r\n\r\n${body}`
  )
  const line = { request_id: requestId, status: Number.parseInt(status, 10), code, cause: error.code }
  this.log.info(line, 'malformed request')
}

type ApiOptions = { databaseUrl: string; publicUrl: string | undefined }

const apiRoutes: FastifyPluginAsync<ApiOptions> = async (app, { databaseUrl, publicUrl }) => {
  // Some shared caches keep any answer that doesn't forbid it, and then hand out stale ones.
  app.addHook('onRequest', (_request, reply, done) => {
    reply.header('cache-control', 'no-store')
    done()
  })
  await app.register(segmentRoutes, { databaseUrl })
  await app.register(membershipRoutes)
  await app.register(importRoutes)
  await app.register(reportRoutes, { publicUrl })
}

export type Observation = {
  /** Where the lines of the log go; stdout by default. */
  log?: LogSink
  /** Whether requests are traced, as the standard `OTEL_*` variables say. */
  tracing?: boolean
}

/**
 * Builds the service, as production and tests run it. Connects to the database when it listens, or on the first request.
 *
 * @throws {ConfigError} where REPORTS_DIR is no folder that can be written to, DATABASE_URL no URL, or API_KEYS
 * wrong or missing.
 */
export async function buildApp(
  config: Config,
  { log = stdoutLog, tracing = false }: Observation = {}
): Promise<FastifyInstance> {
  const metrics = new Metrics(() => log.lost)
  const app = Fastify({
    logger: { level: config.LOG_LEVEL, stream: log },
    logController: new RequestLog((request, reply) => metrics.observeRequest(request, reply)),
    genReqId: takeRequestId,
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    bodyLimit: MAX_BODY_BYTES,
    http: {
      headersTimeout: ARRIVAL_TIMEOUT_MS,
      connectionsCheckingInterval: 1_000,
      requireHostHeader: false
    },
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
      },
      // In place of a looser one.
      onCreate: (ajv) => ajv.addFormat('date-time', isTime)
    },
    frameworkErrors: sendError,
    clientErrorHandler: refuseMalformedRequest
  }).withTypeProvider<TypeBoxTypeProvider>()

  // An expectation that Node.js doesn't know is passed over: by itself it answers 417, with nothing in it.
  app.server.on('checkExpectation', (request, response) => app.server.emit('request', request, response))
  app.decorate('metrics', metrics)
  app.decorate('faultLog', new FaultLog())
  app.setErrorHandler(sendError)
  // Before all that it traces.
  if (tracing) await app.register((await import('./telemetry/tracing.ts')).tracingPlugin)
  await app.register(securityHeadersPlugin)
  await app.register(corsPlugin, { origins: config.CORS_ORIGINS })
  await app.register(strictRequestsPlugin)
  await app.register(arrivalPlugin)
  await app.register(deadlinePlugin)
  await app.register(loadPlugin)
  await app.register(shutdownPlugin)
  await app.register(notFoundPlugin, { maxParamLength: MAX_PARAM_LENGTH })
  await app.register(authenticationPlugin, config)
  await app.register(databasePlugin, { databaseUrl: config.DATABASE_URL })
  await app.register(importsPlugin, { databaseUrl: config.DATABASE_URL })
  await app.register(reportJobsPlugin, {
    databaseUrl: config.DATABASE_URL,
    directory: config.REPORTS_DIR,
    timeToLive: toSeconds(config.REPORT_TTL),
    lease: toSeconds(config.REPORT_LEASE)
  })
  await app.register(backgroundJobsPlugin, { databaseUrl: config.DATABASE_URL })
  await app.register(openapiPlugin)
  await app.register(healthRoutes, { prefix: '/health' })
  await app.register(metricsRoutes, { databaseUrl: config.DATABASE_URL })
  await app.register(apiRoutes, {
    prefix: '/api/v1',
    databaseUrl: config.DATABASE_URL,
    publicUrl: config.PUBLIC_URL
  })
  await app.ready()
  return app
}
