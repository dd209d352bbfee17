import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { Test } from 'tap'
import { acceptEncryption, type Certificate } from './certificate.ts'

/**
 * Where to cut a connection, once: when the client sends this text, before PostgreSQL receives it, or when PostgreSQL
 * has answered it, before the client receives the answer. `withhold` does not cut it: the answer never arrives.
 */
export type Cut = { text: string; side: 'before' | 'after' | 'withhold' }

/**
 * Forwards connections to PostgreSQL until one is cut.
 *
 * @param certificate encrypts the connection between the service and this proxy.
 * @returns the URL of the database through this proxy.
 */
export async function startCuttingProxy(
  t: Test,
  databaseUrl: string,
  cut: Cut,
  certificate?: Certificate
): Promise<string> {
  const url = new URL(databaseUrl)
  const target = { host: url.hostname, port: Number(url.port), noDelay: true }
  const sockets = new Set<Socket>()
  let isCut = false

  const server = createServer(async (raw) => {
    raw.on('error', () => {})
    const near = certificate ? await acceptEncryption(raw, certificate) : raw
    const far = connect(target)
    let isWaiting = false
    const end = () => {
      near.destroy()
      far.destroy()
    }
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.once('close', end)
    }
    near.on('data', (chunk) => {
      const isWanted = !isCut && chunk.includes(cut.text)
      isCut ||= isWanted
      if (isWanted && cut.side === 'before') end()
      else far.write(chunk)
      isWaiting ||= isWanted
    })
    far.on('data', (chunk) => {
      if (isWaiting && cut.side === 'withhold') return
      if (isWaiting) end()
      else near.write(chunk)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  if (certificate) url.searchParams.set('sslmode', 'require')
  url.port = String((server.address() as AddressInfo).port)
  return url.href
}
