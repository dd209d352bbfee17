import { randomUUID } from 'node:crypto'
import { type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { writeErrorBody } from './error-body.ts'
import { ApiError, requestTimeout } from './errors.ts'

/** Answers to errors of the HTTP parser, by Node's error code. There is no request then, so the socket is answered. */
const parserErrors: Record<string, ApiError> = {
  HPE_HEADER_OVERFLOW: new ApiError(431, 'HEADERS_TOO_LARGE', 'the headers are too large'),
  ERR_HTTP_REQUEST_TIMEOUT: requestTimeout()
}
const malformedRequest = new ApiError(400, 'MALFORMED_REQUEST', 'the request is not valid HTTP')

const END_OF_HEAD = '\r\n\r\n'

/** What Node.js adds to an error of its parser: the bytes that it has parsed last, and how many of them. */
type ParserError = Error & { code?: string; rawPacket?: unknown; bytesParsed?: number }

/** The `Accept` of the request that is not valid, if it is in the bytes that were parsed last. */
function findAccept({ rawPacket, bytesParsed = 0 }: ParserError): string | undefined {
  if (!Buffer.isBuffer(rawPacket)) return undefined
  // Earlier requests may be in the same bytes. An overflow is reported at the end of the head.
  const start = rawPacket.lastIndexOf(END_OF_HEAD, bytesParsed - END_OF_HEAD.length)
  const head = rawPacket.toString('latin1', Math.max(0, start))
  return /\r\naccept:[ \t]*([^\r\n]*)/i.exec(head)?.[1]
}

/** Answers after whose end an error is answered. */
const awaited = new WeakSet<ServerResponse>()

/**
 * Refuses what a client sends if it is not valid HTTP or arrives too late, and closes the connection.
 *
 * Earlier requests on the connection are answered first. The error is never written into an answer: a client would take it
 * for a part of that answer.
 */
export function refuseMalformedRequest(this: FastifyInstance, error: ParserError, socket: Socket): void {
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
  else refuse(this, error.code, own?.req.headers.accept ?? findAccept(error), socket)
}

/** Answers the error in place of a request, and closes the connection. */
function refuse(
  { connections, log }: FastifyInstance,
  cause: string | undefined,
  accept: string | undefined,
  socket: Socket
): void {
  const error = parserErrors[cause ?? ''] ?? malformedRequest
  const { statusCode: status, code } = error
  const requestId = randomUUID()
  const { type, text } = writeErrorBody(accept, error)
  socket.write(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nconnection: close\r\ncontent-type: ${type}\r\n` +
      `x-request-id: ${requestId}\r\ncontent-length: ${text.length}\r\n\r\n${text}`
  )
  connections.close(socket)
  const line = { request_id: requestId, status, code, cause }
  log.info(line, 'malformed request')
}
