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

/** The length of the whole file in bytes, if the answer says it. */
function readTotal({ headers }: Response): number | undefined {
  const range = /\/(\d+)$/.exec(headers.get('content-range') ?? '')
  if (range) return Number(range[1])
  const length = headers.get('content-length')
  return length !== null && headers.get('content-encoding') === null ? Number(length) : undefined
}

/** An answer whose content is read after its attempt, within its time limit. */
export class Source {
  readonly response: Response
  readonly total: number | undefined
  readonly #limit: Limit
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>
  #skipped: number

  /**
   * @param skipped how many bytes at the beginning are left out.
   * @throws {SegmentsError} CONNECTION_FAILED if its end could be lost without notice.
   */
  constructor(response: Response, limit: Limit, skipped = 0) {
    if (hidesLostEnd(response)) {
      throw new SegmentsError('the service is closing the connection, so the answer may not be complete', {
        code: 'CONNECTION_FAILED'
      })
    }
    this.response = response
    this.total = readTotal(response)
    this.#reader = (response.body ?? new Blob([]).stream()).getReader()
    this.#skipped = skipped
    this.#limit = limit
    limit.hold()
    // A caller who reads slowly is not limited.
    limit.pause()
  }

  /** Reads the next bytes; undefined at the end. @throws what the caller of the client gets. */
  async read(): Promise<Uint8Array | undefined> {
    try {
      for (;;) {
        this.#limit.restart()
        const { done, value } = await this.#reader.read()
        this.#limit.pause()
        if (done) {
          this.#limit.release()
          return undefined
        }
        const rest = value.subarray(this.#skipped)
        this.#skipped -= value.length - rest.length
        if (rest.length > 0) return rest
      }
    } catch (error) {
      this.#limit.release()
      throw this.#limit.explain(error)
    }
  }

  async cancel(reason?: unknown): Promise<void> {
    this.#limit.release()
    await this.#reader.cancel(reason)
  }
}

/**
 * Opens the rest of a download whose connection was lost.
 *
 * @param bytes how many bytes the caller has.
 * @throws the error that was given, if the download can't be continued.
 */
export type Resume = (first: Response, bytes: number, error: unknown) => Promise<Source>

/** A file that the service sends. Read it, or cancel its `body`: until then it holds a connection. */
export class Download {
  /** The content. It fails with a SegmentsError if it is not complete, never by ending early. */
  readonly body: ReadableStream<Uint8Array>
  /** Bytes, if the service says it. */
  readonly total: number | undefined

  constructor(source: Source, onProgress: ((progress: Progress) => void) | undefined, resume?: Resume) {
    this.total = source.total
    this.body = streamSource(source, onProgress, resume)
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

/** The users of a segment at one moment. */
export class UsersDownload extends Download {
  /** The cursor of the change feed for this moment: the changes after it continue the file. */
  readonly cursor: string

  /** @throws {SegmentsError} UNEXPECTED_ANSWER if a proxy has removed the cursor. */
  constructor(source: Source, onProgress: ((progress: Progress) => void) | undefined) {
    const cursor = source.response.headers.get('x-segments-cursor')
    if (cursor === null) {
      throw new SegmentsError('the answer has no x-segments-cursor', { code: 'UNEXPECTED_ANSWER' })
    }
    super(source, onProgress)
    this.cursor = cursor
  }
}

/** The content of a source, and of those that continue it. */
function streamSource(
  first: Source,
  onProgress: ((progress: Progress) => void) | undefined,
  resume: Resume | undefined
): ReadableStream<Uint8Array> {
  let source = first
  let bytes = 0
  let isCancelled = false

  async function read(): Promise<Uint8Array | undefined> {
    const chunk = await source.read()
    const { total } = source
    if (chunk === undefined && total !== undefined && bytes !== total) {
      const message = `the answer has ${bytes} bytes, not ${total}`
      throw new SegmentsError(message, { code: 'CONNECTION_FAILED' })
    }
    return chunk
  }

  async function readOnward(): Promise<Uint8Array | undefined> {
    for (;;) {
      try {
        return await read()
      } catch (error) {
        if (isCancelled || !resume) throw error
        source = await resume(first.response, bytes, error)
        if (isCancelled) await source.cancel()
      }
    }
  }

  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const chunk = await readOnward()
        if (isCancelled) return
        if (chunk === undefined) return controller.close()
        bytes += chunk.length
        controller.enqueue(chunk)
        onProgress?.({ bytes, total: source.total })
      },
      async cancel(reason) {
        isCancelled = true
        await source.cancel(reason)
      }
    },
    { highWaterMark: 0 }
  )
}
