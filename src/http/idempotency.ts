/** Writes that are safe to retry: the header `Idempotency-Key`. */
import { hash } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { BackgroundJob } from '../database/background-job.ts'
import type { Pool, Transaction } from '../database/connect.ts'
import {
  emptyExpiredSlot,
  type IdempotencyKey,
  type StoredAnswer,
  storeAnswer,
  takeKey
} from '../database/idempotency-keys.ts'
import { retryIdempotent, retryWrite } from '../database/retry.ts'
import { transaction } from '../database/transaction.ts'
import type { WriteToken } from '../database/write-tokens.ts'
import { IDEMPOTENCY_SWEEP_MS } from '../limits.ts'
import { idempotencyKeyInUse, idempotencyKeyReused } from './errors.ts'
import { answerToken } from './write-tokens.ts'

/** What a write answers. By default, 200 without further headers. */
export type WriteAnswer<Body> = {
  status?: number
  headers?: Record<string, string>
  /** Null for an empty body. */
  body: Body
  /** The token of the write, if its statement has read it. */
  token?: WriteToken
}

type WriteOptions = {
  /** A digest of the body, for routes that read it themselves. By default, it is that of the parsed JSON. */
  bodyDigest?: string | undefined
  /** How a write without a key is retried. */
  retry?: typeof retryWrite
  /** Whether the answer has the token of the write. */
  hasToken?: boolean
}

function keyOf(request: FastifyRequest, bodyDigest: string | undefined): IdempotencyKey | undefined {
  const key = request.headers['idempotency-key']
  const { actor, method, routeOptions, params, query, body } = request
  if (key === undefined || method === 'GET') return undefined
  const target = [method, routeOptions.url, params, query]
  return {
    id: hash('sha256', JSON.stringify([actor?.name ?? '', key]), 'buffer'),
    fingerprint: hash('sha256', JSON.stringify([...target, bodyDigest ?? body ?? null]), 'buffer')
  }
}

/** Whether the request has a key. Then nothing may refuse it before {@link writeOnce} that did not refuse the first one. */
export function hasKey({ headers }: FastifyRequest): boolean {
  return headers['idempotency-key'] !== undefined
}

/**
 * Writes, and sets the status and the headers of the answer. If the request has a key, the write and its answer are
 * committed together, and a retry gets that answer.
 *
 * Only answers to writes that took effect are stored. If `write` throws, it is rolled back and nothing is stored, so a
 * retry is tried again.
 *
 * @param write runs all its statements on the given pool or transaction. It may be called again after a fault. It should
 * wait for nothing else while it runs in a transaction.
 * @returns the body of the answer.
 * @throws {ApiError} IDEMPOTENCY_KEY_IN_USE or IDEMPOTENCY_KEY_REUSED.
 */
export async function writeOnce<Body>(
  request: FastifyRequest,
  reply: FastifyReply,
  pool: Pool,
  write: (db: Pool | Transaction) => Promise<WriteAnswer<Body>>,
  { bodyDigest, retry = retryWrite, hasToken = true }: WriteOptions = {}
): Promise<Body> {
  const key = keyOf(request, bodyDigest)
  if (key === undefined) {
    const { status = 200, headers = {}, body, token } = await retry(() => write(pool))
    if (token !== undefined) answerToken(reply, token)
    reply.status(status).headers(headers)
    return body
  }
  // It may run twice even if the connection is lost during the commit: then the second attempt finds the stored answer.
  const { answer, isReplayed } = await retryIdempotent(() =>
    transaction(pool, (sql) => writeWithKey(sql, key, write))
  )
  if (hasToken) answerToken(reply, answer.token)
  if (isReplayed) reply.header('idempotency-replayed', 'true')
  reply.status(answer.status).headers(answer.headers)
  return answer.body
}

async function writeWithKey<Body>(
  sql: Transaction,
  key: IdempotencyKey,
  write: (db: Transaction) => Promise<WriteAnswer<Body>>
): Promise<{ answer: StoredAnswer<Body>; isReplayed: boolean }> {
  const stored = await takeKey<Body>(sql, key)
  if (stored === 'in use') throw idempotencyKeyInUse()
  if (stored === 'reused') throw idempotencyKeyReused()
  if (stored) return { answer: stored, isReplayed: true }
  const { status = 200, headers = {}, body } = await write(sql)
  const answer = { status, headers, body }
  return { answer: { ...answer, token: await storeAnswer(sql, key, answer) }, isReplayed: false }
}

/** Removes expired answers in the background. */
export const idempotencyPlugin = fp(
  async (app) => {
    const sweeper = new BackgroundJob({
      name: 'idempotency keys',
      share: 1,
      poll: IDEMPOTENCY_SWEEP_MS,
      step: async () => {
        await emptyExpiredSlot(app.bulk)
        return false
      },
      log: app.log
    })
    app.addHook('onListen', async () => sweeper.start())
    app.addHook('onClose', () => sweeper.stop())
  },
  { name: 'idempotency', dependencies: ['database'] }
)
