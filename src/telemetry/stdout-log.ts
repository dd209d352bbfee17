/** Where the lines of a log go. */
export type LogSink = {
  write(line: string): void
  /** Lines that were lost so far. */
  readonly lost: number
}

/** Characters after which lines are put together as bytes, which take a third of the memory. */
const CHUNK_SIZE = 65_536
/** Chunks that wait for the reader of stdout at the most: 16 MB, three seconds of 20,000 requests each. */
const MAX_CHUNKS = 256

/**
 * Writes lines to stdout without ever waiting for whoever reads it: those of a turn of the event loop together, as soon
 * as those before have been taken. Lines that would make too many wait are lost, and counted.
 */
class StdoutLog implements LogSink {
  lost = 0
  #reported = 0
  /** The lines that have waited for longer, and the newest ones. */
  #chunks: Buffer[] = []
  #lines = ''
  #busy = false
  #drained = () => {}

  constructor() {
    // The reader may go, the service stays.
    process.stdout.on('error', () => {})
    // What the system still takes where the process ends without `flush`.
    process.on('exit', () => {
      for (const chunk of [...this.#chunks, this.#lines]) process.stdout.write(chunk)
    })
  }

  write(line: string): void {
    if (this.#chunks.length >= MAX_CHUNKS) {
      this.lost += 1
      return
    }
    if (this.lost > this.#reported) this.#reportLost()
    this.#add(line)
    if (this.#busy) return
    this.#busy = true
    setImmediate(() => this.#send())
  }

  /** Resolves when all lines have been read, after `timeout` milliseconds at the latest. */
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
    const waited = this.#chunks.shift()
    const chunk = waited ?? this.#lines
    if (waited === undefined) this.#lines = ''
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
