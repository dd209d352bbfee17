/** Nearly valid HTTP. */
import { connect } from 'node:net'
import { buffer } from 'node:stream/consumers'
import * as fc from 'fast-check'

const requests = [
  'GET /api/v1/segments/user/10 HTTP/1.1\r\nhost: localhost\r\n\r\n',
  'GET /api/v1/segments/user/10/csv?from=2023-08-01&to=2023-08-31 HTTP/1.0\r\n\r\n',
  'DELETE /api/v1/segment/NONE HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}',
  'POST /api/v1/segment HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 12\r\n\r\n{"slug":"A"}',
  'POST /api/v1/segments/user/10 HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n'
]

const insertions = [
  '\0',
  '\r\n',
  '\n',
  ' ',
  ':',
  '\t',
  '\xff',
  '%00',
  '\r\n\r\n',
  'host: y\r\n',
  'content-length: 5\r\n',
  'content-length: -1\r\n',
  'transfer-encoding: chunked\r\n',
  'connection: close\r\n',
  `x: ${'x'.repeat(17_000)}\r\n`,
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  '\x16\x03\x01\x02\x00'
]

/** A corruption of a request: some bytes are removed at a position, and others inserted. */
type Edit = { at: number; cut: number; insertion: string }

const edit: fc.Arbitrary<Edit> = fc.record({
  at: fc.nat({ max: 150 }),
  cut: fc.nat({ max: 4 }),
  insertion: fc.oneof(fc.constantFrom('', ...insertions), fc.string({ unit: 'binary-ascii', maxLength: 3 }))
})

/** Requests as sent over the wire, one character per byte. */
export const rawRequest: fc.Arbitrary<string> = fc
  .tuple(fc.constantFrom(...requests), fc.array(edit, { minLength: 1, maxLength: 3 }))
  .map(([request, edits]) =>
    edits.reduce(
      (text, { at, cut, insertion }) => text.slice(0, at) + insertion + text.slice(at + cut),
      request
    )
  )

/** Everything that is received until the connection is closed; nothing if it is reset. */
export async function exchange(address: string, request: string): Promise<string> {
  const { hostname, port } = new URL(address)
  const socket = connect(Number(port), hostname)
  socket.end(request, 'latin1')
  return buffer(socket).then(
    (bytes) => bytes.toString('latin1'),
    () => ''
  )
}

/** What is wrong with a response; undefined if nothing is. Bytes that are no request need no response. */
export function findRawFault(answer: string): string | undefined {
  if (answer === '') return undefined
  const [head = '', body = ''] = answer.split('\r\n\r\n', 2)
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1])
  if (!(status >= 100 && status < 500)) return 'no answer, or a failure of the service'
  if (status < 400) return undefined
  if (!/\r\ncontent-type: application\/json; charset=utf-8(\r\n|$)/i.test(head))
    return 'an error that is no JSON'
  return /^\{"message":".+","code":"(?:[A-Z_]+|INVALID_UTF8)"\}/.test(body)
    ? undefined
    : 'an error of another form'
}
