import { once } from 'node:events'
import {
  Agent,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  request
} from 'node:http'
import { text } from 'node:stream/consumers'
import type { FastifyInstance, InjectOptions } from 'fastify'

export type TestRequest = {
  method: string
  /** The path and the query, sent unchanged: `fetch` would resolve `../` and encode unencoded characters. */
  url: string
  headers?: OutgoingHttpHeaders
  body?: string | Buffer | undefined
}

export type RawAnswer = { status: number; headers: IncomingHttpHeaders; text: string }

/** The way a request reaches the service. */
export type Transport = {
  send: (request: TestRequest) => Promise<RawAnswer>
  close: () => void
}

/** Passes requests to a service in this process, without a connection. */
export function injectInto(app: FastifyInstance): Transport {
  return {
    async send({ method, url, headers = {}, body }) {
      const options = { method, url, headers, ...(body !== undefined && { body }) } as InjectOptions
      const answer = await app.inject(options)
      return {
        status: answer.statusCode,
        headers: answer.headers as IncomingHttpHeaders,
        text: answer.body
      }
    },
    close() {}
  }
}

/** Milliseconds that a response may take; the service promises far less. */
const ANSWER_TIMEOUT_MS = 30_000

/** Sends requests to a listening service. Connections are kept alive and reused. */
export function connectTo(address: string): Transport {
  const { hostname, port } = new URL(address)
  const agent = new Agent({ keepAlive: true })
  return {
    /** @throws {Error} if the connection ends before the response does, or the response takes half a minute. */
    async send({ method, url, headers = {}, body }) {
      const signal = AbortSignal.timeout(ANSWER_TIMEOUT_MS)
      // Node.js sets the length of a body only for some methods.
      const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }
      const options = { agent, hostname, port, method, path: url, signal }
      const sent = request({ ...options, headers: { ...length, ...headers } })
      // The service may answer, and close, before it has read a body that it refuses.
      sent.on('error', () => {})
      sent.end(body)
      const [response] = (await once(sent, 'response')) as [IncomingMessage]
      return { status: response.statusCode ?? 0, headers: response.headers, text: await text(response) }
    },
    close() {
      agent.destroy()
    }
  }
}
