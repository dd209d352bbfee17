type ErrorOptions = { cause?: unknown; retryAfter?: number; details?: Record<string, unknown> }

/** The only class of errors that requests are answered with. */
export class ApiError extends Error {
  override name = 'ApiError'
  /** The HTTP status. */
  readonly statusCode: number
  /** Machine-readable; part of the contract. */
  readonly code: string
  /** Seconds after which the same request may succeed. */
  readonly retryAfter: number | undefined
  /** Additional fields of the answer. */
  readonly details: Record<string, unknown> | undefined

  constructor(
    statusCode: number,
    code: string,
    message: string,
    { cause, retryAfter, details }: ErrorOptions = {}
  ) {
    super(message, { cause })
    this.statusCode = statusCode
    this.code = code
    this.retryAfter = retryAfter
    this.details = details
  }
}

/** Shortens input that a message quotes to 100 characters, and replaces control characters such as line breaks. */
export function shorten(text: string): string {
  const echo = text.length > 100 ? `${text.slice(0, 100).toWellFormed()}…` : text
  return echo.replaceAll(/\p{Cc}/gu, '\ufffd')
}

/** Seconds after which a caller may try again, if no better value is known. */
const RETRY_AFTER = 1

export const invalidRequest = (message: string) => new ApiError(400, 'INVALID_REQUEST', message)

export const duplicateSlug = (slug: string) =>
  new ApiError(400, 'DUPLICATE_SLUG', `segment with slug (${slug}) appears more than once in the request`)

export const invalidJson = (message = 'the body is not valid JSON') =>
  new ApiError(400, 'INVALID_JSON', message)

export const repeatedKey = (key: string) =>
  invalidJson(`the body is ambiguous: key (${shorten(key)}) appears more than once in an object`)

/** @param encoding what the body seems to be instead, if that is known. */
export const invalidUtf8 = (encoding?: string) =>
  new ApiError(
    400,
    'INVALID_UTF8',
    encoding === undefined
      ? 'the body is not valid UTF-8'
      : `the body must be UTF-8: it seems to be ${encoding}`
  )

/** @param account the outcome of the upload's lines, which the answer includes. */
export const linesRejected = (message: string, account: Record<string, unknown>) =>
  new ApiError(400, 'LINES_REJECTED', message, { details: account })

export const requestTimeout = () =>
  new ApiError(408, 'REQUEST_TIMEOUT', 'the request did not arrive whole in time')

export const bodyTooLarge = (limit: string) =>
  new ApiError(413, 'BODY_TOO_LARGE', `the body is larger than ${limit}`)

export const tooManyLines = (limit: number) =>
  new ApiError(413, 'TOO_MANY_LINES', `the upload has more than ${limit} lines: split it`)

export const unsupportedMediaType = (message: string) => new ApiError(415, 'UNSUPPORTED_MEDIA_TYPE', message)

/** @param supported the encoding that is supported. */
export const compressedBody = (encoding: string, supported?: string) =>
  unsupportedMediaType(
    `the content encoding (${shorten(encoding)}) is not supported: send the body ` +
      (supported === undefined
        ? 'uncompressed, without Content-Encoding'
        : `uncompressed, or with ${supported}`)
  )

export const expiryPassed = () =>
  new ApiError(400, 'EXPIRY_PASSED', 'body field (expires_at) must be in the future')

export const invalidCursor = () =>
  new ApiError(
    400,
    'INVALID_CURSOR',
    'query parameter (cursor) must be the next_cursor of an answer of this list'
  )

/** @param name the query parameter or header with the cursor. */
export const invalidChangeCursor = (name: string) =>
  new ApiError(
    400,
    'INVALID_CURSOR',
    `${name} must be a cursor of the change feed, a day, \`start\` or \`now\``
  )

export const cursorExpired = () =>
  new ApiError(
    410,
    'CURSOR_EXPIRED',
    'the changes after this cursor are no longer kept: read the members again, and follow from there'
  )

export const unauthenticated = (message: string) => new ApiError(401, 'UNAUTHENTICATED', message)

/** @param host the header, or what is not valid in it. */
export const hostNotAllowed = (host: string) =>
  new ApiError(
    421,
    'HOST_NOT_ALLOWED',
    `host (${shorten(host)}) is not known to be this service: add it to ALLOWED_HOSTS, or configure API_KEYS`
  )

export const originForbidden = (origin: string) =>
  new ApiError(
    403,
    'FORBIDDEN',
    `a page of (${shorten(origin)}) may change nothing: add its origin to CORS_ORIGINS, or configure API_KEYS`
  )

