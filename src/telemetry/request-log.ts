import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { type FastifyReply, type FastifyRequest, LogController } from 'fastify'

declare module 'fastify' {
  interface FastifyInstance {
    faultLog: FaultLog
  }
  interface FastifyReply {
    /** Why the request failed, for its line in the log. */
    failure?: Failure
  }
}

type Failure = {
  /** That of the answer. */
  code: string
  /** The code of the error behind it: Node.js's, or an SQLSTATE. */
  cause?: string
}

/** The status of a request that was broken off before its answer had ended, as proxies log it. */
export const BROKEN_OFF = 499

const requestIdPattern = /^[A-Za-z0-9._-]{1,128}$/

/** The id of a request: the caller's `x-request-id` where it is one, a new one otherwise. */
export function takeRequestId({ headers }: Pick<IncomingMessage, 'headers'>): string {
  const given = headers['x-request-id']
  return typeof given === 'string' && requestIdPattern.test(given) ? given : randomUUID()
}

/** The status that a request has ended with. */
export function finalStatus({ raw }: FastifyReply): number {
  return raw.writableEnded ? raw.statusCode : BROKEN_OFF
}

/** The code of an error, where it has one. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined
}

function logRequest({ method, url, actor }: FastifyRequest, reply: FastifyReply): void {
  const status = finalStatus(reply)
  const milliseconds = Math.round(reply.elapsedTime * 1000) / 1000
  // Without the query, where some callers put their secrets.
  const [path] = url.split('?', 1)
  const line = { method, url: path, key: actor?.name, status, milliseconds, ...reply.failure }
  if (status >= 500) reply.log.warn(line, 'request')
  else reply.log.info(line, status === BROKEN_OFF ? 'request broken off' : 'request')
}

/**
 * One line a request, when it has ended. Errors have their own line, from the error handler.
 *
 * Fastify tells this of every request before anything else, also of those that it refuses itself and that pass no hook.
 * So here is where an answer gets the request's id.
 */
export class RequestLog extends LogController {
  readonly #onEnd: (request: FastifyRequest, reply: FastifyReply) => void

  /** @param onEnd is told of each request that has ended. */
  constructor(onEnd: (request: FastifyRequest, reply: FastifyReply) => void = () => {}) {
    super({ requestIdLogLabel: 'request_id' })
    this.#onEnd = onEnd
  }

  override incomingRequest(request: FastifyRequest, reply: FastifyReply): void {
    reply.header('x-request-id', request.id)
    // Neither requestCompleted nor onResponse, which never come when the client has gone.
    reply.raw.once('close', () => {
      logRequest(request, reply)
      this.#onEnd(request, reply)
    })
  }

  override requestCompleted(): void {}

  override streamError(error: Error, _request: FastifyRequest, reply: FastifyReply): void {
    // That the client has gone is in the request's line.
    if (errorCode(error) !== 'ERR_STREAM_PREMATURE_CLOSE')
      reply.log.error({ err: error }, 'answer broken off')
  }
}

/** Milliseconds in which a fault that many requests meet is logged once. */
const FAULT_INTERVAL_MS = 10_000

/** Tells a fault from those that have just been logged, so that an outage is not a stack for each request. */
export class FaultLog {
  readonly #loggedAt = new Map<string, number>()

  /** Whether the fault of this code is to be logged now. */
  isDue(code: string): boolean {
    const now = performance.now()
    if (now - (this.#loggedAt.get(code) ?? -Infinity) < FAULT_INTERVAL_MS) return false
    this.#loggedAt.set(code, now)
    return true
  }
}
