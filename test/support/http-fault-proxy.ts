import { once } from 'node:events'
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type ServerResponse
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import type { Test } from 'tap'

/** A fault between a client and the service, for one request. */
export type HttpFault =
  /** The service is not asked: 503 with `Retry-After: 0`. */
  | 'busy'
  /** The same, with `Retry-After: 60`. */
  | 'away'
  /** A proxy answers 502 with HTML. */
  | 'foreign'
  /** The connection is reset before the service has the request. */
  | 'reset'
  /** The service answers, and the connection is reset before the client has the answer. */
  | 'lost'
  /** The client has half of the answer when the connection is reset. */
  | 'cut'
  /** The connection is closed after the answer, and the answer says so. */
  | 'closing'
  /** The request is forwarded after `release`. */
  | 'held'
  /** The service answers, and the client has the answer after `release`. */
  | 'delayed'
  /** The client has half of the answer, and the rest never comes. */
  | 'stuck'
  /** No answer ever comes. */
  | 'silent'

/** A request that the proxy has received. `isAborted` if the client ended it before its answer. */
export type SeenRequest = {
  method: string
  path: string
  headers: IncomingHttpHeaders
  body: string
  isAborted: boolean
}

const busy = JSON.stringify({
  message: 'too many requests are in flight, try again later',
  code: 'OVERLOADED'
})
const refusals = {
  busy: { status: 503, headers: { 'content-type': 'application/json', 'retry-after': '0' }, body: busy },
  away: { status: 503, headers: { 'content-type': 'application/json', 'retry-after': '60' }, body: busy },
  foreign: { status: 502, headers: { 'content-type': 'text/html' }, body: '<h1>Bad Gateway</h1>' }
}

/**
 * Forwards requests to the service, with the planned faults.
 *
 * A client that has no access to this object plans them by a request: `POST /plan?faults=busy,lost`. Preflights of browsers
 * pass unseen, and have no faults.
 */
export class HttpFaultProxy {
  readonly seen: SeenRequest[] = []
  /** How many answers the service has begun that are `delayed`. */
  delayed = 0
  #target: URL
  readonly #faults: { part: string; fault: HttpFault | 'none' }[] = []
  #held = Promise.withResolvers<void>()
  readonly #server = createServer((near, answer) => void this.#accept(near, answer))

  constructor(target: string) {
    this.#target = new URL(target)
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Sets the faults of the next requests, and forgets what was seen. */
  plan(...faults: (HttpFault | 'none')[]): void {
    this.planFor('', ...faults)
  }

  /** The same, for the requests whose paths contain a text. */
  planFor(part: string, ...faults: (HttpFault | 'none')[]): void {
    this.#faults.splice(0, this.#faults.length, ...faults.map((fault) => ({ part, fault })))
    this.seen.length = 0
  }

  #takeFault(url: string): HttpFault | 'none' | undefined {
    const index = this.#faults.findIndex(({ part }) => url.includes(part))
    return index === -1 ? undefined : this.#faults.splice(index, 1)[0]?.fault
  }

  /** Resets all connections, and forwards to another address from now on, where perhaps nothing listens. */
  moveTo(target: string): void {
    this.#target = new URL(target)
    this.#server.closeAllConnections()
  }

  /** Forwards the requests that are held. */
  release(): void {
    this.#held.resolve()
    this.#held = Promise.withResolvers()
  }

  close(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }

  async #accept(near: IncomingMessage, answer: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = near
    const { pathname, searchParams } = new URL(url, this.url)
    if (pathname === '/plan') {
      this.plan(...((searchParams.get('faults') ?? '').split(',') as HttpFault[]))
      answer.setHeader('access-control-allow-origin', '*').end()
      return
    }
    const isPreflight = method === 'OPTIONS'
    const fault = isPreflight ? undefined : this.#takeFault(url)
    const seen: SeenRequest = { method, path: url, headers, body: '', isAborted: false }
    if (!isPreflight) this.seen.push(seen)
    answer.once('close', () => {
      seen.isAborted = !answer.writableFinished
    })
    near.on('error', () => {})
    if (fault === 'reset') return void near.socket.resetAndDestroy()
    if (fault === 'silent') return
    if (fault === 'busy' || fault === 'away' || fault === 'foreign') return this.#refuse(near, answer, fault)
    if (fault === 'held') await this.#held.promise
    const far = request(new URL(url, this.#target), {
      method,
      headers: { ...headers, host: this.#target.host }
    })
    far.on('error', () => near.socket.destroy())
    answer.once('close', () => far.destroy())
    near.on('data', (chunk) => {
      seen.body += chunk
    })
    near.pipe(far)
    far.once('response', (answered) => void this.#forward(answered, near, answer, fault))
  }

  #refuse(near: IncomingMessage, answer: ServerResponse, fault: keyof typeof refusals): void {
    const { status, headers, body } = refusals[fault]
    near.resume()
    const shared = {
      'access-control-allow-origin': '*',
      'access-control-expose-headers': 'retry-after'
    }
    answer.writeHead(status, { ...headers, ...shared }).end(body)
  }

  async #forward(
    answered: IncomingMessage,
    near: IncomingMessage,
    answer: ServerResponse,
    fault: HttpFault | 'none' | undefined
  ): Promise<void> {
    if (fault === 'delayed') {
      this.delayed += 1
      await this.#held.promise
    }
    if (fault !== 'lost' && fault !== 'cut' && fault !== 'stuck') {
      const { connection: _, ...headers } = answered.headers
      if (fault === 'closing') answer.setHeader('connection', 'close')
      answer.writeHead(answered.statusCode ?? 500, headers)
      answered.on('error', () => near.socket.destroy())
      answered.pipe(answer)
      return
    }
    const body = await buffer(answered)
    if (fault !== 'lost') {
      const { connection: _, 'content-length': __, ...headers } = answered.headers
      answer.writeHead(answered.statusCode ?? 500, headers)
      await new Promise((resolve) => answer.write(body.subarray(0, body.length / 2), resolve))
    }
    if (fault !== 'stuck') near.socket.resetAndDestroy()
  }
}

/** Starts a proxy to a service. It is closed with the test. */
export async function startHttpFaultProxy(t: Test, target: string): Promise<HttpFaultProxy> {
  const proxy = new HttpFaultProxy(target)
  await proxy.listen()
  t.teardown(() => proxy.close())
  return proxy
}