export const forbidden = (name: string, role: string, needed: string) =>
  new ApiError(403, 'FORBIDDEN', `key (${name}) has the role ${role}, this needs the role ${needed}`)

/** @param sender the key or the address that the requests are counted by. */
export const rateLimited = (sender: string, limit: number) =>
  new ApiError(429, 'RATE_LIMITED', `${sender} may send ${limit} requests a second`, {
    retryAfter: RETRY_AFTER
  })

export const userNotFound = (userId: string) =>
  new ApiError(404, 'USER_NOT_FOUND', `user with id (${userId}) not found`)

/** @param slugs those that name no segment or a deleted one. */
export const segmentsNotFound = (slugs: readonly string[]) =>
  new ApiError(404, 'SEGMENTS_NOT_FOUND', 'some segments not found', { details: { segments: slugs } })

export const segmentNotFound = (slug: string) =>
  new ApiError(404, 'SEGMENT_NOT_FOUND', `segment with slug (${slug}) not found`)

/** @param limit how many flags an answer may have. */
export const tooManyFlags = (limit: number) =>
  new ApiError(
    400,
    'TOO_MANY_FLAGS',
    `there are more than ${limit} segments: evaluate them one at a time, or delete those that are not used`
  )

export const segmentNotFoundForDelete = (slug: string) =>
  new ApiError(404, 'SEGMENT_NOT_FOUND', `segment with slug (${slug}) is not found for delete`)

/** @param details when the segment with this slug was deleted, if it was. */
export const segmentAlreadyExists = (slug: string, details: { deleted_at?: string } = {}) =>
  new ApiError(409, 'SEGMENT_ALREADY_EXISTS', `segment with slug (${slug}) already exists`, { details })

export const groupNotFound = (slug: string) =>
  new ApiError(404, 'GROUP_NOT_FOUND', `group with slug (${slug}) not found`)

/** @param details when the group with this slug was deleted, if it was. */
export const groupAlreadyExists = (slug: string, details: { deleted_at?: string } = {}) =>
  new ApiError(409, 'GROUP_ALREADY_EXISTS', `group with slug (${slug}) already exists`, { details })

/** The user is in another segment of the group. */
export const groupConflict = (userId: string, segment: string, other: string, group: string) =>
  new ApiError(
    409,
    'GROUP_CONFLICT',
    `user with id (${userId}) cannot be in segments (${segment}) and (${other}), which are both in group (${group})`,
    { details: { segment, other_segment: other, group } }
  )

/** Users are in a segment and in another one of the group that it is to enter. */
export const groupOverlap = (segment: string, group: string, users: number) =>
  new ApiError(
    409,
    'GROUP_CONFLICT',
    `segment with slug (${segment}) has ${users} users who are in another segment of group (${group})`,
    { details: { users } }
  )

/** @param free how many users may be sampled. */
export const groupExhausted = (group: string, needed: number, free: number) =>
  new ApiError(
    409,
    'GROUP_EXHAUSTED',
    `${needed} more users are needed, but only ${free} are free in group (${group})`,
    { details: { free_users: free } }
  )

/** @param share the sum of the shares. */
export const enrollmentExhausted = (group: string, share: string) =>
  new ApiError(
    409,
    'GROUP_EXHAUSTED',
    `the segments of group (${group}) cannot enroll new users with shares of ${share} together: at most 1`
  )

export const groupFull = (group: string, limit: number) =>
  new ApiError(409, 'GROUP_FULL', `group with slug (${group}) has ${limit} segments already`)

export const segmentIsHoldout = (slug: string) =>
  new ApiError(
    409,
    'SEGMENT_IS_HOLDOUT',
    `segment with slug (${slug}) is a holdout: users join it only by sampling and enrollment`
  )

/** @param removed how many users would have to be removed from the segment. */
export const tooManyRemoved = (slug: string, removed: number, limit: number) =>
  new ApiError(
    409,
    'TOO_MANY_REMOVED',
    `${removed} users would be removed from segment with slug (${slug}), and at most ${limit} may be: see max_removed`,
    { details: { removed } }
  )

export const holdoutWithoutGroup = () => invalidRequest('body field (holdout) needs a group')

export const idempotencyKeyInUse = () =>
  new ApiError(
    409,
    'IDEMPOTENCY_KEY_IN_USE',
    'a request with this header (idempotency-key) is still in progress, try again later',
    { retryAfter: RETRY_AFTER }
  )

