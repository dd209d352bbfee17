import { Type } from '@sinclair/typebox'
import { errorResponse, retryableErrorResponse } from '../../schemas/common.ts'
import { STRANGER_RATE_LIMIT } from '../limits.ts'
import type { Role } from './api-keys.ts'
import {
  bodyTooLarge,
  databaseUnavailable,
  deadlineExceeded,
  duplicateSlug,
  forbidden,
  groupNotFound,
  hostNotAllowed,
  idempotencyKeyInUse,
  idempotencyKeyReused,
  internalError,
  invalidCursor,
  invalidUtf8,
  lockTimeout,
  overloaded,
  rateLimited,
  repeatedKey,
  schemaOutdated,
  segmentNotFound,
  segmentsNotFound,
  storageUnavailable,
  tooManyReports,
  userNotFound
} from './errors.ts'

/** The errors of every route. */
export const requestErrors = {
  400: errorResponse('InvalidRequestError', 'The request is not valid.', {
    INVALID_REQUEST: 'path parameter (user_id) must be an integer from 1 to 9223372036854775807'
  })
}

/** The additional error of every route that a page of another site could call. */
export const hostErrors = {
  421: errorResponse('HostNotAllowedError', 'The service has no keys, and is not known by this host name.', {
    HOST_NOT_ALLOWED: hostNotAllowed('segments.example').message
  })
}

/** Examples of 503: reasons why the service or the database does not answer in time. */
export const unavailableExamples = {
  OVERLOADED: overloaded.message,
  DATABASE_UNAVAILABLE: databaseUnavailable().message,
  LOCK_TIMEOUT: lockTimeout().message,
  SCHEMA_OUTDATED: schemaOutdated().message,
  DEADLINE_EXCEEDED: deadlineExceeded().message
}

/** The error 503 of every route that needs the storage of the reports. */
export const reportsUnavailable = {
  503: retryableErrorResponse(
    'ReportsUnavailableError',
    'The service cannot answer now. An order is also refused while too many reports are in progress.',
    {
      TOO_MANY_REPORTS: tooManyReports().message,
      STORAGE_UNAVAILABLE: storageUnavailable().message,
      ...unavailableExamples
    }
  )
}

/** The errors of every route that needs the database or the disk. */
export const commonErrors = {
  ...requestErrors,
  500: errorResponse('InternalError', 'The service failed. The failure is logged, and nothing has changed.', {
    INTERNAL_ERROR: internalError(undefined).message
  }),
  503: retryableErrorResponse(
    'UnavailableError',
    'The service cannot answer now. `Retry-After` says in how many seconds to try again.',
    unavailableExamples
  )
}

/** The errors of a route that also answers without the database. */
export const overloadErrors = {
  ...requestErrors,
  500: commonErrors[500],
  503: retryableErrorResponse('OverloadedError', 'The service has too many requests.', {
    OVERLOADED: overloaded.message,
    DEADLINE_EXCEEDED: deadlineExceeded().message
  })
}

/** The error 400 of every list. */
export const pageErrors = errorResponse('InvalidPageError', 'The request is not valid.', {
  INVALID_REQUEST: 'query parameter (limit) must be an integer from 1 to 1000',
  INVALID_CURSOR: invalidCursor().message
})

/** The additional errors of every route with a body. */
export const commonBodyErrors = {
  400: errorResponse('InvalidBodyError', 'The request is not valid.', {
    INVALID_REQUEST: 'unknown body field (colour)',
    INVALID_JSON: repeatedKey('slug').message,
    INVALID_UTF8: invalidUtf8().message
  }),
  413: errorResponse('BodyTooLargeError', 'The body is too large.', {
    BODY_TOO_LARGE: bodyTooLarge('1 MiB').message
  }),
  415: errorResponse(
    'UnsupportedMediaTypeError',
    'The body is not JSON by its content type, or is compressed.',
    {
      UNSUPPORTED_MEDIA_TYPE: 'the content type must be application/json'
    }
  )
}

const keyInUse = { IDEMPOTENCY_KEY_IN_USE: idempotencyKeyInUse().message }

/** The error 409 of a write that has further reasons to refuse, with a message for the code of each. */
export function conflictResponse(
  title: string,
  description: string,
  examples: Record<string, string>,
  details?: Parameters<typeof errorResponse>[3]
) {
  return retryableErrorResponse(
    title,
    `${description} Or a request with the same \`Idempotency-Key\` is still in progress.`,
    { ...examples, ...keyInUse },
    details
  )
}

/** The additional errors of every write. */
export const idempotencyErrors = {
  409: retryableErrorResponse(
    'IdempotencyKeyInUseError',
    'A request with the same `Idempotency-Key` is still in progress.',
    keyInUse
  ),
  422: errorResponse(
    'IdempotencyKeyReusedError',
    'The `Idempotency-Key` was used for another request. Nothing has changed.',
    { IDEMPOTENCY_KEY_REUSED: idempotencyKeyReused().message }
  )
}

