import { randomUUID } from 'node:crypto'
import type { ServerResponse } from 'node:http'
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

/** Answers after whose end an error is answered. */
const awaited = new WeakSet<ServerResponse>()

/**
 * Refuses what a client sends if it is not valid HTTP or arrives too late, and closes the connection.
 *
 * Earlier requests on the connection are answered first. The error is never written into an answer: a client would take it
 * for a part of that answer.
 */
export function refuseMalformedRequest(
  this: FastifyInstance,
  error: Error & { code?: string },
  socket: Socket
): void {
  const { connections } = this
  // The same connection may have several errors: each part of what it sends is one.
  if (connections.isClosing(socket)) return
  const answers = connections.answersOn(socket).filter(({ writableFinished }) => !writableFinished)
  const last = answers.at(-1)
  // Without a whole request, the last answer is that to the malformed one.
  const own = last?.req.complete === false ? last : undefined
  const earlier = own ? answers.at(-2) : last
  if (socket.destroyed) return
  if (error.code === 'ECONNRESET' || !socket.writable) socket.resetAndDestroy()
  // It may have been sent whole, and its client may have read it, although its last event has not come yet.
  else if (earlier) {
    // One listener is enough for all errors of the connection.
    if (awaited.has(earlier)) return
    awaited.add(earlier)
    earlier.once('finish', () => refuseMalformedRequest.call(this, error, socket))
  } else if (own?.writableEnded) connections.close(socket)
  else if (own?.headersSent) socket.resetAndDestroy()
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
