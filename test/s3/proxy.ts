import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'
import type { Test } from 'tap'

/** A request to an object storage. */
export type Operation =
  | 'PutObject'
  | 'GetObject'
  | 'HeadObject'
  | 'DeleteObject'
  | 'ListObjects'
  | 'CreateUpload'
  | 'UploadPart'
  | 'CompleteUpload'
  | 'AbortUpload'
  | 'ListUploads'

export type Fault =
  /** The connection is reset before the storage gets the request. */
  | 'reset'
  /** The storage gets the request, and its answer is lost with the connection. */
  | 'lost answer'
  /** The connection ends in the middle of the answer's content. */
  | 'cut answer'
  /** There is never an answer. */
  | 'hang'
  /** A byte of the request's content changes on its way. */
  | 'corrupt'
  /** The storage says that it is overloaded. */
  | '503'

function operationOf({ method = '', url = '' }: IncomingMessage): Operation {
  const { pathname, searchParams: query } = new URL(url, 'http://storage')
  const isBucket = pathname.split('/').filter(Boolean).length < 2
  if (isBucket) return query.has('uploads') ? 'ListUploads' : 'ListObjects'
  if (method === 'POST') return query.has('uploads') ? 'CreateUpload' : 'CompleteUpload'
  if (method === 'PUT') return query.has('partNumber') ? 'UploadPart' : 'PutObject'
  if (method === 'DELETE') return query.has('uploadId') ? 'AbortUpload' : 'DeleteObject'
  return method === 'HEAD' ? 'HeadObject' : 'GetObject'
}

/** Forwards requests to an object storage, and simulates its faults. */
export class StorageProxy {
  readonly #target: URL
  readonly #server = createServer((request, response) => void this.#pass(request, response))
  readonly #faults = new Map<Operation | 'all', { fault: Fault; times: number }>()
  /** The requests that have arrived, in their order. */
  readonly seen: Operation[] = []

  constructor(endpoint: string) {
    this.#target = new URL(endpoint)
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  /** The URL of the storage through this proxy. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Lets the next requests fail. @param times how many. */
  fail(operation: Operation | 'all', fault: Fault, times = Number.POSITIVE_INFINITY): void {
    this.#faults.set(operation, { fault, times })
  }

  /** Ends all faults. Requests that hang stay so. */
  heal(): void {
    this.#faults.clear()
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #nextFault(operation: Operation): Fault | undefined {
    const entry = [operation, 'all' as const]
      .map((key) => this.#faults.get(key))
      .find((entry) => entry && entry.times > 0)
    if (!entry) return undefined
    entry.times -= 1
    return entry.fault
  }

  async #pass(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const operation = operationOf(incoming)
    this.seen.push(operation)
    const fault = this.#nextFault(operation)
    incoming.on('error', () => {})
    if (fault === 'hang') return
    if (fault === 'reset') return void incoming.socket.resetAndDestroy()
    if (fault === '503') {
      incoming.resume()
      await once(incoming, 'end').catch(() => {})
      response.writeHead(503, { 'content-type': 'application/xml' })
      return void response.end(
        '<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>'
      )
    }
    const { method, url: path, headers } = incoming
    const { hostname, port } = this.#target
    // With the header Host of the client, which is a part of the signature.
    const outgoing = request({ hostname, port, method, path, headers })
    const answered = once(outgoing, 'response') as Promise<[IncomingMessage]>
    try {
      for await (const chunk of incoming as AsyncIterable<Buffer>) {
        if (fault === 'corrupt') chunk[0] = (chunk[0] ?? 0) ^ 1
        outgoing.write(chunk)
      }
      outgoing.end()
      const [answer] = await answered
      if (fault === 'lost answer') {
        answer.resume()
        await once(answer, 'end')
        return void incoming.socket.resetAndDestroy()
      }
      response.writeHead(answer.statusCode ?? 0, answer.headers)
      if (fault === 'cut answer') {
        for await (const chunk of answer as AsyncIterable<Buffer>) {
          response.write(chunk.subarray(0, chunk.length / 2), () => incoming.socket.destroy())
          break
        }
        return
      }
      await pipeline(answer, response)
    } catch {
      answered.catch(() => {})
      incoming.socket.destroy()
    }
  }
}

/** Starts a proxy to an object storage. It is closed with the test. */
export async function startStorageProxy(t: Test, endpoint: string): Promise<StorageProxy> {
  const proxy = new StorageProxy(endpoint)
  await proxy.listen()
  t.teardown(() => proxy.close())
  return proxy
}
