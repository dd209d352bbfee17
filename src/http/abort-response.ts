import { finished, type Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'

/**
 * Aborts an answer that has begun, by resetting its connection. An HTTP/1.0 client, such as nginx by default, takes a
 * connection that merely closes for the end of the answer, so it would take a part for the whole.
 */
export function abortResponse({ raw }: FastifyReply): void {
  raw.socket?.resetAndDestroy()
  raw.destroy()
}

/**
 * Sends a stream. If it fails after the answer has begun, the answer is aborted; before, the error is answered as
 * usual.
 */
export function sendStream(reply: FastifyReply, stream: Readable): FastifyReply {
  // Registered before Fastify's own listener, which would only close the connection.
  finished(stream, { writable: false }, (error) => {
    if (error && reply.raw.headersSent && !reply.raw.writableEnded) abortResponse(reply)
  })
  return reply.send(stream)
}
