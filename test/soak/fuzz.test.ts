/**
 * Every request to a route of the OpenAPI document is answered as the document says. If one is not, the test shrinks it
 * and prints it with its seed; `SOAK_SEED` repeats the same requests.
 */

import * as fc from 'fast-check'
import t from 'tap'
import { connectClient, type TestClient } from '../support/client.ts'
import { startServerProcess } from '../support/server-process.ts'
import { createDatabase, createFolder, untilTaken, waitUntil } from '../support/service.ts'
import { seed, sized, summarize } from './form.ts'
import { Document, type OpenApi } from './fuzz/document.ts'
import { requestOf } from './fuzz/inputs.ts'
import { findFault } from './fuzz/judge.ts'
import { exchange, findRawFault, rawRequest } from './fuzz/raw-http.ts'

const REQUESTS = sized(200, 10_000)

/** The segment, the user, the reports and the webhook that the document's examples name. */
async function makeExamples(http: TestClient): Promise<void> {
  await untilTaken(() => http.createSegment('AVITO_VOICE_MESSAGES'))
  await untilTaken(() => http.changeSegments(10, ['AVITO_VOICE_MESSAGES'], []))
  await untilTaken(() => http.post('/api/v1/webhooks', { url: 'https://receiver.example/' }))
  const interval = { from: '2023-08-01', to: '2023-08-31' }
  const orders = [
    () => http.orderReport(10, interval.from, interval.to),
    () => http.orderReportOfAll({ ...interval, segment: 'AVITO_VOICE_MESSAGES' })
  ]
  for (const send of orders) {
    const order = await untilTaken(send)
    await waitUntil(
      () => http.fetchReport(order),
      ({ status }) => status === 200
    )
  }
}

/** Makes a request for changes wait for none: it could take half a minute, or have no end. */
function withoutWaiting<T extends { url: string }>(request: T): T {
  if (!request.url.startsWith('/api/v1/changes')) return request
  const url = request.url.replaceAll(/\bwait=\d+/g, 'wait=0')
  const needsWait = url.startsWith('/api/v1/changes/stream') && !url.includes('wait=')
  return { ...request, url: needsWait ? `${url}${url.includes('?') ? '&' : '?'}wait=0` : url }
}

t.test('every request is answered as the document says', async (t) => {
  const database = await createDatabase(t)
  const server = startServerProcess(t, {
    DATABASE_URL: database.url,
    PORT: '0',
    REPORTS_DIR: await createFolder(t)
  })
  const address = await server.address()
  const http = connectClient(address)
  t.teardown(() => http.close())
  const document = new Document((await untilTaken(() => http.get('/openapi.json'))).json<OpenApi>())
  // Generated webhooks may name any machine, so nothing is delivered: their leases never expire.
  await database.sql.unsafe(`
    create function hold() returns trigger language plpgsql as $$
      begin new.lease_until = 'infinity'; return new; end
    $$;
    create trigger hold before insert or update on webhooks for each row execute function hold()`)
  await makeExamples(http)
  const statuses = new Map<number, number>()

  // Operations that delete the examples come last, and the users of a segment before the segment itself.
  const operations = document.operations.toSorted(
    (a, b) =>
      Number(a.method === 'DELETE') - Number(b.method === 'DELETE') ||
      (a.method === 'DELETE' ? b.path.length - a.path.length : 0)
  )
  for (const operation of operations)
    await t.test(operation.id, async (t) => {
      let successes = 0
      const requests = fc.asyncProperty(requestOf(operation).map(withoutWaiting), async (request) => {
        const answer = await untilTaken(() => http.send(request))
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1)
        const fault = findFault(document, request, answer)
        if (fault) throw new Error(`${fault}: ${answer.status} ${answer.text.slice(0, 500)}`)
        if (answer.status < 300 && document.find(request.method, request.url) === operation) successes += 1
        // One at a time, so that none is refused because of too many requests.
        if (answer.status === 202 && answer.text.includes('link'))
          await waitUntil(
            () => http.fetchReport(answer),
            ({ code }) => code !== 'REPORT_PENDING'
          )
      })
      await fc.assert(requests, { seed, numRuns: REQUESTS, includeErrorInReport: true })
      t.ok(successes > 0, 'requests got past the validation')
    })

  t.test('malformed HTTP', async (t) => {
    const raw = fc.asyncProperty(rawRequest, async (request) => {
      const answer = await waitUntil(
        () => exchange(address, request),
        (text) => !text.includes('"OVERLOADED"')
      )
      const fault = findRawFault(answer)
      if (fault) throw new Error(`${fault}: ${answer.slice(0, 500)}`)
    })
    await fc.assert(raw, { seed, numRuns: REQUESTS, includeErrorInReport: true })
    t.pass()
  })

  t.test('the process lives, and ends cleanly', async (t) => {
    server.process.kill('SIGTERM')
    t.equal(await server.exitCode(), 0)
    t.equal(server.stderr, '')
  })
  summarize(t, {
    requests: [...statuses.values()].reduce((sum, count) => sum + count),
    routes: document.operations.length,
    'by status': [...statuses]
      .toSorted()
      .map(([status, count]) => `${status}: ${count}`)
      .join('; ')
  })
})
