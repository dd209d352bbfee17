import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import type { Test } from 'tap'

/** Collects the sockets that this process connects from now on. */
export function collectSockets(t: Test): Socket[] {
  const sockets: Socket[] = []
  const collect = (message: unknown) => sockets.push((message as { socket: Socket }).socket)
  subscribe('net.client.socket', collect)
  t.teardown(() => unsubscribe('net.client.socket', collect))
  return sockets
}
