import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { type FastifyReply, type FastifyRequest, LogController } from 'fastify'
import { FAULT_LOG_INTERVAL_MS } from '../limits.ts'

declare module 'fastify' {
  interface FastifyInstance {
    faultLog: FaultLog
  }
  interface FastifyReply {
    /** Why the request failed, for its log line. */
    failure?: Failure
  }
}

type Failure = {
  /** The code of the answer. */
  code: string
  /** The code of the underlying error: a code of Node.js, or an SQLSTATE. */
  cause?: string
}

/** The status of a request that was aborted before the end of its answer, as proxies log it. */
const ABORTED = 499

const requestIdPattern = /^[A-Za-z0-9._-]{1,128}$/

/** The id of a request: the caller's `x-request-id` if it is valid, otherwise a new one. */
export function takeRequestId({ headers }: Pick<IncomingMessage, 'headers'>): string {
  const given = headers['x-request-id']
  return typeof given === 'string' && requestIdPattern.test(given) ? given : randomUUID()
}

/** The final status of a request that has ended. */
export function finalStatus({ raw }: FastifyReply): number {
  return raw.writableEnded ? raw.statusCode : ABORTED
}

/** The code of an error, if it has one. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined
}

function logRequest({ method, url, actor }: FastifyRequest, reply: FastifyReply): void {
  const status = finalStatus(reply)
  const milliseconds = Math.round(reply.elapsedTime * 1000) / 1000
  // Without the query, in which some callers send secrets.
  const [path = ''] = url.split('?', 1)
  const line = { method, url: hideUserIds(path), key: actor?.name, status, milliseconds, ...reply.failure }
  if (status >= 500) reply.log.warn(line, 'request')
  else reply.log.info(line, status === ABORTED ? 'request aborted' : 'request')
}

/** Replaces the user ids in a path or in the name of a report, because the log must not name a user who is erased. */
export function hideUserIds(path: string): string {
  return path.replace(/(\/users?\/|\buser-)\d+/g, '$1*')
}

/**
 * Logs one line for each request when it has ended. The error handler logs errors separately.
 *
 * Fastify calls this for every request before anything else, including requests that it refuses before any hook. So the
 * id of the request is added to the answer here.
 */
export class RequestLog extends LogController {
  readonly #onEnd: (request: FastifyRequest, reply: FastifyReply) => void

  /** @param onEnd is called for each request that has ended. */
  constructor(onEnd: (request: FastifyRequest, reply: FastifyReply) => void = () => {}) {
    super({ requestIdLogLabel: 'request_id' })
    this.#onEnd = onEnd
  }

  override incomingRequest(request: FastifyRequest, reply: FastifyReply): void {
    reply.header('x-request-id', request.id)
    // Not requestCompleted or onResponse: neither is called if the client disconnects.
    reply.raw.once('close', () => {
      logRequest(request, reply)
      this.#onEnd(request, reply)
    })
  }

  override requestCompleted(): void {}

  override streamError(error: Error, _request: FastifyRequest, reply: FastifyReply): void {
    // The log line of the request already shows that the client disconnected.
    if (errorCode(error) !== 'ERR_STREAM_PREMATURE_CLOSE') reply.log.error({ err: error }, 'answer aborted')
  }
}

/** Limits how often a fault is logged, so that an outage does not log a stack for each request. */
export class FaultLog {
  readonly #loggedAt = new Map<string, number>()

  /** Whether to log a fault with this code now. */
  isDue(code: string): boolean {
    const now = performance.now()
    if (now - (this.#loggedAt.get(code) ?? -Infinity) < FAULT_LOG_INTERVAL_MS) return false
    this.#loggedAt.set(code, now)
    return true
  }
}
