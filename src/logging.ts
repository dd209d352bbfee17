import { LogController } from 'fastify'

/** One line a request, when it has been answered. Errors have their own line, from the error handler. */
export class RequestLog extends LogController {
  override incomingRequest(): void {}

  override requestCompleted(...[error, request, reply]: Parameters<LogController['requestCompleted']>): void {
    const line = {
      method: request.method,
      // Without its query, where some callers put their secrets.
      url: request.url.split('?', 1)[0],
      key: request.actor?.name,
      status: reply.statusCode,
      milliseconds: Math.round(reply.elapsedTime * 1000) / 1000
    }
    if (error) reply.log.warn({ ...line, err: error }, 'request broken off')
    else reply.log.info(line, 'request')
  }
}
