import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify, { type FastifyInstance, type FastifyPluginAsync } from 'fastify'
import { MAX_USER_ID } from '../schemas/common.ts'
import type { Config } from '../schemas/config.ts'
import { changeFeedPlugin } from './changes/plugin.ts'
import { changeRoutes } from './changes/routes.ts'
import { readTrustedProxies, toSeconds } from './config.ts'
import { consolePlugin } from './console/plugin.ts'
import { databasePlugin } from './database/pools.ts'
import { readServersPlugin } from './database/read-servers-plugin.ts'
import { isDayOrTime, isTime } from './database/times.ts'
import { authenticationPlugin } from './http/authentication.ts'
import { bodyTimeoutPlugin } from './http/body-timeout.ts'
import { connectionsPlugin } from './http/connections.ts'
import { corsPlugin } from './http/cors.ts'
import { deadlinePlugin } from './http/deadline.ts'
import { sendError } from './http/error-handler.ts'
import { hostsPlugin } from './http/hosts.ts'
import { idempotencyPlugin } from './http/idempotency.ts'
import { loadPlugin } from './http/load-shedding.ts'
import { refuseMalformedRequest } from './http/malformed-requests.ts'
import { forbidStoring } from './http/no-store.ts'
import { notFoundPlugin } from './http/not-found.ts'
import { openapiPlugin } from './http/openapi.ts'
import { rateLimitsPlugin } from './http/rate-limits.ts'
import { securityHeadersPlugin } from './http/security-headers.ts'
import { shutdownPlugin } from './http/shutdown.ts'
import { strictRequestsPlugin } from './http/strict-requests.ts'
import { importsPlugin } from './imports/jobs.ts'
import { importRoutes } from './imports/routes.ts'
import {
  ARRIVAL_TIMEOUT_MS,
  CLIENT_KEEP_ALIVE_MS,
  CLIENT_TIMEOUT_MS,
  MAX_BODY_BYTES,
  MAX_PARAM_LENGTH
} from './limits.ts'
import { activeSegmentsPlugin } from './memberships/active-segments.ts'
import { recordRoutes } from './memberships/record-routes.ts'
import { membershipRoutes } from './memberships/routes.ts'
import { ofrepRoutes } from './ofrep/routes.ts'
import { healthRoutes } from './operations/health.ts'
import { keyRoutes } from './operations/key.ts'
import { metricsRoutes } from './operations/metrics.ts'
import { systemRoutes } from './operations/system.ts'
import { reportJobsPlugin } from './reports/jobs.ts'
import { readStorageLocation } from './reports/open-storage.ts'
import { reportRoutes } from './reports/routes.ts'
import { compositionRoutes } from './segments/composition-routes.ts'
import { groupRoutes } from './segments/group-routes.ts'
import { backgroundJobsPlugin } from './segments/jobs.ts'
import { memberRoutes } from './segments/member-routes.ts'
import { overlapRoutes } from './segments/overlap-routes.ts'
import { segmentRoutes } from './segments/routes.ts'
import { sizeRoutes } from './segments/size-routes.ts'
import { Metrics } from './telemetry/metrics.ts'
import { FaultLog, RequestLog, takeRequestId } from './telemetry/request-log.ts'
import { type LogSink, stdoutLog } from './telemetry/stdout-log.ts'
import { webhooksPlugin } from './webhooks/plugin.ts'
import { webhookRoutes } from './webhooks/routes.ts'

type ApiOptions = {
  publicUrl: string | undefined
  corsOrigins: string | undefined
  allowsPrivateWebhooks: boolean
}

const apiRoutes: FastifyPluginAsync<ApiOptions> = async (
  app,
  { publicUrl, corsOrigins, allowsPrivateWebhooks }
) => {
  app.addHook('onRequest', forbidStoring)
  await app.register(segmentRoutes)
  await app.register(groupRoutes)
  await app.register(memberRoutes)
  await app.register(overlapRoutes)
  await app.register(sizeRoutes)
  await app.register(compositionRoutes)
  await app.register(membershipRoutes)
  await app.register(recordRoutes)
  await app.register(importRoutes)
  await app.register(changeRoutes)
  await app.register(webhookRoutes, { allowsPrivate: allowsPrivateWebhooks })
  await app.register(reportRoutes, { publicUrl, corsOrigins })
  await app.register(keyRoutes)
  await app.register(systemRoutes)
}

export type Observation = {
  /** The destination of log lines; stdout by default. */
  log?: LogSink
  /** Whether requests are traced, as configured by the standard `OTEL_*` variables. */
  tracing?: boolean
}

