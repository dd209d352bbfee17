import { FastifyOtelInstrumentation } from '@fastify/otel'
import { DiagLogLevel, diag } from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources'
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node'
import fp from 'fastify-plugin'
import packageJson from '../../package.json' with { type: 'json' }
import { TRACING_CLOSE_TIMEOUT_MS } from '../limits.ts'

/** Probes and scrapes are so frequent that their traces would hide the others. */
const untracedPath = /^\/(health\/|metrics)/

/**
 * Sends one span for each request as OTLP. The packages read the standard `OTEL_*` variables themselves. A span belongs to
 * the trace of the caller's `traceparent`. Only one app in a process can use this, because OpenTelemetry's context and
 * propagation are global.
 */
export const tracingPlugin = fp(
  async (app) => {
    const warn = (message: string) => app.log.warn({ reason: message }, 'traces are not sent')
    diag.setLogger(
      { error: warn, warn, info() {}, debug() {}, verbose() {} },
      { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true }
    )
    const provider = new NodeTracerProvider({
      resource: resourceFromAttributes({
        'service.name': 'user-segments',
        'service.version': packageJson.version
      }).merge(detectResources({ detectors: [envDetector] })),
      spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())]
    })
    provider.register()
    const instrumentation = new FastifyOtelInstrumentation({
      // Spans for the hooks of a request are of no use, and cost as much as the request.
      instrumentHooks: false,
      instrumentHandler: false,
      ignorePaths: ({ url }) => untracedPath.test(url),
      requestHook(span, { id, method, url, routeOptions }) {
        // Without the query, in which some callers send secrets.
        span.setAttribute('url.path', url.split('?', 1)[0] ?? '')
        span.updateName(routeOptions.url === undefined ? method : `${method} ${routeOptions.url}`)
        span.setAttribute('request_id', id)
      }
    })
    instrumentation.setTracerProvider(provider)
    await app.register(instrumentation.plugin())

    app.addHook('onClose', async () => {
      const { promise: overdue, resolve: giveUp } = Promise.withResolvers<void>()
      const timer = setTimeout(giveUp, TRACING_CLOSE_TIMEOUT_MS)
      // Failures to send have been logged already.
      await Promise.race([provider.shutdown().catch(() => {}), overdue])
      clearTimeout(timer)
    })
  },
  { name: 'tracing' }
)
