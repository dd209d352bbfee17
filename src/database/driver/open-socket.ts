import { once } from 'node:events'
import { connect, isIP, type Socket } from 'node:net'
import { connect as encrypt } from 'node:tls'
import { CONNECT_TIMEOUT_MS } from '../../limits.ts'
import type { Encryption, Host } from '../url.ts'

/** PostgreSQL's SSLRequest message: its length (8) and its code. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f])

/**
 * Opens the socket of a connection, encrypted if required. postgres.js receives the encrypted socket: its own code
 * would check the certificate of an IP address as that of "localhost", and would hide from us when the socket closes.
 *
 * @throws {Error} an error of Node.js or TLS.
 */
export async function openSocket({ host, port }: Host, encryption: Encryption): Promise<Socket> {
  const isLocal = host.startsWith('/')
  const socket = isLocal ? connect(`${host}/.s.PGSQL.${port}`) : connect({ host, port, noDelay: true })
  const overdue = Object.assign(new Error('connecting took too long'), { code: 'CONNECT_TIMEOUT' })
  const timer = setTimeout(() => socket.destroy(overdue), CONNECT_TIMEOUT_MS)
  try {
    await once(socket, 'connect')
    return encryption.mode === 'none' || isLocal ? socket : await encryptSocket(socket, host, encryption)
  } catch (error) {
    socket.destroy()
    throw error
  } finally {
    clearTimeout(timer)
  }
}

async function encryptSocket(
  socket: Socket,
  host: string,
  { mode, options }: Exclude<Encryption, { mode: 'none' }>
): Promise<Socket> {
  socket.write(SSL_REQUEST)
  // The whole answer is compared: further bytes after the letter could not come from the server (CVE-2021-23222).
  const [answer] = await once(socket, 'data')
  if (mode === 'preferred' && String(answer) === 'N') return socket
  if (String(answer) !== 'S') throw new Error('the database does not support encryption')
  // The encrypted socket reports the errors of this one.
  socket.on('error', () => {})
  const encrypted = encrypt({ ...options, socket, host, ...(isIP(host) ? {} : { servername: host }) })
  await once(encrypted, 'secureConnect')
  return encrypted
}
