/**
 * Failures in the form of the protocol. They have the fields of the service's errors too, so that callers of several
 * routes read one form.
 */
import { type TProperties, Type } from '@sinclair/typebox'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { errorProperties, errorResponse, stringEnum } from '../../schemas/common.ts'
import { sendError, toApiError } from '../http/error-handler.ts'
import {
  ApiError,
  internalError,
  invalidUtf8,
  repeatedKey,
  segmentNotFound,
  tooManyFlags
} from '../http/errors.ts'
import { MAX_BULK_FLAGS } from '../limits.ts'

/** The error codes of OpenFeature that the service answers. */
type ErrorCode = 'PARSE_ERROR' | 'TARGETING_KEY_MISSING' | 'INVALID_CONTEXT' | 'FLAG_NOT_FOUND' | 'GENERAL'

const isNothing = (value: unknown) => value === null || value === ''

/** Whether a body has no targeting key. Some clients send an empty one, or null. */
function lacksTargetingKey(error: FastifyError): boolean {
  const [refusal] = error.validation ?? []
  if (refusal === undefined || error.validationContext !== 'body') return false
  const { keyword, instancePath, params } = refusal
  if (keyword === 'required') return params['missingProperty'] === 'targetingKey' || instancePath === ''
  return /^\/context(\/targetingKey)?$/.test(instancePath) && 'data' in refusal && isNothing(refusal.data)
}

function toErrorCode(error: FastifyError, { statusCode, code }: ApiError): ErrorCode {
  if (statusCode === 404) return 'FLAG_NOT_FOUND'
  if (code === 'INVALID_JSON' || code === 'INVALID_UTF8') return 'PARSE_ERROR'
  if (lacksTargetingKey(error)) return 'TARGETING_KEY_MISSING'
  return error.validationContext === 'body' ? 'INVALID_CONTEXT' : 'GENERAL'
}

/** The additional fields of a failure whose form the protocol defines; undefined for others. */
function describeFailure(error: FastifyError, refused: ApiError, key: string | undefined) {
  const { statusCode, message } = refused
  if (statusCode === 500) return { errorDetails: message }
  if (statusCode !== 400 && statusCode !== 404) return undefined
  const failure = { errorCode: toErrorCode(error, refused), errorDetails: message }
  return key === undefined ? failure : { key, ...failure, metadata: {} }
}

/**
 * Answers an error.
 *
 * @param key the flag that was asked for; undefined if it was all of them.
 */
export function sendFailure(
  error: FastifyError,
  request: FastifyRequest,
  reply: FastifyReply,
  key?: string
): void {
  const refused = toApiError(error, request)
  const details = describeFailure(error, refused, key)
  const { statusCode, code, message, cause } = refused
  const failure = details && new ApiError(statusCode, code, message, { cause, details })
  sendError(failure ?? refused, request, reply)
}

const flagFields = {
  key: Type.String({ description: 'The flag that was asked for.' }),
  metadata: Type.Object({}, { description: 'Empty. Some clients fail without it.' })
}

/** Documents the failures of one status: an example for each code of the service. */
function failureResponse(
  title: string,
  description: string,
  errorCodes: readonly ErrorCode[],
  fields: TProperties,
  examples: Record<string, { message: string; errorCode: ErrorCode; key?: string; metadata?: object }>
) {
  const properties = {
    ...errorProperties(Object.keys(examples)),
    ...fields,
    errorCode: stringEnum(errorCodes, { description: 'The error code of OpenFeature.' }),
    errorDetails: Type.String({ description: 'The same as `message`.' })
  }
  const named = Object.entries(examples).map(([code, { message, ...example }]): [string, object] => [
    code,
    { value: { message, code, ...example, errorDetails: message } }
  ])
  return {
    description,
    content: {
      'application/json': {
        schema: Type.Object(properties, { title }),
        examples: Object.fromEntries(named)
      }
    }
  }
}

/** The failures of every evaluation. */
export const evaluationFailures = {
  400: failureResponse(
    'EvaluationError',
    'The request is not valid, the context names no user, or there are too many segments to evaluate all of them.',
    ['TARGETING_KEY_MISSING', 'INVALID_CONTEXT', 'PARSE_ERROR', 'GENERAL'],
    { key: Type.Optional(flagFields.key), metadata: Type.Optional(flagFields.metadata) },
    {
      INVALID_REQUEST: {
        message: 'body field (context.targetingKey) is missing',
        errorCode: 'TARGETING_KEY_MISSING'
      },
      INVALID_JSON: { message: repeatedKey('context').message, errorCode: 'PARSE_ERROR' },
      INVALID_UTF8: { message: invalidUtf8().message, errorCode: 'PARSE_ERROR' },
      TOO_MANY_FLAGS: { message: tooManyFlags(MAX_BULK_FLAGS).message, errorCode: 'GENERAL' }
    }
  ),
  500: errorResponse(
    'EvaluationInternalError',
    'The service failed. The failure is logged.',
    { INTERNAL_ERROR: internalError(undefined).message },
    {
      properties: { errorDetails: Type.String({ description: 'The same as `message`.' }) },
      example: { errorDetails: internalError(undefined).message }
    }
  )
}

const SLUG = 'AVITO_VOICE_MESSAGES'

export const flagNotFound = failureResponse(
  'FlagNotFoundError',
  'There is no such segment or group, or it is deleted.',
  ['FLAG_NOT_FOUND'],
  flagFields,
  {
    SEGMENT_NOT_FOUND: {
      message: segmentNotFound(SLUG).message,
      key: SLUG,
      errorCode: 'FLAG_NOT_FOUND',
      metadata: {}
    }
  }
)
