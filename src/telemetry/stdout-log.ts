import { MAX_LOG_CHUNKS } from '../limits.ts'

/** A destination of log lines. */
export type LogSink = {
  write(line: string): void
  /** The number of lines lost so far. */
  readonly lost: number
}

/** Characters after which lines are combined and stored as bytes, which take a third of the memory. */
const CHUNK_SIZE = 65_536

/**
 * Writes lines to stdout without ever making the caller wait for the reader. The lines of one turn of the event loop are
 * written together, when the previous write has finished. If too many lines are waiting, new lines are lost and counted.
 */
class StdoutLog implements LogSink {
  lost = 0
  #reported = 0
  /** Waiting lines: full chunks, the oldest first, and then the newest lines. */
  #chunks: Buffer[] = []
  #lines = ''
  #busy = false
  #drained = () => {}

  constructor() {
    // If the reader disappears, the service continues.
    process.stdout.on('error', () => {})
    // If the process exits without `flush`, write what the system still accepts.
    process.on('exit', () => {
      for (const chunk of [...this.#chunks, this.#lines]) process.stdout.write(chunk)
    })
  }

  write(line: string): void {
    if (this.#chunks.length >= MAX_LOG_CHUNKS) {
      this.lost += 1
      return
    }
    if (this.lost > this.#reported) this.#reportLost()
    this.#add(line)
    if (this.#busy) return
    this.#busy = true
    setImmediate(() => this.#send())
  }

  /** Resolves when all lines have been written, after at most `timeout` milliseconds. */
  async flush(timeout: number): Promise<void> {
    if (!this.#busy) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#drained = resolve
    const timer = setTimeout(resolve, timeout)
    await promise
    clearTimeout(timer)
  }

  #add(line: string): void {
    this.#lines += line
    if (this.#lines.length < CHUNK_SIZE) return
    this.#chunks.push(Buffer.from(this.#lines))
    this.#lines = ''
  }

  #send(): void {
    const fullChunk = this.#chunks.shift()
    const chunk = fullChunk ?? this.#lines
    if (fullChunk === undefined) this.#lines = ''
    if (chunk.length === 0) {
      this.#busy = false
      this.#drained()
      return
    }
    process.stdout.write(chunk, () => this.#send())
  }

  #reportLost(): void {
    const lines = this.lost - this.#reported
    this.#reported = this.lost
    this.#add(`${JSON.stringify({ level: 40, time: Date.now(), lines, msg: 'log lines lost' })}\n`)
  }
}

/** The log of this process. */
export const stdoutLog = new StdoutLog()
