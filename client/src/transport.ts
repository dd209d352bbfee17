import { readError, readJson, SegmentsError } from './errors.ts'
import { Limit } from './limit.ts'
import { choosePause, sleep } from './retry.ts'
import { sendFile } from './send-file.ts'
import type { Upload } from './upload.ts'
import { WriteTokens } from './write-tokens.ts'

/** The options of a client. */
export type ClientOptions = {
  /** Where the service is, such as `https://segments.example.com`. A path in it is a prefix of every request. */
  url: string
  /** The secret of an API key, if the service has keys. */
  key?: string
  /** Replaces the global `fetch`: to trace requests, or to configure connections. */
  fetch?: typeof fetch
  /**
   * Milliseconds that an attempt of a request may take. Default: 15 s, which is more than the service takes, and 11 minutes
   * for what may be about millions of users. For an upload and a download, it is the time without progress.
   */
  timeout?: number
  /** How often a request is repeated after a transient failure. Default: 3. */
  retries?: number
  /** Whether `fetch` can send a stream. Default: not in browsers, most of which cannot over HTTP/1.1. */
  streamsUploads?: boolean
}

/** The options of one call. */
export type CallOptions = {
  /** Aborts the call, which then throws the reason of the signal. */
  signal?: AbortSignal
  /** As in the options of the client. */
  timeout?: number
  /** As in the options of the client. */
  retries?: number
}

/** The options of a call that writes. */
export type WriteOptions = CallOptions & {
  /**
   * The `Idempotency-Key`. By default each call has its own, so that repeating it has no further effect. A key of the
   * caller does the same across restarts of the process.
   */
  idempotencyKey?: string
}

type QueryValue = string | number | boolean | null | undefined

export type Call = {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Below `/api/v1`. */
  path: string
  query?: Record<string, QueryValue>
  headers?: Record<string, string>
  /** The body, as JSON. */
  json?: unknown
  /** The body, as a file. */
  upload?: Upload
  /** Whether it changes nothing, whatever its method is. */
  isRead?: boolean
  /** Whether it must contain the client's own writes. */
  takesTokens?: boolean
  /** Whether it may take minutes, as it may be about millions of users. */
  isBulk?: boolean
}

/** The service's own deadline of 10 s, and time for the network. */
const TIMEOUT_MS = 15_000
/** The same for bulk work, whose deadline is 610 s. */
const BULK_TIMEOUT_MS = 660_000
const RETRIES = 3

/** A random `Idempotency-Key`. `crypto.randomUUID` is missing on pages that are not served over TLS. */
export function createIdempotencyKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

type Reader<T> = (response: Response, limit: Limit) => Promise<T>

/** Sends requests: with key, time limit, repeated attempts and the tokens of writes. */
export class Transport {
  readonly tokens = new WriteTokens()
  readonly streamsUploads: boolean
  readonly #base: string
  readonly #options: ClientOptions
  readonly #headers: Headers
  /** Whether files are sent by XMLHttpRequest, which service workers lack. */
  readonly #sendsFiles: boolean

  /** @throws {TypeError} if the URL or the key is not valid. */
  constructor(options: ClientOptions) {
    const { href } = new URL(options.url)
    this.#base = `${href.replace(/\/+$/, '')}/api/v1`
    this.#options = options
    this.#headers = new Headers({ accept: 'application/json' })
    if (options.key !== undefined) this.#headers.set('authorization', `Bearer ${options.key}`)
    this.streamsUploads = options.streamsUploads ?? !('location' in globalThis)
    this.#sendsFiles = !options.fetch && 'XMLHttpRequest' in globalThis
  }

  /** Sends a call, and reads its answer as JSON. @throws {SegmentsError} */
  json<T>(call: Call, options: WriteOptions): Promise<T> {
    return this.send(call, options, (response) => readJson<T>(response))
  }

  /** Sends a call whose answer has no body. @throws {SegmentsError} */
  async run(call: Call, options: WriteOptions): Promise<void> {
    await this.send(call, options, (response) => response.text())
  }

