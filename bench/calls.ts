/** Single calls of the service. Each throws if the answer is not the expected one. */
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'

/** Milliseconds between two requests for a report in progress. */
const REPORT_POLL = 10

let lastSlug = 0

/** A slug that is new in this run. */
export function nextSlug(): string {
  return `BENCH_${++lastSlug}`
}

async function call(url: string, status: number, request: RequestInit = {}): Promise<Response> {
  const response = await fetch(url, request)
  if (response.status === status) return response
  throw new Error(
    `${request.method ?? 'GET'} ${new URL(url).pathname}: ${response.status} ${await response.text()}`
  )
}

/** Sends a cheap request, so that the next call finds an open connection. */
export async function checkLive(address: string): Promise<void> {
  const response = await call(`${address}/health/live`, 200)
  await response.text()
}

/** Creates a segment with a share of the users, and resolves when they are in it. Returns its slug. */
export async function createSegment(address: string, selection: number): Promise<string> {
  const slug = nextSlug()
  await postSegment(address, { slug, selection }, 200)
  return slug
}

/** Creates a segment from the users of others, and resolves when they are in it. Returns its slug. */
export async function createComposedSegment(
  address: string,
  from: { all: string[]; none: string[] }
): Promise<string> {
  const slug = nextSlug()
  await postSegment(address, { slug, from }, 200)
  return slug
}

/** Creates a segment that the service fills in the background. Returns its slug immediately. */
export async function createSegmentInBackground(address: string, selection: number): Promise<string> {
  const slug = nextSlug()
  await postSegment(address, { slug, selection }, 202, { prefer: 'respond-async' })
  return slug
}

async function postSegment(
  address: string,
  segment: object,
  status: number,
  headers: Record<string, string> = {}
): Promise<void> {
  const response = await call(`${address}/api/v1/segment`, status, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(segment)
  })
  await response.text()
}

export async function deleteSegment(address: string, slug: string): Promise<void> {
  const response = await call(`${address}/api/v1/segment/${slug}`, 200, { method: 'DELETE' })
  await response.text()
}

/** Adds users to a segment by one upload of CSV. None of them may be in it already. */
export async function uploadUsers(
  address: string,
  slug: string,
  csv: Readable,
  count: number,
  query = ''
): Promise<void> {
  const response = await call(`${address}/api/v1/segment/${slug}/users${query}`, 200, {
    method: 'POST',
    headers: { 'content-type': 'text/csv' },
    body: Readable.toWeb(csv) as ReadableStream,
    duplex: 'half'
  })
  const { added } = (await response.json()) as { added: number }
  if (added !== count) throw new Error(`${added} users were added, not ${count}`)
}

/** Replaces the users of a segment by one upload of CSV, of whom as many are new as are missing. */
export async function replaceUsers(
  address: string,
  slug: string,
  csv: Readable,
  changed: number,
  query: string
): Promise<void> {
  const response = await call(`${address}/api/v1/segment/${slug}/users${query}`, 200, {
    method: 'PUT',
    headers: { 'content-type': 'text/csv' },
    body: Readable.toWeb(csv) as ReadableStream,
    duplex: 'half'
  })
  const { added, removed } = (await response.json()) as { added: number; removed: number }
  if (added !== changed || removed !== changed) throw new Error(`${added} joined, ${removed} left`)
}

/** Orders a report of a user in the days [from, to), and resolves when it is finished. */
export async function makeReport(
  address: string,
  userId: number,
  from: string,
  to: string,
  poll = REPORT_POLL
): Promise<void> {
  const order = await call(`${address}/api/v1/segments/user/${userId}/csv?from=${from}&to=${to}`, 202)
  await waitForReport(order, poll)
}

/** Orders a report of all users in the days [from, to), and resolves when it is finished. */
export async function makeReportOfAll(address: string, from: string, to: string): Promise<void> {
  const order = await call(`${address}/api/v1/reports`, 202, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ from, to })
  })
  await waitForReport(order, REPORT_POLL)
}

async function waitForReport(order: Response, poll: number): Promise<void> {
  const { link } = (await order.json()) as { link: string }
  for (;;) {
    const response = await fetch(link)
    if (response.status === 200) return await response.body?.cancel()
    const { code } = (await response.json()) as { code: string }
    if (code !== 'REPORT_PENDING') throw new Error(`the report ended in ${code}`)
    await sleep(poll)
  }
}

/** Milliseconds that `work` takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}
