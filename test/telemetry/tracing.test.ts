import { createRequire } from 'node:module'
import t, { type Test } from 'tap'
import { startServerProcess } from '../support/server-process.ts'
import { createDatabase, createFolder, startService, waitUntil } from '../support/service.ts'
import { startTraceCollector } from '../support/trace-collector.ts'

async function startTraced(t: Test, environment: NodeJS.ProcessEnv) {
  const server = startServerProcess(t, {
    DATABASE_URL: (await createDatabase(t)).url,
    PORT: '0',
    REPORTS_DIR: await createFolder(t),
    ...environment
  })
  return { server, address: await server.address() }
}

t.test('a request is a span of its client’s trace, sent before the process ends', async (t) => {
  const collector = await startTraceCollector(t)
  const { server, address } = await startTraced(t, { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url })
  const traceId = '0af7651916cd43dd8448eb211c80319c'
  const parentId = 'b7ad6b7169203331'
  const headers = { traceparent: `00-${traceId}-${parentId}-01`, 'x-request-id': 'traced' }
  await fetch(`${address}/api/v1/segments/user/1`, { headers })
  await fetch(`${address}/nowhere?secret=sesame`)
  await fetch(`${address}/health/ready`)
  await fetch(`${address}/metrics`)
  server.process.kill('SIGTERM')
  t.equal(await server.exitCode(), 0)

  t.same(new Set(collector.paths), new Set(['POST /v1/traces application/x-protobuf']))
  t.equal(collector.spans.length, 2, 'one per request, and none for probes and scrapes')
  const [read, unknown] = collector.spans.toSorted((a, b) => b.name.length - a.name.length)
  t.match(read, {
    service: 'user-segments',
    name: 'GET /api/v1/segments/user/:user_id',
    traceId,
    parentId,
    attributes: { request_id: 'traced', 'http.route': '/api/v1/segments/user/:user_id' }
  })
  t.match(unknown, { name: 'GET', parentId: '', attributes: { 'url.path': '/nowhere' } })
  t.notMatch(JSON.stringify(collector.spans), 'sesame', 'without the query')
  t.not(unknown?.traceId, traceId, 'a request without a trace begins one')
})

t.test('the standard variables name the service and the address', async (t) => {
  const collector = await startTraceCollector(t)
  const { server, address } = await startTraced(t, {
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${collector.url}/elsewhere`,
    OTEL_SERVICE_NAME: 'another'
  })
  await fetch(`${address}/api/v1/segments/user/1`)
  server.process.kill('SIGTERM')
  t.equal(await server.exitCode(), 0)
  t.same(collector.paths, ['POST /elsewhere application/x-protobuf'])
  t.same(
    collector.spans.map(({ service }) => service),
    ['another']
  )
})

t.test('an unreachable collector is logged, and delays neither requests nor the shutdown', async (t) => {
  const { server, address } = await startTraced(t, {
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1',
    OTEL_EXPORTER_OTLP_TIMEOUT: '100',
    OTEL_BSP_SCHEDULE_DELAY: '10'
  })
  const read = () => fetch(`${address}/api/v1/segments/user/1`)
  t.equal((await read()).status, 404)
  await waitUntil(
    async () => server.stdout,
    (log) => /"level":40,.*ECONNREFUSED.*"msg":"traces are not sent"/.test(log)
  )
  t.equal((await read()).status, 404)
  server.process.kill('SIGTERM')
  t.equal(await server.exitCode(), 0)
  t.notMatch(server.stdout, 'killed by timeout')
})

t.test('without the variables no tracing module is loaded', async (t) => {
  const service = await startService(t)
  await service.getSegments(1)
  const loaded = Object.keys(createRequire(import.meta.url).cache)
  t.ok(loaded.some((path) => path.includes('fastify')))
  t.same(
    loaded.filter((path) => /sdk-trace|exporter-trace|@fastify.otel/.test(path)),
    []
  )
})
