import {
  type SchemaOptions,
  type Static,
  type TObject,
  type TProperties,
  type TSchema,
  Type
} from '@sinclair/typebox'

/*
 * A schema with a `title` becomes a component of that name in the OpenAPI document. `describe` makes a copy without the
 * title, for a place that needs another description.
 */

/** An object of a request. Unknown fields are refused, so that a typo does not look like success. */
export function closedObject<T extends TProperties>(
  properties: T,
  options: Record<string, unknown> = {}
): TObject<T> {
  return Type.Object(properties, { ...options, additionalProperties: false })
}

/** A copy of a schema with another description. The OpenAPI document contains the copy inline. */
export function describe<T extends TSchema>(schema: T, annotations: SchemaOptions) {
  const { title: _, ...rules } = schema
  return Type.Unsafe<Static<T>>({ ...rules, ...annotations })
}

/** An enum of strings. TypeBox's union of literals is an `anyOf`, for which generators create a type per branch. */
export function stringEnum<const T extends readonly string[]>(values: T, options: SchemaOptions = {}) {
  return Type.Unsafe<T[number]>({ type: 'string', enum: values, ...options })
}

/** Allows null besides what a schema of one type allows. */
export function nullable<T extends TSchema>(schema: T, annotations: SchemaOptions = {}) {
  return describe(Type.Unsafe<Static<T> | null>({ ...schema, type: [schema['type'], 'null'] }), annotations)
}

export const MAX_USER_ID = 2n ** 63n - 1n

/** Ids exceed JavaScript's exact integers (2^53), so they stay text from the URL to PostgreSQL's bigint. */
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
    'Case makes no difference: slugs are stored and returned in upper case.',
  minLength: 1,
  maxLength: 128,
  pattern: '^[A-Za-z0-9][A-Za-z0-9_.-]*$',
  'x-expected': '1 to 128 characters: a letter or digit, then letters, digits, "_", "-" or "."',
  examples: ['AVITO_VOICE_MESSAGES']
})
export type Slug = Static<typeof SlugSchema>

/**
 * Year 0 is valid in JSON Schema's `date` but does not exist in PostgreSQL. The pattern has no lookahead, which Go and
 * Rust don't support.
 */
export const DateSchema = Type.String({
  description: 'A day that exists, in UTC, as `YYYY-MM-DD`.',
  format: 'date',
  pattern: '^([1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-[0-9]{2}-[0-9]{2}$',
  'x-expected': 'a day that exists, as YYYY-MM-DD',
  examples: ['2023-08-01']
})
export type CalendarDate = Static<typeof DateSchema>

/**
 * A query parameter that is `true` or `false`, by default false. The schema requires it, so that handlers always have a
 * value: validation fills in the default first. In the OpenAPI document it is optional.
 */
export const flagSchema = (description: string) =>
  Type.Boolean({ 'x-expected': 'true or false', description, default: false, examples: [false] })

/** A time in RFC 3339, with any offset. `isTime` checks the format. */
export const TimeSchema = Type.String({
  description: 'A time as in RFC 3339, in the years 1 to 9999, to the microsecond.',
  format: 'date-time',
  'x-expected': 'a time as in RFC 3339, such as 2026-11-23T08:51:00Z',
  examples: ['2023-08-01T00:00:00Z']
})
export type Time = Static<typeof TimeSchema>

/** A time in a response: in UTC, with microseconds. */
export const AnsweredTimeSchema = Type.String({ format: 'date-time' })

/** The fields of an error response: a sentence for people and a code for programs. */
export function errorProperties(codes: readonly string[]) {
  return { message: Type.String(), code: stringEnum(codes) }
}

/** A response without a body. */
export function emptyResponse(description: string) {
  return Type.Unsafe<void>(Type.Null({ description }))
}

const retryAfterHeader = {
  'Retry-After': { type: 'integer', description: 'Seconds to wait before trying again.', examples: [1] }
}

/** Additional fields of an error response, and their values in its examples. */
type ErrorDetails = { properties: TProperties; example: Record<string, unknown> }

/**
 * The error response of one status.
 *
 * @param title the name of the schema in the OpenAPI document. Each set of codes has its own.
 * @param examples a message for each code.
 * @param details the fields that it has besides the message and the code.
 */
export function errorResponse(
  title: string,
  description: string,
  examples: Record<string, string>,
  details?: ErrorDetails
) {
  const codes = Object.keys(examples)
  return {
    description,
    content: {
      'application/json': {
        schema: Type.Object({ ...errorProperties(codes), ...details?.properties }, { title }),
        examples: Object.fromEntries(
          Object.entries(examples).map(([code, message]) => [
            code,
            { value: { message, code, ...details?.example } }
          ])
        )
      }
    }
  }
}

/** An error response with at least one transient error, and so with `Retry-After`. */
export function retryableErrorResponse(...parameters: Parameters<typeof errorResponse>) {
  return { ...errorResponse(...parameters), headers: retryAfterHeader }
}

/** A response with another media type than JSON. */
export function contentResponse<T extends TSchema>(description: string, mediaType: string, schema: T) {
  return { description, content: { [mediaType]: { schema } } }
}

/** A moment in the past, as a parameter of a query. */
export const momentSchema = () =>
  Type.Optional(
    describe(TimeSchema, {
      description: 'Return the state at this moment instead of now. It must not be in the future.',
      examples: ['2023-08-01T00:00:00Z']
    })
  )

export const dayOrTimeSchema = (description: string, example: string) =>
  Type.String({
    description: `${description} A day as \`YYYY-MM-DD\`, which begins at midnight in UTC, or a time as in RFC 3339.`,
    format: 'day-or-time',
    'x-expected': 'a day, as YYYY-MM-DD, or a time as in RFC 3339, such as 2026-11-23T08:51:00Z',
    examples: [example]
  })
