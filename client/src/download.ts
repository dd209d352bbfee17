import type { Limit } from './limit.ts'
import type { Progress } from './upload.ts'

/** A file that the service sends. Read it, or cancel its `body`: until then it holds a connection. */
export class Download {
  /** The content. It fails with a SegmentsError if it is not complete, never by ending early. */
  readonly body: ReadableStream<Uint8Array>
  /** Bytes, if the service says it. */
  readonly total: number | undefined

  constructor(response: Response, limit: Limit, onProgress: ((progress: Progress) => void) | undefined) {
    const length = response.headers.get('content-length')
    const isWhole = response.headers.get('content-encoding') === null
    this.total = length !== null && isWhole ? Number(length) : undefined
    this.body = watch(response.body ?? new Blob([]).stream(), limit, (bytes) =>
      onProgress?.({ bytes, total: this.total })
    )
  }

  /** The lines, without their ends. */
  async *lines(): AsyncGenerator<string, void> {
    const decoder = new TextDecoder()
    const reader = this.body.getReader()
    let rest = ''
    let isRead = false
    try {
      for (;;) {
        const { done, value } = await reader.read()
        isRead = done
        const lines = (rest + decoder.decode(value, { stream: !done })).split('\n')
        rest = lines.pop() ?? ''
        yield* lines
        if (done) break
      }
      if (rest !== '') yield rest
    } finally {
      if (!isRead) await reader.cancel()
    }
  }

  /** The whole content. */
  text(): Promise<string> {
    return new Response(this.body).text()
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
