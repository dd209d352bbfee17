import { hash } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { PAGE_STALL_TIMEOUT_MS } from '../limits.ts'
import { isKnown } from './file-answer.ts'

/** Content that is the same for every caller, kept in memory. All answers share its bytes. */
export type Page = Readonly<{ type: string; content: Buffer; etag: string }>

export function createPage(type: string, text: string | Buffer): Page {
  const content = Buffer.from(text)
  return { type, content, etag: `"${hash('sha256', content, 'base64url')}"` }
}

/** Answers with the page, or with 304 and no body if the client has it already. */
export function sendPage(page: Page, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  reply.header('etag', page.etag).header('cache-control', 'no-cache')
  if (isKnown(request.headers['if-none-match'] ?? '', page.etag)) return reply.status(304).send()
  request.server.connections.limitStall(request.raw.socket, PAGE_STALL_TIMEOUT_MS)
  return reply.type(page.type).send(page.content)
}
