import type { Limit } from './limit.ts'
import { readStream } from './read-stream.ts'

/** The progress of an upload or a download. */
export type Progress = {
  /** Bytes so far. */
  bytes: number
  /** Bytes in all, if that is known. */
  total: number | undefined
}

type Chunks = ReadableStream<Uint8Array> | AsyncIterable<string | Uint8Array>

/**
 * What an upload is read from. A stream can be read once, so an upload from one is not repeated after a failure. For that,
 * pass a function that opens it again.
 */
export type UploadSource = string | Uint8Array | Blob | Chunks | (() => Chunks)

/** The options of an upload, besides those of a call. */
export type UploadOptions = {
  /** The media type. Default: `text/csv`. */
  type?: 'text/csv' | 'application/x-ndjson' | 'application/json'
  /** `gzip` if what is uploaded is compressed so. */
  encoding?: 'gzip'
  /** Is called as bytes are sent; again from 0 if the upload is repeated. */
  onProgress?: (progress: Progress) => void
}

type OpenedBody = { body: Blob | ReadableStream<Uint8Array<ArrayBuffer>>; duplex?: 'half' }

const encoder = new TextEncoder()

/** Chunks as bytes of their own memory, which both a stream and a Blob take. */
async function* toBytes(chunks: AsyncIterable<string | Uint8Array>): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for await (const chunk of chunks) {
    const bytes = typeof chunk === 'string' ? encoder.encode(chunk) : new Uint8Array(chunk)
    if (bytes.length > 0) yield bytes
  }
}

/** The body of a request that may be sent more than once. */
export class Upload {
  readonly type: string
  readonly encoding: 'gzip' | undefined
  /** What reading the source failed with, which is not the connection's fault. */
  failure: unknown
  /** Whether the source can't be read again. */
  isSpent = false
  readonly #source: UploadSource
  readonly #streams: boolean
  readonly #onProgress: ((progress: Progress) => void) | undefined
  #bytes = 0
  #total: number | undefined

  /** @param streams whether `fetch` can send a stream. */
  constructor(
    source: UploadSource,
    { type = 'text/csv', encoding, onProgress }: UploadOptions,
    streams: boolean
  ) {
    this.type = type
    this.encoding = encoding
    this.#source = source
    this.#streams = streams
    this.#onProgress = onProgress
  }

  /** Opens the source for an attempt, whose limit starts again with each chunk. */
  async open(limit: Limit): Promise<OpenedBody> {
    this.#bytes = 0
    const source = this.#source
    if (typeof source === 'string' || source instanceof Uint8Array || source instanceof Blob) {
      return this.#openWhole(toBlob(source), limit)
    }
    this.isSpent = typeof source !== 'function'
    const chunks = typeof source === 'function' ? source() : source
    const bytes = toBytes(chunks instanceof ReadableStream ? readStream(chunks) : chunks)
    return this.#streams ? this.#stream(bytes, limit) : { body: await this.#gather(bytes, limit) }
  }

  /** The upload has been answered. */
  finish(): void {
    // A `fetch` of the caller does not tell how much it has sent.
    if (!this.#streams && this.#bytes !== this.#total) this.report(this.#total ?? 0)
  }

  /** So many bytes are sent. */
  report(bytes: number): void {
    this.#bytes = bytes
    this.#onProgress?.({ bytes, total: this.#total })
  }

  #openWhole(blob: Blob, limit: Limit): OpenedBody {
    this.#total = blob.size
    // Without a stream, `fetch` sends the length, and can follow redirects.
    if (!this.#streams || !this.#onProgress) return { body: blob }
    return this.#stream(toBytes(readStream(blob.stream())), limit)
  }

  #stream(chunks: AsyncGenerator<Uint8Array<ArrayBuffer>>, limit: Limit): OpenedBody {
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>(
      {
        pull: async (controller) => {
          limit.restart()
          try {
            const { done, value } = await chunks.next()
            if (done) return controller.close()
            controller.enqueue(value)
            this.report(this.#bytes + value.length)
          } catch (error) {
            this.failure = error
            controller.error(error)
          }
        },
        cancel: async () => {
          await chunks.return(undefined)
        }
      },
      // A chunk is read when the connection takes it.
      { highWaterMark: 0 }
    )
    return { body, duplex: 'half' }
  }

  async #gather(chunks: AsyncIterable<Uint8Array<ArrayBuffer>>, limit: Limit): Promise<Blob> {
    try {
      const parts: Uint8Array<ArrayBuffer>[] = []
      for await (const chunk of chunks) {
        limit.restart()
        parts.push(chunk)
      }
      const blob = new Blob(parts)
      this.#total = blob.size
      return blob
    } catch (error) {
      this.failure = error
      throw error
    }
  }
}

/** A file is sent as it is, without being read before. Bytes are copied, as their memory may be shared. */
function toBlob(source: string | Uint8Array | Blob): Blob {
  if (source instanceof Blob) return source
  return new Blob([typeof source === 'string' ? source : new Uint8Array(source)])
}
