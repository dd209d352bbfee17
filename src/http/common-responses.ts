import { errorResponse, passingErrorResponse } from '../../schemas/common.ts'
import type { Role } from './api-keys.ts'
import { databaseUnavailable, deadlineExceeded, lockTimeout, overloaded } from './errors.ts'

/** What every route may answer. */
export const requestErrors = {
  400: errorResponse('The request is not valid.', {
    INVALID_REQUEST: 'path parameter (user_id) must be an integer from 1 to 9223372036854775807'
  })
}

/** Why the database may have no answer in time, as examples of 503. */
export const databaseFaults = {
  DATABASE_UNAVAILABLE: databaseUnavailable().message,
  LOCK_TIMEOUT: lockTimeout().message,
  DEADLINE_EXCEEDED: deadlineExceeded().message
}

/** What every route that needs the database may answer. */
export const commonErrors = {
  ...requestErrors,
  500: errorResponse('The service failed. The failure is logged; nothing has changed.', {
    INTERNAL_ERROR: 'the service failed on this request; the failure has been logged'
  }),
  503: passingErrorResponse(
    'The service cannot answer now. `Retry-After` says in how many seconds to try again.',
    {
      OVERLOADED: overloaded.message,
      ...databaseFaults
    }
  )
}

/** What every list may answer besides. */
export const pageErrors = errorResponse('The request is not valid.', {
  INVALID_REQUEST: 'query parameter (limit) must be an integer from 1 to 1000',
  INVALID_CURSOR: 'query parameter (cursor) must be the next_cursor of an answer of this list'
})

/** What every route with a body may answer besides. */
export const commonBodyErrors = {
  400: errorResponse('The request is not valid.', {
    INVALID_REQUEST: 'unknown body field (colour)',
    INVALID_JSON: 'the body is not valid JSON'
  }),
  413: errorResponse('The body is too large.', { BODY_TOO_LARGE: 'the body is larger than 1 MiB' }),
  415: errorResponse('The body is not JSON by its content type.', {
    UNSUPPORTED_MEDIA_TYPE: 'the content type must be application/json'
  })
}

const keyErrors = {
  401: {
    ...errorResponse('No valid key came with the request.', {
      UNAUTHENTICATED: 'header (authorization) has the secret of no key'
    }),
    headers: { 'WWW-Authenticate': { type: 'string', examples: ['Bearer realm="user-segments"'] } }
  },
  429: passingErrorResponse('The key has sent more requests than it may.', {
    RATE_LIMITED: 'key (billing) may send 1000 requests a second'
  })
}

/** What every route that needs a key may answer. A key has the role `reader` at the least. */
export function roleErrors(needed: Role) {
  if (needed === 'reader') return keyErrors
  return {
    ...keyErrors,
    403: errorResponse('The role of the key does not reach. Nothing has changed.', {
      FORBIDDEN: `key (billing) has the role reader, this needs the role ${needed}`
    })
  }
}
