import { FastifyOtelInstrumentation } from '@fastify/otel'
import { DiagLogLevel, diag } from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources'
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node'
import fp from 'fastify-plugin'
import packageJson from '../../package.json' with { type: 'json' }

/** Milliseconds in which the last spans are sent when the service shuts down; a collector that is gone takes ten. */
const CLOSE_TIMEOUT_MS = 3_000

/** Asked for again and again by machines: their traces would hide the others. */
const untracedPath = /^\/(health\/|metrics)/

/**
 * A span a request, sent as OTLP by the standard `OTEL_*` variables, which the packages read themselves. A caller's
 * `traceparent` is followed. One app a process: OpenTelemetry's context and propagation are global.
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
      // A span for each of the hooks of a request says nothing, and costs as much as the request.
      instrumentHooks: false,
      instrumentHandler: false,
      ignorePaths: ({ url }) => untracedPath.test(url),
      requestHook(span, { id, method, routeOptions }) {
        span.updateName(routeOptions.url === undefined ? method : `${method} ${routeOptions.url}`)
        span.setAttribute('request_id', id)
      }
    })
    instrumentation.setTracerProvider(provider)
    await app.register(instrumentation.plugin())

    app.addHook('onClose', async () => {
      const { promise: overdue, resolve: giveUp } = Promise.withResolvers<void>()
      const timer = setTimeout(giveUp, CLOSE_TIMEOUT_MS)
      // What could not be sent has been logged.
      await Promise.race([provider.shutdown().catch(() => {}), overdue])
      clearTimeout(timer)
    })
  },
  { name: 'tracing' }
)
