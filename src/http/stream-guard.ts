import { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import { STALL_TIMEOUT_MS } from '../limits.ts'

/**
 * Aborts an answer that is under way. The connection is reset, not just closed: to an HTTP/1.0 client, such as nginx by
 * default, a closed connection is the regular end of an answer without a length.
 */
export function resetConnection({ raw }: FastifyReply): void {
  if (raw.socket instanceof Socket) raw.socket.resetAndDestroy()
  else raw.destroy()
}

/**
 * Makes sure that no client takes a part of a streamed answer for the whole: if the content fails after the head has been
 * sent, the connection is reset. So it is if the client reads nothing for STALL_TIMEOUT_MS. Call it before
 * `reply.send(content)`, not for HEAD.
 */
export function guardStream(reply: FastifyReply, content: Readable): void {
  content.once('error', () => {
    if (reply.raw.headersSent) resetConnection(reply)
  })
  reply.raw.setTimeout(STALL_TIMEOUT_MS, () => resetConnection(reply))
}
