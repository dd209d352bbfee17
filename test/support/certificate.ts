import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

export type Certificate = { cert: string; key: string }

/** Encodes an ASN.1 element in DER. */
function element(tag: number, ...contents: Buffer[]): Buffer {
  const content = Buffer.concat(contents)
  const length = content.length < 128 ? [content.length] : [0x82, content.length >> 8, content.length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...length]), content])
}

const SEQUENCE = 0x30
const sequence = (...contents: Buffer[]) => element(SEQUENCE, ...contents)
const identifier = (hex: string) => element(0x06, Buffer.from(hex, 'hex'))
const time = (text: string) => element(0x17, Buffer.from(text))

/** ecdsa-with-SHA256 */
const algorithm = sequence(identifier('2a8648ce3d040302'))
const NAME = element(0x82, Buffer.from('localhost'))
const ADDRESS = element(0x87, Buffer.from([127, 0, 0, 1]))
const subjects = { both: [NAME, ADDRESS], name: [NAME], address: [ADDRESS] }

/**
 * Creates a self-signed certificate for this machine, with its key, as PEM.
 *
 * @param subject what it is for: the name localhost, the address 127.0.0.1, or both.
 */
export function createCertificate(subject: keyof typeof subjects = 'both'): Certificate {
  const alternativeNames = sequence(identifier('551d11'), element(0x04, sequence(...subjects[subject])))
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const name = sequence(element(0x31, sequence(identifier('550403'), element(0x0c, Buffer.from('test')))))
  const body = sequence(
    element(0xa0, element(0x02, Buffer.from([2]))),
    element(0x02, Buffer.from([1])),
    algorithm,
    name,
    sequence(time('200101000000Z'), time('490101000000Z')),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    element(0xa3, sequence(alternativeNames))
  )
  return { cert: toPem(body, privateKey), key: String(privateKey.export({ type: 'pkcs8', format: 'pem' })) }
}

function toPem(body: Buffer, key: KeyObject): string {
  const signature = Buffer.concat([Buffer.from([0]), sign('sha256', body, key)])
  const text = sequence(body, algorithm, element(0x03, signature)).toString('base64')
  return `-----BEGIN CERTIFICATE-----\n${text.replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`
}

/** Handles a connection that begins with PostgreSQL's SSLRequest, like a server that supports encryption. */
export async function acceptEncryption(socket: Socket, certificate: Certificate): Promise<Socket> {
  await once(socket, 'data')
  socket.pause()
  socket.write('S')
  return new TLSSocket(socket, { isServer: true, ...certificate })
}