  /**
   * Sends a call until it succeeds, its failure is permanent, or it has failed as often as it may. Reading the answer is part
   * of an attempt.
   *
   * @throws {SegmentsError} of the last attempt.
   */
  async send<T>(call: Call, options: WriteOptions, read: Reader<T>): Promise<T> {
    const { signal } = options
    const retries = this.retriesOf(options)
    const isWrite = call.method !== 'GET' && !call.isRead
    // The same key for all attempts: the service answers a repeated one what it has answered the first.
    const key = isWrite ? (options.idempotencyKey ?? createIdempotencyKey()) : undefined
    const writeEnded = isWrite ? this.tokens.beginWrite() : undefined
    const patience = performance.now() + this.#timeoutOf(call, options)
    for (let failures = 0; ; ) {
      try {
        return await this.#attempt(call, options, key, (response, limit) => {
          writeEnded?.(response.headers.get('x-segments-token'))
          return read(response, limit)
        })
      } catch (error) {
        // An attempt whose connection was lost may still be under way, for minutes. It is waited for.
        const isInUse = error instanceof SegmentsError && error.code === 'IDEMPOTENCY_KEY_IN_USE'
        const isUnderWay = isInUse && performance.now() < patience
        if (!isUnderWay) failures += 1
        const isLast = failures > retries || call.upload?.isSpent === true
        const pause = isLast ? undefined : choosePause(error, Math.max(failures, 1))
        if (pause === undefined) throw error
        await sleep(pause, signal)
      }
    }
  }

  /** How often a call is repeated after a transient failure. */
  retriesOf({ retries = this.#options.retries }: CallOptions): number {
    return retries ?? RETRIES
  }

  #timeoutOf({ isBulk }: Call, { timeout = this.#options.timeout }: CallOptions): number {
    return timeout ?? (isBulk ? BULK_TIMEOUT_MS : TIMEOUT_MS)
  }

  async #attempt<T>(call: Call, options: CallOptions, key: string | undefined, read: Reader<T>): Promise<T> {
    const { signal } = options
    signal?.throwIfAborted()
    const limit = new Limit(this.#timeoutOf(call, options), signal)
    try {
      const request = {
        method: call.method,
        headers: this.#createHeaders(call, key),
        signal: limit.signal
      }
      const response = await this.#fetch(this.#createUrl(call), request, call, limit)
      if (!response.ok) throw await readError(response)
      const answer = await read(response, limit)
      call.upload?.finish()
      return answer
    } catch (error) {
      throw call.upload?.failure ?? limit.explain(error)
    } finally {
      limit.end()
    }
  }

  async #fetch(
    url: string,
    request: { method: string; headers: Headers; signal: AbortSignal },
    { json, upload }: Call,
    limit: Limit
  ): Promise<Response> {
    const { fetch = globalThis.fetch } = this.#options
    if (!upload) return fetch(url, json === undefined ? request : { ...request, body: JSON.stringify(json) })
    const opened = await upload.open(limit)
    const { body } = opened
    if (!this.#sendsFiles || !(body instanceof Blob)) return fetch(url, { ...request, ...opened })
    return sendFile(url, { ...request, body }, (bytes) => {
      limit.restart()
      upload.report(bytes)
    })
  }

  #createHeaders({ headers, json, upload, takesTokens }: Call, key: string | undefined): Headers {
    const all = new Headers(this.#headers)
    if (json !== undefined) all.set('content-type', 'application/json')
    if (upload) all.set('content-type', upload.type)
    if (upload?.encoding) all.set('content-encoding', upload.encoding)
    if (key !== undefined) all.set('idempotency-key', key)
    const tokens = takesTokens ? this.tokens.value : undefined
    if (tokens !== undefined) all.set('x-segments-token', tokens)
    for (const [name, value] of Object.entries(headers ?? {})) all.set(name, value)
    return all
  }

  #createUrl({ path, query = {} }: Call): string {
    const parameters = new URLSearchParams()
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined && value !== null) parameters.set(name, String(value))
    }
    return parameters.size === 0 ? `${this.#base}${path}` : `${this.#base}${path}?${parameters}`
  }
}
