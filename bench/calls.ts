/** Single calls of the service. Each throws unless it is answered as it should be. */
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'

/** Milliseconds between two looks at whether a report is made. */
const REPORT_POLL = 10

let lastSlug = 0

/** A slug that no segment of this run has had. */
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

/** Asks for as little as can be: then the next call finds an open connection. */
export async function checkLive(address: string): Promise<void> {
  const response = await call(`${address}/health/live`, 200)
  await response.text()
}

/** Creates a segment with a share of the users, and resolves once they are in it. Returns its slug. */
export async function createSegment(address: string, selection: number): Promise<string> {
  const slug = nextSlug()
  await postSegment(address, slug, selection, 200)
  return slug
}

/** Creates a segment that the service fills by itself. Returns its slug at once. */
export async function orderSegment(address: string, selection: number): Promise<string> {
  const slug = nextSlug()
  await postSegment(address, slug, selection, 202, { prefer: 'respond-async' })
  return slug
}

async function postSegment(
  address: string,
  slug: string,
  selection: number,
  status: number,
  headers: Record<string, string> = {}
): Promise<void> {
  const response = await call(`${address}/api/v1/segment`, status, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ slug, selection })
  })
  await response.text()
}

export async function deleteSegment(address: string, slug: string): Promise<void> {
  const response = await call(`${address}/api/v1/segment/${slug}`, 200, { method: 'DELETE' })
  await response.text()
}

/** Puts users into a segment, none of whom is in it, by one upload of CSV. */
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
  if (added !== count) throw new Error(`${added} users were put in, not ${count}`)
}

/** Orders a report of the days [from, to) and resolves once it is made. */
export async function makeReport(address: string, userId: number, from: string, to: string): Promise<void> {
  const order = await call(`${address}/api/v1/segments/user/${userId}/csv?from=${from}&to=${to}`, 202)
  const { link } = (await order.json()) as { link: string }
  for (;;) {
    const response = await fetch(link)
    if (response.status === 200) return await response.body?.cancel()
    const { code } = (await response.json()) as { code: string }
    if (code !== 'REPORT_PENDING') throw new Error(`the report ended in ${code}`)
    await sleep(REPORT_POLL)
  }
}

/** Milliseconds that `work` takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}
