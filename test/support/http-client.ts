import { once } from 'node:events'
import {
  Agent,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  request
} from 'node:http'
import { text } from 'node:stream/consumers'
import { waitUntil } from './service.ts'

export type HttpRequest = {
  method: string
  /** Sent as it is: `fetch` would resolve `../` and encode what is not encoded. */
  path: string
  headers?: OutgoingHttpHeaders
  body?: string | Buffer | undefined
}

export class HttpAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** From the request's sending to the answer's end. */
  readonly milliseconds: number

  constructor(status: number, headers: IncomingHttpHeaders, body: string, milliseconds: number) {
    this.status = status
    this.headers = headers
    this.text = body
    this.milliseconds = milliseconds
  }

  /** @throws {SyntaxError} where the body is no JSON. */
  json<T>(): T {
    return JSON.parse(this.text)
  }

  /** The stable code of a failed request; undefined where it did not fail. */
  get code(): string | undefined {
    return this.status >= 400 ? this.json<{ code: string }>().code : undefined
  }
}

/**
 * Sends until the service has the time: nothing has happened where it refuses for its load, and how busy the machine is
 * no test can say.
 */
export function untilTaken(send: () => Promise<HttpAnswer>): Promise<HttpAnswer> {
  return waitUntil(send, ({ status, code = '' }) => status !== 503 || !/^(OVERLOADED|TOO_MANY_)/.test(code))
}

/** Milliseconds after which no answer comes any more: what is promised is far less. */
const PATIENCE_MS = 30_000

/** A client of a service that listens. Its connections are kept and used again. */
export class HttpClient {
  readonly #address: URL
  readonly #agent = new Agent({ keepAlive: true })

  constructor(address: string) {
    this.#address = new URL(address)
  }

  /** @throws {Error} where the connection ends before the answer does, or there is none in half a minute. */
  async send({ method, path, headers = {}, body }: HttpRequest): Promise<HttpAnswer> {
    const begun = performance.now()
    const { hostname, port } = this.#address
    const signal = AbortSignal.timeout(PATIENCE_MS)
    const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }
    const options = { agent: this.#agent, hostname, port, method, path, signal }
    // Said, as Node.js says it of a POST alone.
    const sent = request({ ...options, headers: { ...length, ...headers } })
    // A service may answer, and close, before it has read a body that it refuses.
    sent.on('error', () => {})
    sent.end(body)
    const [response] = (await once(sent, 'response')) as [IncomingMessage]
    const answer = await text(response)
    return new HttpAnswer(response.statusCode ?? 0, response.headers, answer, performance.now() - begun)
  }

  get(path: string): Promise<HttpAnswer> {
    return this.send({ method: 'GET', path })
  }

  post(path: string, body: unknown, headers: OutgoingHttpHeaders = {}): Promise<HttpAnswer> {
    return this.send({
      method: 'POST',
      path,
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body)
    })
  }

  patch(path: string, body: unknown): Promise<HttpAnswer> {
    return this.send({
      method: 'PATCH',
      path,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body)
    })
  }

  createSegment(slug: string, selection?: number, headers?: OutgoingHttpHeaders): Promise<HttpAnswer> {
    return this.post('/api/v1/segment', { slug, selection }, headers)
  }

  getSegment(slug: string): Promise<HttpAnswer> {
    return this.get(`/api/v1/segment/${slug}`)
  }

  deleteSegment(slug: string): Promise<HttpAnswer> {
    return this.send({ method: 'DELETE', path: `/api/v1/segment/${slug}` })
  }

  getSegments(userId: string | number): Promise<HttpAnswer> {
    return this.get(`/api/v1/segments/user/${userId}`)
  }

  querySegments(userIds: (string | number)[]): Promise<HttpAnswer> {
    return this.post('/api/v1/segments/users/query', { user_ids: userIds })
  }

  changeSegments(userId: string | number, add: string[], remove: string[]): Promise<HttpAnswer> {
    return this.post(`/api/v1/segments/user/${userId}`, { segments_to_add: add, segments_to_delete: remove })
  }

  orderReport(userId: string | number, from: string, to: string): Promise<HttpAnswer> {
    return this.get(`/api/v1/segments/user/${userId}/csv?from=${from}&to=${to}`)
  }

  /** Fetches the report that an order linked to. */
  fetchReport(order: HttpAnswer): Promise<HttpAnswer> {
    return this.get(new URL(order.json<{ link: string }>().link).pathname)
  }

  close(): void {
    this.#agent.destroy()
  }
}
