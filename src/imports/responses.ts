/** What the answers of uploads have in common, for their documentation. */
import { Type } from '@sinclair/typebox'
import { errorResponse, retryableErrorResponse } from '../../schemas/common.ts'
import { ImportErrorSchema } from '../../schemas/imports.ts'
import {
  commonErrors,
  conflictResponse,
  idempotencyErrors,
  unavailableExamples
} from '../http/common-responses.ts'
import {
  bodyTooLarge,
  invalidJson,
  invalidUtf8,
  requestTimeout,
  segmentBeingFilled,
  segmentIsHoldout,
  shuttingDown,
  tooManyImports,
  tooManyLines,
  tooManyRemoved
} from '../http/errors.ts'
import { MAX_UPLOAD_LINES } from '../limits.ts'
import { uploadForms } from './gather.ts'
import { idReason } from './lines.ts'
import { MAX_UPLOAD_SIZE } from './receive.ts'
import { FORM } from './upload-body.ts'

/** The media types of uploads. */
export const mediaTypes = [...Object.keys(uploadForms), FORM]
export const mediaTypeMessage = `the content type must be ${mediaTypes.slice(0, -1).join(', ')} or ${mediaTypes.at(-1)}`

/** The errors of every upload. */
export const uploadErrors = {
  ...commonErrors,
  ...idempotencyErrors,
  400: {
    description: 'The request is not valid, or lines were rejected. Nothing has changed.',
    content: {
      'application/json': {
        schema: ImportErrorSchema,
        examples: {
          LINES_REJECTED: {
            value: {
              message: `nothing has changed, as lines were rejected: 1 of 3, line 2 (abc) ${idReason}`,
              code: 'LINES_REJECTED',
              lines: 3,
              added: 2,
              already_members: 0,
              new_users: 2,
              rejected: { count: 1, first: [{ line: 2, value: 'abc', reason: idReason }] }
            }
          },
          INVALID_REQUEST: { value: { message: 'unknown column (colour)', code: 'INVALID_REQUEST' } },
          INVALID_JSON: { value: { message: invalidJson().message, code: 'INVALID_JSON' } },
          INVALID_UTF8: { value: { message: invalidUtf8('UTF-16').message, code: 'INVALID_UTF8' } }
        }
      }
    }
  },
  408: errorResponse(
    'RequestTimeoutError',
    'The upload paused for half a minute, or brought less than 1 KiB a second for a minute. Nothing has changed.',
    {
      REQUEST_TIMEOUT: requestTimeout().message
    }
  ),
  413: errorResponse(
    'UploadTooLargeError',
    'The body is too large, or has too many lines. Nothing has changed.',
    {
      BODY_TOO_LARGE: bodyTooLarge(MAX_UPLOAD_SIZE).message,
      TOO_MANY_LINES: tooManyLines(MAX_UPLOAD_LINES).message
    }
  ),
  415: errorResponse(
    'UnsupportedUploadTypeError',
    'The body has another content type, or is compressed otherwise than with gzip. Nothing has changed.',
    { UNSUPPORTED_MEDIA_TYPE: mediaTypeMessage }
  ),
  503: retryableErrorResponse(
    'UploadUnavailableError',
    'The service cannot answer now, or the outcome is not known: send the upload again after `Retry-After` ' +
      'seconds. Nothing is done twice.',
    {
      TOO_MANY_IMPORTS: tooManyImports().message,
      SHUTTING_DOWN: shuttingDown().message,
      ...unavailableExamples
    }
  )
}

/** What is common to all uploads. The description of the document has more. */
export const uploadDescription =
  'The upload is CSV, newline-delimited JSON or a JSON array, also as a form or compressed with gzip. It takes effect as ' +
  'a whole, at one moment, once all of it has arrived. The answer accounts for every line.'

/** The error 409 of a replacement. */
export const replacementConflict = conflictResponse(
  'ReplacementConflictError',
  'Too many users would be removed, or the segment is a holdout or is being filled. Nothing has changed.',
  {
    TOO_MANY_REMOVED: tooManyRemoved('AVITO_VOICE_MESSAGES', 5_000, 1_000).message,
    SEGMENT_IS_HOLDOUT: segmentIsHoldout('AVITO_VOICE_MESSAGES').message,
    SEGMENT_BEING_FILLED: segmentBeingFilled('AVITO_VOICE_MESSAGES').message
  },
  {
    properties: {
      removed: Type.Optional(
        Type.Integer({ description: 'With `TOO_MANY_REMOVED`: how many users would be removed.' })
      )
    },
    example: { removed: 5_000 }
  }
)
