/**
 * A process that sends requests and measures the answers. It receives {@link Load} messages, and answers each with a
 * {@link LoadResult}. It is a separate process, so that it does not share an event loop with the server that it measures.
 */
import { createHistogram } from 'node:perf_hooks'
import autocannon from 'autocannon'

export type Load = {
  kind: 'read' | 'batch' | 'change'
  /** The server's URL. */
  address: string
  /** The largest user id. Ids are drawn uniformly, from 1. */
  users: number
  /** The segments that changes choose from. */
  slugs: string[]
  connections: number
  seconds: number
  /** Requests per second, evenly spread. By default, each connection sends as soon as it has its answer. */
  rate?: number
}

/**
 * Response times are in milliseconds, separately for answers 2xx and for refusals with 503. `loadCpu` is the share of one
 * core that this process used: near 1, it was the bottleneck.
 */
export type LoadResult = {
  requestsPerSecond: number
  p50: number
  p99: number
  max: number
  refusals: number
  refusalP50: number
  refusalP99: number
  /** Answers other than 2xx, including refusals, and failed connections. */
  errors: number
  loadCpu: number
}

/** Users in one read of many users. */
export const BATCH_SIZE = 100

/** Nanoseconds in a millisecond. */
export const NANOSECONDS_PER_MS = 1_000_000

export function randomUser(users: number): number {
  return 1 + Math.floor(Math.random() * users)
}

/** One segment to add and another to delete. */
export function randomChange(slugs: string[]): [add: string, remove: string] {
  const add = Math.floor(Math.random() * slugs.length)
  const remove = (add + 1 + Math.floor(Math.random() * (slugs.length - 1))) % slugs.length
  return [slugs[add] ?? '', slugs[remove] ?? '']
}

/**
 * The text of a random request, which is sent unchanged. autocannon's own `setupRequest` takes four times as much CPU of
 * the machine, which the servers share.
 */
function writeRequest({ kind, users, slugs }: Load, host: string): string {
  if (kind === 'read')
    return `GET /api/v1/segments/user/${randomUser(users)} HTTP/1.1\r\nhost: ${host}\r\n\r\n`

  let path = '/api/v1/segments/users/query'
  let body: object = { user_ids: Array.from({ length: BATCH_SIZE }, () => String(randomUser(users))) }
  if (kind === 'change') {
    const [add, remove] = randomChange(slugs)
    path = `/api/v1/segments/user/${randomUser(users)}`
    body = { segments_to_add: [add], segments_to_delete: [remove] }
  }
  const json = JSON.stringify(body)
  return (
    `POST ${path} HTTP/1.1\r\nhost: ${host}\r\ncontent-type: application/json\r\n` +
    `content-length: ${json.length}\r\n\r\n${json}`
  )
}

/**
 * Makes a connection send at fixed times. autocannon's own `rate` sends all requests of a second at its start.
 *
 * @returns a function that returns the delay of the current request in milliseconds: how long it waited for the previous
 * answer on its connection. A client that sends at that rate waits for it as well, so it counts as response time.
 */
function pace(client: autocannon.Client, firstDue: number, interval: number): () => number {
  const send = client._doRequest
  let due = firstDue
  let late = 0
  client._doRequest = () => {
    const wait = due - performance.now()
    late = Math.max(-wait, 0)
    due += interval
    if (wait <= 0) send.call(client)
    else setTimeout(() => client.destroyed || send.call(client), wait)
  }
  return () => late
}

async function run(load: Load): Promise<LoadResult> {
  const { address, connections, seconds, rate } = load
  const { host } = new URL(address)
  // autocannon's own histogram counts whole milliseconds.
  const answers = createHistogram()
  const refusals = createHistogram()
  const lateness = new Map<autocannon.Client, () => number>()
  const cpuBefore = process.cpuUsage()
  const start = performance.now()
  const measuring = autocannon({
    url: address,
    connections,
    duration: seconds,
    setupClient: (client) => {
      client.getRequestBuffer = () => writeRequest(load, host)
      if (rate === undefined) return
      const interval = (1000 * connections) / rate
      const firstDue = start + (lateness.size / connections) * interval
      lateness.set(client, pace(client, firstDue, interval))
    }
  })
  measuring.on('response', (client, status, _bytes, milliseconds) => {
    const late = lateness.get(client)?.() ?? 0
    const nanoseconds = Math.max(1, Math.round((milliseconds + late) * NANOSECONDS_PER_MS))
    if (status < 300) answers.record(nanoseconds)
    else if (status === 503) refusals.record(nanoseconds)
  })
  const result = await measuring
  const cpu = process.cpuUsage(cpuBefore)
  return {
    requestsPerSecond: result['2xx'] / result.duration,
    p50: answers.percentile(50) / NANOSECONDS_PER_MS,
    p99: answers.percentile(99) / NANOSECONDS_PER_MS,
    max: answers.max / NANOSECONDS_PER_MS,
    refusals: refusals.count,
    refusalP50: refusals.percentile(50) / NANOSECONDS_PER_MS,
    refusalP99: refusals.percentile(99) / NANOSECONDS_PER_MS,
    errors: result.non2xx + result.errors,
    loadCpu: (cpu.user + cpu.system) / 1000 / (performance.now() - start)
  }
}

if (import.meta.main) {
  process.on('disconnect', () => process.exit())
  process.on('message', async (load: Load) => process.send?.(await run(load)))
  process.send?.('ready')
}
