import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Test } from 'tap'

/** A client's connection that is never closed by the client, and what has arrived on it. */
export class RawConnection {
  readonly socket: Socket
  received = ''

  constructor(address: string) {
    const { hostname, port } = new URL(address)
    this.socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true })
    this.socket.setEncoding('latin1')
    this.socket.on('data', (chunk) => {
      this.received += chunk
    })
    // The service resets connections.
    this.socket.on('error', () => {})
  }

  /** The statuses of the answers so far. */
  get statuses(): number[] {
    return [...this.received.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status))
  }

  /** Resolves when the service has ended its side or reset the connection. */
  async ended(): Promise<void> {
    if (this.socket.readableEnded || this.socket.destroyed) return
    await Promise.race([once(this.socket, 'end'), once(this.socket, 'close')]).catch(() => {})
  }
}

/** Connects to a service, which may reset the connection at once. The connection is destroyed after the test. */
export async function openConnection(t: Test, address: string): Promise<RawConnection> {
  const connection = new RawConnection(address)
  t.teardown(() => connection.socket.destroy())
  await Promise.race([once(connection.socket, 'connect'), once(connection.socket, 'close')]).catch(() => {})
  return connection
}
