import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Answer, TestClient } from '../../support/client.ts'
import { dayFromNow, waitUntil } from '../../support/service.ts'

/** Milliseconds between two attempts. */
const PAUSE_MS = 50

/** An unused slug, because the outcome of an earlier attempt may be unknown. */
const freshSlug = () => `PROBE_${randomBytes(8).toString('hex')}`

async function makeReport(http: TestClient): Promise<Answer> {
  const order = await http.orderReport(1, dayFromNow(0), dayFromNow(1))
  if (order.status !== 202) return order
  for (;;) {
    const report = await http.fetchReport(order)
    if (report.code !== 'REPORT_PENDING') return report
    await sleep(PAUSE_MS)
  }
}

function upload(http: TestClient, method: 'POST' | 'DELETE', path: string): Promise<Answer> {
  return http.request({
    method,
    url: `/api/v1/${path}`,
    headers: { 'content-type': 'text/csv' },
    body: '1\n2\n'
  })
}

/** Calls an operation on a segment that has just been created. */
async function withSegment(http: TestClient, use: (slug: string) => Promise<Answer>): Promise<Answer> {
  const slug = freshSlug()
  const created = await http.createSegment(slug)
  return created.status === 200 ? use(slug) : created
}

/** Every operation, for the existing user 1 and segment S0. Returns the status: 200 or 202 on success. */
const endpoints: Record<string, (http: TestClient) => Promise<Answer>> = {
  readiness: (http) => http.get('/health/ready'),
  read: (http) => http.getSegments(1),
  'read many': (http) => http.querySegments([1, 2, 3]),
  change: (http) => http.changeSegments(1, [], []),
  'get segment': (http) => http.getSegment('S0'),
  'create segment': (http) => http.createSegment(freshSlug()),
  'create segment with a share': (http) => http.createSegment(freshSlug(), 0.01),
  'create segment later': (http) => http.createSegment(freshSlug(), 0.01, { prefer: 'respond-async' }),
  'delete segment': (http) => withSegment(http, (slug) => http.deleteSegment(slug)),
  'change segment': (http) => withSegment(http, (slug) => http.patchSegment(slug, { selection: 0.01 })),
  'list segments': (http) => http.get('/api/v1/segments?limit=10'),
  'list users': (http) => http.get('/api/v1/segment/S0/users?limit=10'),
  'stream users': (http) => http.get('/api/v1/segment/S0/users.csv'),
  timeline: (http) => http.get('/api/v1/segments/user/1/history?limit=10'),
  'read at a time': (http) => http.get(`/api/v1/segments/user/1?at=${dayFromNow(-1)}T00:00:00Z`),
  'put many users in': (http) => withSegment(http, (slug) => upload(http, 'POST', `segment/${slug}/users`)),
  'take many users out': (http) =>
    withSegment(http, (slug) => upload(http, 'DELETE', `segment/${slug}/users`)),
  'make many users known': (http) => upload(http, 'POST', 'users'),
  report: makeReport
}

const isDone = ({ status }: Answer) => status === 200 || status === 202

/**
 * Calls every operation several times concurrently, so that all connections are established. A process that has just
 * started may be slow on a busy machine, so requests may be refused.
 */
export async function useEverything(http: TestClient): Promise<void> {
  const calls = Object.values(endpoints).flatMap((call) =>
    Array.from({ length: 6 }, () =>
      waitUntil(
        () => call(http),
        ({ status }) => status !== 503
      )
    )
  )
  for (const answer of await Promise.all(calls))
    if (!isDone(answer)) throw new Error(`${answer.status} ${answer.text}`)
}

/**
 * Tries each endpoint until it succeeds once. No attempt begins later than the given number of milliseconds. An
 * accepted request may take longer: a busy machine is slow to start the threads that generate reports.
 *
 * @returns the endpoints that did not succeed, with their last responses.
 */
export async function findWhatFails(http: TestClient, limit: number): Promise<string[]> {
  const failing: string[] = []
  const since = performance.now()
  const tries = Object.entries(endpoints).map(async ([name, call]) => {
    let last: string
    do {
      const answer = await call(http).catch((error: Error) => error)
      if (!(answer instanceof Error) && isDone(answer)) return
      last = answer instanceof Error ? answer.message : `${answer.status} ${answer.text}`
      await sleep(PAUSE_MS)
    } while (performance.now() - since < limit)
    failing.push(`${name}: ${last}`)
  })
  await Promise.all(tries)
  return failing
}
