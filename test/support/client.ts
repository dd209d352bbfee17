import { readFileSync } from 'node:fs'
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'
import { dereference } from './dereference.ts'
import { connectTo, type RawAnswer, type TestRequest, type Transport } from './transports.ts'

/**
 * A response of the service. `t.same(answer, { status, body })` compares its status and body; it ignores the other
 * members, which are getters.
 */
export class Answer {
  readonly status: number
  /** The parsed body if it is JSON, otherwise its text. */
  readonly body: unknown
  readonly #raw: RawAnswer
  readonly #milliseconds: number

  constructor(raw: RawAnswer, milliseconds: number) {
    this.status = raw.status
    const isJson = raw.headers['content-type']?.startsWith('application/json')
    this.body = isJson && raw.text !== '' ? JSON.parse(raw.text) : raw.text
    this.#raw = raw
    this.#milliseconds = milliseconds
  }

  get headers(): IncomingHttpHeaders {
    return this.#raw.headers
  }

  /** The body as it was sent. */
  get text(): string {
    return this.#raw.text
  }

  /** Milliseconds from the start of the request to the end of the response. */
  get milliseconds(): number {
    return this.#milliseconds
  }

  /** The stable code of an error response; otherwise undefined. */
  get code(): string | undefined {
    return this.status >= 400 ? this.json<{ code: string }>().code : undefined
  }

  /** @throws {SyntaxError} if the body is not JSON. */
  json<T>(): T {
    return JSON.parse(this.text)
  }
}

type OpenApi = { paths: Record<string, Record<string, { responses: Record<string, object> }>> }

/** The operations of the committed OpenAPI document. A fixed path comes before one with parameters. */
const documented = Object.entries(
  dereference(JSON.parse(readFileSync(new URL('../../openapi.json', import.meta.url), 'utf8')) as OpenApi)
    .paths
)
  .toSorted(([a], [b]) => a.split('{').length - b.split('{').length)
  .map(([path, operations]) => ({
    pattern: new RegExp(`^${path.replace(/\{\w+\}/g, '[^/]+')}/?$`),
    operations
  }))

/** Throws if the OpenAPI document does not list the status or the code for the operation. */
function checkAnswer({ method, url }: TestRequest, { status, code = '' }: Answer): void {
  // A path such as `/..` belongs to no operation.
  if (code === 'ROUTE_NOT_FOUND') return
  const pathname = url.split('?')[0] ?? ''
  const path = documented.find(({ pattern }) => pattern.test(pathname))
  const operation = path?.operations[method.toLowerCase()]
  if (operation && !JSON.stringify(operation.responses[status])?.includes(code && `"${code}"`))
    throw new Error(`${method} ${url} answered ${status} ${code}, which openapi.json does not name`)
}

const JSON_HEADERS = { 'content-type': 'application/json' }

/** The requests of tests to the service, over any transport. */
export class TestClient {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /** Sends a request without checking the response. */
  async send(request: TestRequest): Promise<Answer> {
    const begun = performance.now()
    const answer = await this.#transport.send(request)
    return new Answer(answer, performance.now() - begun)
  }

  /** @throws {Error} if the OpenAPI document does not list the status and the code of the response. */
  async request(request: TestRequest): Promise<Answer> {
    const answer = await this.send(request)
    checkAnswer(request, answer)
    return answer
  }

  get(url: string, headers: OutgoingHttpHeaders = {}): Promise<Answer> {
    return this.request({ method: 'GET', url, headers })
  }

  /** Sends a body of any shape as JSON. */
  post(url: string, body: unknown, headers: OutgoingHttpHeaders = {}): Promise<Answer> {
    const all = { ...JSON_HEADERS, ...headers }
    return this.request({ method: 'POST', url, headers: all, body: JSON.stringify(body) })
  }

  patch(url: string, body: unknown): Promise<Answer> {
    return this.request({ method: 'PATCH', url, headers: JSON_HEADERS, body: JSON.stringify(body) })
  }

  createSegment(slug: string, selection?: number, headers?: OutgoingHttpHeaders): Promise<Answer> {
    return this.post('/api/v1/segment', { slug, selection }, headers)
  }

  getSegment(slug: string): Promise<Answer> {
    return this.get(`/api/v1/segment/${slug}`)
  }

  /** Changes a segment's properties. */
  patchSegment(slug: string, change: object): Promise<Answer> {
    return this.patch(`/api/v1/segment/${slug}`, change)
  }

  deleteSegment(slug: string): Promise<Answer> {
    return this.request({ method: 'DELETE', url: `/api/v1/segment/${slug}` })
  }

  getSegments(userId: number | string): Promise<Answer> {
    return this.get(`/api/v1/segments/user/${userId}`)
  }

  querySegments(userIds: (number | string)[]): Promise<Answer> {
    return this.post('/api/v1/segments/users/query', { user_ids: userIds })
  }

  changeSegments(userId: number | string, add?: string[], remove?: string[]): Promise<Answer> {
    return this.post(`/api/v1/segments/user/${userId}`, { segments_to_add: add, segments_to_delete: remove })
  }

  orderReport(userId: number | string, from: string, to: string): Promise<Answer> {
    return this.get(`/api/v1/segments/user/${userId}/csv?from=${from}&to=${to}`)
  }

  /** Orders a report of all users, or of the segment in the body. */
  orderReportOfAll(body: { from: string; to: string; segment?: string }): Promise<Answer> {
    return this.post('/api/v1/reports', body)
  }

  /** Fetches the report that an order linked to. */
  fetchReport(order: Answer): Promise<Answer> {
    const { pathname, search } = new URL(order.json<{ link: string }>().link)
    // PUBLIC_URL may end with a path.
    return this.get(pathname.slice(pathname.indexOf('/api/')) + search)
  }

  getReport(filename: string): Promise<Answer> {
    return this.get(`/api/v1/segments/user/history/${filename}`)
  }

  getReportStatus(filename: string): Promise<Answer> {
    return this.get(`/api/v1/segments/user/history/${filename}/status`)
  }

  /** Closes the kept-alive connections. */
  close(): void {
    this.#transport.close()
  }
}

/** Creates a client of a listening service. */
export function connectClient(address: string): TestClient {
  return new TestClient(connectTo(address))
}
