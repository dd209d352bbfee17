import { randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'

/** Answers to errors of the HTTP parser, by Node's error code. There is no request then, so the socket is answered. */
const parserErrors: Record<string, [status: string, code: string, message: string]> = {
  HPE_HEADER_OVERFLOW: [
    '431 Request Header Fields Too Large',
    'HEADERS_TOO_LARGE',
    'the headers are too large'
  ],
  ERR_HTTP_REQUEST_TIMEOUT: [
    '408 Request Timeout',
    'REQUEST_TIMEOUT',
    'the request did not arrive whole in time'
  ]
}
const malformedRequest = ['400 Bad Request', 'MALFORMED_REQUEST', 'the request is not valid HTTP'] as const

/**
 * Refuses what a client sends if it is not valid HTTP or arrives too late, and closes the connection.
 *
 * Earlier requests on the connection are answered first, with nothing but their answers: a client would take the error for
 * the answer to its request, or for a part of it.
 */
export function refuseMalformedRequest(
  this: FastifyInstance,
  error: Error & { code?: string },
  socket: Socket
): void {
  const { connections } = this
  // The same connection may have several errors: each part of what it sends is one.
  if (connections.isClosing(socket)) return
  const answers = connections.answersOn(socket)
  // The service has ended the others. What remains of them is sent before everything else.
  const unfinished = answers.filter(({ writableEnded }) => !writableEnded)
  const earlier = unfinished.findLast(({ req }) => req.complete)
  // The last answer belongs to the request that is malformed, if it is not one of the earlier ones.
  const hasBegun = earlier === undefined && unfinished.some(({ headersSent }) => headersSent)
  if (error.code === 'ECONNRESET' || !socket.writable || hasBegun) {
    if (socket.destroyed) return
    socket.resetAndDestroy()
    return
  }
  if (earlier) {
    earlier.once('finish', () => connections.close(socket))
    return
  }
  const last = answers.at(-1)
  if (last?.writableEnded && !last.writableFinished)
    last.once('finish', () => refuse(this, error.code, socket))
  else refuse(this, error.code, socket)
}

/** Answers the error in place of a request, and closes the connection. */
function refuse({ connections, log }: FastifyInstance, cause: string | undefined, socket: Socket): void {
  const [status, code, message] = parserErrors[cause ?? ''] ?? malformedRequest
  const requestId = randomUUID()
  const body = JSON.stringify({ message, code })
  socket.write(
    `HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-type: application/json; charset=utf-8\r\n` +
      `x-request-id: ${requestId}\r\ncontent-length: ${body.length}\r\n\r\n${body}`
  )
  connections.close(socket)
  const line = { request_id: requestId, status: Number.parseInt(status, 10), code, cause }
  log.info(line, 'malformed request')
}
