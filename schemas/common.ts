import { type Static, type TObject, type TProperties, type TSchema, Type } from '@sinclair/typebox'

/** A request's object that refuses fields it does not name: a typo must not look like success. */
export function closedObject<T extends TProperties>(
  properties: T,
  options: Record<string, unknown> = {}
): TObject<T> {
  return Type.Object(properties, { ...options, additionalProperties: false })
}

export const MAX_USER_ID = 2n ** 63n - 1n

/** Beyond JavaScript's exact integers (2^53), so ids are text all the way from the URL to PostgreSQL's bigint. */
export const UserIdSchema = Type.String({
  title: 'UserId',
  description: 'A user id: an integer from 1 to 9223372036854775807.',
  pattern: '^[1-9][0-9]{0,18}$',
  format: 'user-id',
  'x-expected': 'an integer from 1 to 9223372036854775807',
  examples: ['10']
})
export type UserId = Static<typeof UserIdSchema>

export const SlugSchema = Type.String({
  title: 'Slug',
  description:
    'The name of a segment: 1 to 128 characters, a letter or digit, then letters, digits, `_`, `-`, `.`. ' +
    'Case makes no difference; slugs are kept and answered in upper case.',
  minLength: 1,
  maxLength: 128,
  pattern: '^[A-Za-z0-9][A-Za-z0-9_.-]*$',
  'x-expected': '1 to 128 characters: a letter or digit, then letters, digits, "_", "-" or "."',
  examples: ['AVITO_VOICE_MESSAGES']
})
export type Slug = Static<typeof SlugSchema>

/** Year 0 passes JSON Schema's `date` and does not exist in PostgreSQL. */
export const DateSchema = Type.String({
  title: 'Date',
  description: 'A day that exists, in UTC, as `YYYY-MM-DD`.',
  format: 'date',
  pattern: '^(?!0000)[0-9]{4}-[0-9]{2}-[0-9]{2}$',
  'x-expected': 'a day that exists, as YYYY-MM-DD',
  examples: ['2023-08-01']
})
export type CalendarDate = Static<typeof DateSchema>

/** A query parameter that is `true` or `false`; the first example is what Swagger UI fills in. */
export const flagSchema = (description: string) =>
  Type.Unsafe<'true' | 'false'>({
    type: 'string',
    enum: ['false', 'true'],
    'x-expected': 'true or false',
    description,
    examples: ['false']
  })

/** A moment: RFC 3339, with any offset. The format is the service's own `isTime`. */
export const TimeSchema = Type.String({
  title: 'Time',
  description: 'A time as in RFC 3339, in the years 1 to 9999; microseconds count.',
  format: 'date-time',
  'x-expected': 'a time as in RFC 3339, such as 2026-11-23T08:51:00Z',
  examples: ['2023-08-01T00:00:00Z']
})
export type Time = Static<typeof TimeSchema>

/** A time in an answer: in UTC, with microseconds. */
export const AnsweredTimeSchema = Type.String({ format: 'date-time' })

export const ErrorSchema = Type.Object(
  {
    message: Type.String({ description: 'One sentence for people; it names what is wrong.' }),
    code: Type.String({ description: 'For programs; it stays the same.', pattern: '^[A-Z_]+$' })
  },
  { $id: 'Error', title: 'Error', description: 'The answer to every request that failed.' }
)
export type ErrorBody = Static<typeof ErrorSchema>

/** `200` with nothing in it. */
export function emptyResponse(description: string) {
  return Type.Unsafe<void>(Type.Null({ description }))
}

const retryAfterHeader = {
  'Retry-After': { type: 'integer', description: 'Seconds after which to try again.', examples: [1] }
}

/** The failures of one status, each with its code and an example of its message. */
export function errorResponse(description: string, examples: Record<string, string>) {
  return {
    description,
    content: {
      'application/json': {
        schema: Type.Unsafe<ErrorBody>({ $ref: 'Error#' }),
        examples: Object.fromEntries(
          Object.entries(examples).map(([code, message]) => [code, { value: { message, code } }])
        )
      }
    }
  }
}

/** Failures, of which some at least will pass. */
export function passingErrorResponse(description: string, examples: Record<string, string>) {
  return { ...errorResponse(description, examples), headers: retryAfterHeader }
}

/** A response of another media type than JSON. */
export function contentResponse<T extends TSchema>(description: string, mediaType: string, schema: T) {
  return { description, content: { [mediaType]: { schema } } }
}
