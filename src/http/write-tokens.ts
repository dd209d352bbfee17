import type { FastifyReply } from 'fastify'
import type { WriteTokensHeaders } from '../../schemas/write-tokens.ts'
import type { Pool } from '../database/connect.ts'
import type { WriteToken } from '../database/write-tokens.ts'

const HEADER = 'x-segments-token'
const NONE: readonly WriteToken[] = []

/** Returns the tokens that a read has brought. */
export function readTokens({ [HEADER]: tokens }: WriteTokensHeaders): readonly WriteToken[] {
  return tokens === undefined ? NONE : tokens.split(/ *, */)
}

/** Adds the token of a write to its answer. */
export function answerToken(reply: FastifyReply, token: WriteToken): void {
  reply.header(HEADER, token)
}

/** Removes the token from the answer: the write is refused, although its transaction has a token. */
export function removeToken(reply: FastifyReply): void {
  reply.removeHeader(HEADER)
}

/** The same pool for one request. The answer gets the token of the transaction that it commits. */
export function trackWrites(pool: Pool, reply: FastifyReply): Pool {
  return pool.tracked((token) => answerToken(reply, token))
}
