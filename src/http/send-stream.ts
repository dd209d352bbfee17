import { finished, Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import { STALL_TIMEOUT_MS } from '../limits.ts'

/**
 * Aborts an answer that has begun, by resetting its connection. An HTTP/1.0 client, such as nginx by default, takes a
 * connection that merely closes for the end of the answer, so it would take a part for the whole.
 */
function abortResponse({ raw }: FastifyReply): void {
  raw.socket?.resetAndDestroy()
  raw.destroy()
}

/**
 * Sends a stream. If it fails after the answer has begun, or the client reads nothing for STALL_TIMEOUT_MS, the answer is
 * aborted; if it fails before, the error is answered as usual. To HEAD, only the headers are sent.
 */
export function sendStream(reply: FastifyReply, stream: Readable): FastifyReply {
  if (reply.request.method === 'HEAD') {
    // Fastify would read the whole stream and discard it; without one, it would set the length to 0.
    stream.destroy()
    return reply.send(Readable.from([]))
  }
  // Registered before Fastify's own listener, which would only close the connection.
  finished(stream, { writable: false }, (error) => {
    if (error && reply.raw.headersSent && !reply.raw.writableEnded) abortResponse(reply)
  })
  reply.raw.setTimeout(STALL_TIMEOUT_MS, () => abortResponse(reply))
  return reply.send(stream)
}
