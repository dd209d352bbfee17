import { connect, type Socket } from 'node:net'

const WATCH_INTERVAL_MS = 500
/** Milliseconds in which others may still have been answered after a connection's last statement, which was lost with them. */
const SILENCE_MARGIN_MS = 1_000

/** What postgres.js hands to the function that opens its sockets. */
export type Target = { host: string[]; port: number[]; path: string | undefined }

/**
 * Whether an answer ends here, by PostgreSQL's message that it is ready for the next statement. Where the message came
 * in two parts this is not seen, and an idle connection is opened anew for nothing.
 */
function endsAnswer(chunk: Buffer): boolean {
  const message = chunk.subarray(-6)
  return message.length === 6 && message[0] === 0x5a && message.readUInt32BE(1) === 5
}

/**
 * Has a socket tell of an error only when it is closed. In between, postgres.js would send a statement on a connection
 * that was idle, to nobody, and take it for done when the next connection is ready.
 */
function tellErrorWithClose(socket: Socket): Socket {
  const emit = socket.emit.bind(socket)
  let error: unknown
  socket.emit = (event: string, ...parameters: unknown[]) => {
    if (event === 'error') {
      error ??= parameters[0]
      return true
    }
    if (event === 'close' && error !== undefined) emit('error', error)
    return emit(event, ...parameters)
  }
  return socket
}

/**
 * A connection's socket, given up when what was sent on it has had no whole answer for `timeout` milliseconds.
 * PostgreSQL ends each statement by its own time-out, so the connection is dead then, though nobody has said so: a
 * firewall has forgotten it, or its other end is gone. Without this its place in the pool would be lost for as long.
 *
 * On an encrypted connection the end of an answer can't be seen: there, any answer counts as a whole one.
 */
export class WatchedSocket {
  /** Those that are open, of all pools. */
  static readonly #open = new Set<WatchedSocket>()

  readonly socket: Socket
  readonly #target: string
  /** By performance.now(), as the other times. Being opened counts as an answer. */
  #answeredAt = performance.now()
  #waitingSince = Number.POSITIVE_INFINITY
  #isReady = false
  #written = 0
  #read = 0

  constructor({ host, port, path }: Target, attempt: number, timeout: number) {
    const index = attempt % host.length
    const socket = path ? connect(path) : connect(port[index] ?? 5432, host[index])
    // By this name postgres.js checks a certificate.
    Object.assign(socket, { host: host[index], port: port[index] })
    this.socket = tellErrorWithClose(socket)
    this.#target = path ?? `${host[index]}:${port[index]}`
    WatchedSocket.#open.add(this)
    const watch = setInterval(() => this.#check(timeout), WATCH_INTERVAL_MS).unref()
    socket.on('data', (chunk) => {
      this.#read = socket.bytesRead
      if (endsAnswer(chunk)) this.#answer()
    })
    socket.once('end', () => this.#end())
    socket.once('close', () => {
      clearInterval(watch)
      WatchedSocket.#open.delete(this)
    })
  }

  #check(timeout: number): void {
    this.#look()
    const since = this.#waitingSince
    if (performance.now() - since < timeout) return
    this.socket.destroy()
    for (const other of WatchedSocket.#open)
      if (other.#isLostWith(this.#target, since)) other.socket.destroy()
  }

  /**
   * Whether it is given up with one that fell silent at that time. Found out one after the other, each that is dead would
   * cost a statement, and hold it up for as long as its pool allows. One that has nothing to do costs nothing, whatever
   * it was the last to answer; one that has been waiting for longer may have a long statement in hand.
   */
  #isLostWith(target: string, since: number): boolean {
    this.#look()
    if (this.#target !== target || this.#waitingSince < since) return false
    return this.#waitingSince === Number.POSITIVE_INFINITY || this.#answeredAt < since + SILENCE_MARGIN_MS
  }

  #look(): void {
    const { bytesRead, bytesWritten } = this.socket
    // What comes encrypted is not in its 'data'.
    if (bytesRead > this.#read) {
      this.#read = bytesRead
      this.#answer()
    }
    if (bytesWritten > this.#written) this.#waitingSince = Math.min(this.#waitingSince, performance.now())
  }

  /**
   * Where the server has ended the connection before it was ready for a statement, postgres.js connects anew for the same
   * statement, at once and again and again, as it takes the server's reason for the error of what was lost on the
   * connection before. An error of the socket ends that: the statement fails with it.
   */
  #end(): void {
    if (this.#isReady) return
    const error = new Error('the server has ended the connection before it was ready')
    this.socket.emit('error', Object.assign(error, { code: 'CONNECTION_CLOSED' }))
  }

  #answer(): void {
    this.#isReady = true
    this.#written = this.socket.bytesWritten
    this.#answeredAt = performance.now()
    this.#waitingSince = Number.POSITIVE_INFINITY
  }
}
