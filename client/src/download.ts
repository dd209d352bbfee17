import { SegmentsError } from './errors.ts'
import type { Limit } from './limit.ts'
import { readStream } from './read-stream.ts'
import type { Progress } from './upload.ts'

/**
 * Whether `fetch` would take an answer that ends early for a complete one. Up to version 6 of undici, which Node.js 20 and 22
 * have, it does so where the connection is closed after the answer, as by a service that is about to end, and the length is
 * not known.
 */
function hidesLostEnd({ headers }: Response): boolean {
  const process: { versions?: Record<string, string | undefined> } | undefined = Reflect.get(
    globalThis,
    'process'
  )
  const isOld = Number.parseInt(process?.versions?.['undici'] ?? '', 10) < 7
  return isOld && headers.get('connection') === 'close' && headers.get('content-length') === null
}

/** A file that the service sends. Read it, or cancel its `body`: until then it holds a connection. */
export class Download {
  /** The content. It fails with a SegmentsError if it is not complete, never by ending early. */
  readonly body: ReadableStream<Uint8Array>
  /** Bytes, if the service says it. */
  readonly total: number | undefined
  /** Of the users of a segment: the cursor of the change feed from which to follow them. */
  readonly cursor: string | undefined

  /** @throws {SegmentsError} CONNECTION_FAILED if its end could be lost without notice. */
  constructor(response: Response, limit: Limit, onProgress: ((progress: Progress) => void) | undefined) {
    if (hidesLostEnd(response)) {
      throw new SegmentsError('the service is closing the connection, so the answer may not be complete', {
        code: 'CONNECTION_FAILED'
      })
    }
    const length = response.headers.get('content-length')
    const isWhole = response.headers.get('content-encoding') === null
    this.cursor = response.headers.get('x-segments-cursor') ?? undefined
    this.total = length !== null && isWhole ? Number(length) : undefined
    this.body = watch(response.body ?? new Blob([]).stream(), limit, (bytes) =>
      onProgress?.({ bytes, total: this.total })
    )
  }

  /** The lines, without their ends. */
  async *lines(): AsyncGenerator<string, void> {
    let rest = ''
    for await (const text of this.#decode()) {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      yield* lines
    }
    if (rest !== '') yield rest
  }

  /** The whole content. */
  async text(): Promise<string> {
    // Not by a Response: in Chromium, its errors are not those of the stream.
    let whole = ''
    for await (const text of this.#decode()) whole += text
    return whole
  }

  async *#decode(): AsyncGenerator<string, void> {
    const decoder = new TextDecoder()
    for await (const chunk of readStream(this.body)) yield decoder.decode(chunk, { stream: true })
    yield decoder.decode()
  }
}

/** The same stream, with a time limit for each chunk, and with the errors of this client. */
function watch(
  body: ReadableStream<Uint8Array>,
  limit: Limit,
  onProgress: (bytes: number) => void
): ReadableStream<Uint8Array> {
  limit.hold()
  // A caller who reads slowly is not limited.
  limit.pause()
  const reader = body.getReader()
  let bytes = 0
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          limit.restart()
          const { done, value } = await reader.read()
          limit.pause()
          if (done) {
            limit.release()
            controller.close()
          } else {
            bytes += value.length
            controller.enqueue(value)
            onProgress(bytes)
          }
        } catch (error) {
          limit.release()
          controller.error(limit.explain(error))
        }
      },
      async cancel(reason) {
        limit.release()
        await reader.cancel(reason)
      }
    },
    { highWaterMark: 0 }
  )
}
