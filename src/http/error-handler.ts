import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { PROBLEM_TYPE } from '../../schemas/problems.ts'
import { isDatabaseUnavailable, isLockTimeout, isSchemaOutdated } from '../database/faults.ts'
import { errorCode } from '../telemetry/request-log.ts'
import { writeErrorBody } from './error-body.ts'
import {
  ApiError,
  bodyTooLarge,
  databaseUnavailable,
  internalError,
  invalidRequest,
  lockTimeout,
  outOfFiles,
  schemaOutdated,
  unsupportedMediaType
} from './errors.ts'
import { describeValidationErrors } from './validation-error.ts'
import { removeToken } from './write-tokens.ts'

/** Fastify's own errors, by code, as errors of this service's contract. */
const frameworkErrors: Record<string, (error: FastifyError) => ApiError> = {
  FST_ERR_BAD_URL: () => new ApiError(400, 'INVALID_URL', 'the path is not valid percent-encoded UTF-8'),
  FST_ERR_CTP_BODY_TOO_LARGE: () => bodyTooLarge('1 MiB'),
  FST_ERR_CTP_INVALID_MEDIA_TYPE: () => unsupportedMediaType('the content type must be application/json')
}

/** Converts any error of a request to an error of this service's contract. */
export function toApiError(error: FastifyError, request: FastifyRequest): ApiError {
  if (error instanceof ApiError) return error
  // The client has disconnected. The error of its connection looks like an error of a database connection.
  if (request.raw.destroyed && request.raw.complete === false) {
    return new ApiError(400, 'REQUEST_ABORTED', 'the request was aborted')
  }
  if (error.validation)
    return invalidRequest(describeValidationErrors(error.validation, error.validationContext))
  const known = frameworkErrors[error.code]
  if (known) return known(error)
  // No more files may be open. They are closed again when other requests end.
  if (error.code === 'EMFILE' || error.code === 'ENFILE') return outOfFiles(error)
  if (isLockTimeout(error)) return lockTimeout(error)
  if (isSchemaOutdated(error)) return schemaOutdated([], error)
  if (isDatabaseUnavailable(error)) return databaseUnavailable(error)
  if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500) {
    return new ApiError(error.statusCode, 'INVALID_REQUEST', error.message)
  }
  return internalError(error)
}

/** Logs the cause of a 503. The log lines of the refused requests that follow have only its code. */
function logFault(cause: Error, { server, log }: FastifyRequest): void {
  if (isSchemaOutdated(cause)) {
    // The operator needs the command, not the stack.
    if (server.faultLog.isDue('SCHEMA_OUTDATED'))
      log.error({ reason: cause.message }, 'requests are refused: run `npm run migrate`')
  } else if (server.faultLog.isDue(errorCode(cause) ?? cause.name))
    log.error({ err: cause }, 'requests are refused')
}

/** Answers every error in the same form. What a caller must not see is only logged. */
export function sendError(error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  const { statusCode, code, message, retryAfter, details, cause } = toApiError(error, request)
  const causeCode = errorCode(cause)
  reply.failure = causeCode === undefined ? { code } : { code, cause: causeCode }
  if (statusCode === 500) request.log.error({ err: cause }, 'request failed')
  else if (statusCode > 500 && cause instanceof Error) logFault(cause, request)
  removeToken(reply)
  if (retryAfter !== undefined) reply.header('retry-after', retryAfter)
  const { type, text } = writeErrorBody(request.headers.accept, { statusCode, code, message, details })
  // Other clients get another body from the same address.
  if (type.startsWith(PROBLEM_TYPE)) reply.header('cache-control', 'no-store')
  // A route that streams another media type may have set it before it failed.
  reply.status(statusCode).type(type).send(text)
}