export const unknownSegment = errorResponse(
  'SegmentNotFoundError',
  'There is no such segment. A deleted one can be read, but not changed.',
  { SEGMENT_NOT_FOUND: segmentNotFound('AVITO_VOICE_MESSAGES').message }
)

export const unknownGroup = errorResponse('GroupNotFoundError', 'There is no such group, or it is deleted.', {
  GROUP_NOT_FOUND: groupNotFound('CHECKOUT_TEST').message
})

/** The error 404 of a route that names a segment and a group. */
export const unknownSegmentOrGroup = errorResponse(
  'SegmentOrGroupNotFoundError',
  'There is no such segment or no such group, or it is deleted.',
  {
    SEGMENT_NOT_FOUND: segmentNotFound('AVITO_VOICE_MESSAGES').message,
    GROUP_NOT_FOUND: groupNotFound('CHECKOUT_TEST').message
  }
)

const unknownSegmentsDetails = {
  properties: {
    segments: Type.Array(Type.String(), {
      description: 'The slugs that name no segment, or a deleted one.'
    })
  },
  example: { segments: ['AVITO_VOICE_MESSAGES'] }
}

/** The error 404 of a route that names several segments in its body. */
export const unknownSegments = errorResponse(
  'SegmentsNotFoundError',
  'A slug names no segment, or a deleted one. Nothing has changed.',
  { SEGMENTS_NOT_FOUND: segmentsNotFound([]).message },
  unknownSegmentsDetails
)

/** The error 404 of a route that names several segments and a group in its body. */
export const unknownSegmentsOrGroup = errorResponse(
  'SegmentsOrGroupNotFoundError',
  'A slug names no segment or group, or a deleted one. Nothing has changed.',
  {
    SEGMENTS_NOT_FOUND: segmentsNotFound([]).message,
    GROUP_NOT_FOUND: groupNotFound('CHECKOUT_TEST').message
  },
  {
    ...unknownSegmentsDetails,
    properties: { segments: Type.Optional(unknownSegmentsDetails.properties.segments) }
  }
)

/** The error 400 of a route that names several segments in its body. */
export const invalidSlugs = errorResponse('InvalidSlugsError', 'The request is not valid.', {
  INVALID_REQUEST: 'unknown body field (colour)',
  DUPLICATE_SLUG: duplicateSlug('AVITO_VOICE_MESSAGES').message,
  INVALID_JSON: repeatedKey('slug').message,
  INVALID_UTF8: invalidUtf8().message
})

export const unknownUser = errorResponse('UserNotFoundError', 'The service has never seen this user.', {
  USER_NOT_FOUND: userNotFound('10').message
})

const keyErrors = {
  401: {
    ...errorResponse('UnauthenticatedError', 'The request has no valid key.', {
      UNAUTHENTICATED: 'header (authorization) matches no API key'
    }),
    headers: {
      'WWW-Authenticate': {
        type: 'string',
        description: 'How to send a key.',
        examples: ['Bearer realm="user-segments"']
      }
    }
  },
  429: retryableErrorResponse('RateLimitedError', 'The key has sent more requests than it may.', {
    RATE_LIMITED: rateLimited('key (billing)', 1000).message
  })
}

const rateLimitHeaders = {
  RateLimit: {
    type: 'string',
    description:
      'Only if requests are limited: how many more the key may send to this instance (`r`) in the next `t` seconds.',
    examples: ['"key";r=999;t=1']
  },
  'RateLimit-Policy': {
    type: 'string',
    description: 'Only if requests are limited: how many the key may send (`q`) in `w` seconds.',
    examples: ['"key";q=1000;w=1']
  }
}

/** Adds the response headers of a route that counts requests by key: to its successes, and to the refusal. */
export function withRateLimits(responses: Record<string, object & { headers?: object }>) {
  return Object.fromEntries(
    Object.entries(responses).map(([status, response]) => {
      const isNamed = status < '300' || status === '429'
      return [
        status,
        isNamed ? { ...response, headers: { ...response.headers, ...rateLimitHeaders } } : response
      ]
    })
  )
}

/** The additional errors of every route that anyone may call. */
export const openErrors = {
  429: retryableErrorResponse('AddressRateLimitedError', 'The address has sent more requests than it may.', {
    RATE_LIMITED: rateLimited('address (192.0.2.1)', STRANGER_RATE_LIMIT).message
  })
}

/** The additional errors of every route that requires a key. A key has at least the role `reader`. */
export function roleErrors(needed: Role) {
  if (needed === 'reader') return { ...keyErrors }
  return {
    ...keyErrors,
    403: errorResponse('ForbiddenError', 'The role of the key is not sufficient. Nothing has changed.', {
      FORBIDDEN: forbidden('billing', 'reader', needed).message
    })
  }
}