export const idempotencyKeyReused = () =>
  new ApiError(
    422,
    'IDEMPOTENCY_KEY_REUSED',
    'header (idempotency-key) was used for another request: use a new key for each write'
  )

export const segmentBeingFilled = (slug: string) =>
  new ApiError(409, 'SEGMENT_BEING_FILLED', `segment with slug (${slug}) is still being filled`, {
    retryAfter: RETRY_AFTER
  })

export const reportNotFound = (filename: string) =>
  new ApiError(404, 'REPORT_NOT_FOUND', `report (${filename}) not found: order it first`)

export const reportPending = (filename: string) =>
  new ApiError(404, 'REPORT_PENDING', `report (${filename}) is being made`, { retryAfter: RETRY_AFTER })

export const reportFailed = (filename: string) =>
  new ApiError(404, 'REPORT_FAILED', `report (${filename}) could not be made: order it again`)

export const reportExpired = (filename: string) =>
  new ApiError(410, 'REPORT_EXPIRED', `report (${filename}) has expired: order it again`)

export const tooManyReports = () =>
  new ApiError(503, 'TOO_MANY_REPORTS', 'too many reports are in progress, try again later', {
    retryAfter: 5
  })

/** @param name the name of the API key; empty if the service runs without keys. */
export const reportQuotaExceeded = (name: string, bound: string) =>
  new ApiError(
    429,
    'REPORT_QUOTA_EXCEEDED',
    `${name === '' ? 'the callers have' : `key (${name}) has`} ${bound}: wait, or delete some by DELETE of their links`,
    { retryAfter: 5 }
  )

export const crossSiteOrder = () =>
  new ApiError(403, 'CROSS_SITE_ORDER', 'a page of another site cannot order a report')

export const rangeNotSatisfiable = (size: number) =>
  new ApiError(416, 'RANGE_NOT_SATISFIABLE', `header (range) begins after the end of the file: ${size} bytes`)

/** @param limit how many webhooks there may be. */
export const tooManyWebhooks = (limit: number) =>
  new ApiError(409, 'TOO_MANY_WEBHOOKS', `there are ${limit} webhooks: delete one first`)

export const webhookNotFound = (id: string) =>
  new ApiError(404, 'WEBHOOK_NOT_FOUND', `webhook with id (${id}) not found`)

export const tooManyImports = () =>
  new ApiError(503, 'TOO_MANY_IMPORTS', 'too many imports are in progress, try again later', {
    retryAfter: 5
  })

export const routeNotFound = (path: string) =>
  new ApiError(404, 'ROUTE_NOT_FOUND', `path (${path}) not found`)

export const methodNotAllowed = (method: string, path: string) =>
  new ApiError(405, 'METHOD_NOT_ALLOWED', `method (${method}) is not allowed for path (${path})`)

export const serviceUnavailable = (code: string, message: string, cause?: unknown) =>
  new ApiError(503, code, message, { cause, retryAfter: RETRY_AFTER })

/** @param missing the migrations, if they are known. */
export const schemaOutdated = (missing: string[] = [], cause?: unknown) =>
  serviceUnavailable(
    'SCHEMA_OUTDATED',
    `the schema lacks migrations${missing.length > 0 ? ` (${missing.join(', ')})` : ''}`,
    cause
  )

export const shuttingDown = () => serviceUnavailable('SHUTTING_DOWN', 'the service is shutting down')

export const internalError = (cause: unknown) =>
  new ApiError(500, 'INTERNAL_ERROR', 'the service failed on this request; the failure has been logged', {
    cause
  })

export const deadlineExceeded = () =>
  serviceUnavailable('DEADLINE_EXCEEDED', 'the request could not be answered in time, try again later')

export const outOfFiles = (cause: unknown) =>
  serviceUnavailable('OVERLOADED', 'too many files are open, try again later', cause)

/** Created once: recording a stack takes a tenth of the time of a refusal, is of no use, and happens under overload. */
export const overloaded = serviceUnavailable('OVERLOADED', 'too many requests are in flight, try again later')

export const databaseUnavailable = (cause?: unknown) =>
  serviceUnavailable('DATABASE_UNAVAILABLE', 'the database cannot answer now, try again later', cause)

export const storageUnavailable = (cause?: unknown) =>
  serviceUnavailable(
    'STORAGE_UNAVAILABLE',
    'the storage of the reports cannot answer now, try again later',
    cause
  )

export const lockTimeout = (cause?: unknown) =>
  serviceUnavailable(
    'LOCK_TIMEOUT',
    'another request is changing the same user or segment, try again later',
    cause
  )