/**
 * Builds the service, for production and tests alike. It connects to the database when it listens, or on the first request.
 *
 * @throws {ConfigError} if REPORTS_DIR is not a writable folder, the storage of REPORTS_URL refuses requests, DATABASE_URL is
 * not a URL that the service accepts, or API_KEYS is invalid or missing.
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
    connectionTimeout: CLIENT_TIMEOUT_MS,
    keepAliveTimeout: CLIENT_KEEP_ALIVE_MS,
    bodyLimit: MAX_BODY_BYTES,
    trustProxy: readTrustedProxies(config.TRUST_PROXY),
    http: {
      headersTimeout: ARRIVAL_TIMEOUT_MS,
      connectionsCheckingInterval: 1_000,
      requireHostHeader: false
    },
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: MAX_PARAM_LENGTH },
    // Requests on open connections are answered until the last connection has closed.
    return503OnClosing: false,
    ajv: {
      customOptions: {
        // Fastify's defaults drop unknown fields and coerce types, so that a typo looks like success.
        removeAdditional: false,
        coerceTypes: false,
        verbose: true,
        keywords: ['x-expected', 'x-fill'],
        formats: { 'user-id': (text: string) => text.length < 19 || BigInt(text) <= MAX_USER_ID }
      },
      // Replaces Ajv's own date-time, which is less strict.
      onCreate: (ajv) => ajv.addFormat('date-time', isTime).addFormat('day-or-time', isDayOrTime)
    },
    // Fastify refuses a path that is not valid before all hooks.
    frameworkErrors: (error, request, reply) => {
      const { server } = request
      server.limitUnrouted(request).then(
        () => sendError(error, request, reply),
        (refusal) => sendError(refusal, request, reply)
      )
    },
    clientErrorHandler: refuseMalformedRequest
  }).withTypeProvider<TypeBoxTypeProvider>()

  // Unknown expectations are ignored. By default, Node.js answers 417 without a body.
  app.server.on('checkExpectation', (request, response) => app.server.emit('request', request, response))
  app.decorate('metrics', metrics)
  app.decorate('faultLog', new FaultLog())
  app.setErrorHandler(sendError)
  await app.register(loadPlugin, { maxParamLength: MAX_PARAM_LENGTH })
  await app.register(connectionsPlugin)
  // Registered before everything that it traces.
  if (tracing) await app.register((await import('./telemetry/tracing.ts')).tracingPlugin)
  await app.register(securityHeadersPlugin)
  await app.register(corsPlugin, { origins: config.CORS_ORIGINS })
  await app.register(strictRequestsPlugin)
  await app.register(bodyTimeoutPlugin)
  await app.register(deadlinePlugin)
  await app.register(shutdownPlugin)
  await app.register(hostsPlugin, config)
  await app.register(rateLimitsPlugin)
  await app.register(authenticationPlugin, config)
  await app.register(notFoundPlugin, { maxParamLength: MAX_PARAM_LENGTH })
  await app.register(databasePlugin, { databaseUrl: config.DATABASE_URL })
  await app.register(readServersPlugin, {
    urls: config.READ_DATABASE_URLS,
    staleness: config.READ_STALENESS === undefined ? 0 : toSeconds(config.READ_STALENESS) * 1000
  })
  await app.register(activeSegmentsPlugin)
  await app.register(idempotencyPlugin)
  await app.register(importsPlugin)
  await app.register(reportJobsPlugin, {
    databaseUrl: config.DATABASE_URL,
    location: readStorageLocation(config),
    redirect: config.REPORTS_REDIRECT !== undefined,
    timeToLive: toSeconds(config.REPORT_TTL),
    lease: toSeconds(config.REPORT_LEASE)
  })
  await app.register(changeFeedPlugin, { retention: toSeconds(config.CHANGES_RETENTION) })
  const allowsPrivateWebhooks = config.WEBHOOK_PRIVATE !== undefined
  await app.register(webhooksPlugin, { allowsPrivate: allowsPrivateWebhooks })
  await app.register(backgroundJobsPlugin)
  await app.register(openapiPlugin, { publicUrl: config.PUBLIC_URL })
  await app.register(consolePlugin, { publicUrl: config.PUBLIC_URL })
  await app.register(healthRoutes, { prefix: '/health' })
  await app.register(metricsRoutes, { databaseUrl: config.DATABASE_URL })
  await app.register(apiRoutes, {
    prefix: '/api/v1',
    publicUrl: config.PUBLIC_URL,
    corsOrigins: config.CORS_ORIGINS,
    allowsPrivateWebhooks
  })
  await app.register(ofrepRoutes, { prefix: '/ofrep/v1' })
  await app.ready()
  return app
}
