import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { Test } from 'tap'

/** The length and the code of a request for encryption. */
const SSL_REQUEST = Buffer.from('00000008' + '04d2162f', 'hex')
/** The length and the protocol version come before the parameters. */
const PARAMETERS_AT = 8

/**
 * Forwards connections to PostgreSQL, and records the startup parameters.
 *
 * @returns the URL of the database through this proxy, and the names of the parameters so far.
 */
export async function recordStartupParameters(
  t: Test,
  databaseUrl: string
): Promise<{ url: string; names: Set<string> }> {
  const url = new URL(databaseUrl)
  const target = { host: url.hostname, port: Number(url.port), noDelay: true }
  const names = new Set<string>()
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(target)
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.once('close', () => {
        near.destroy()
        far.destroy()
      })
    }
    const record = (message: Buffer) => {
      if (message.equals(SSL_REQUEST)) return
      near.off('data', record)
      const texts = message.subarray(PARAMETERS_AT).toString().split('\0')
      for (let index = 0; texts[index]; index += 2) names.add(String(texts[index]))
    }
    near.on('data', record)
    near.pipe(far)
    far.pipe(near)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  url.port = String((server.address() as AddressInfo).port)
  return { url: url.href, names }
}
