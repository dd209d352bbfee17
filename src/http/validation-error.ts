/** Describes what Ajv refuses, in the words of the API. */
import type { FastifySchemaValidationError } from 'fastify'
import { SlugSchema } from '../../schemas/common.ts'
import { shorten } from './errors.ts'
import { explainDay, explainSlug, explainText, explainTime, explainUserId } from './explain.ts'

const places: Record<string, string> = {
  body: 'body field',
  querystring: 'query parameter',
  params: 'path parameter',
  headers: 'header'
}

const types: Record<string, string> = {
  array: 'an array',
  boolean: 'true or false',
  integer: 'an integer',
  number: 'a number',
  object: 'a JSON object',
  string: 'a string'
}

const plural = (count: unknown, word: string) => `${count} ${word}${count === 1 ? '' : 's'}`

/** What a schema without `x-expected` expects, by the keyword that refused the value. */
const expectations: Record<string, (params: Record<string, unknown>) => string> = {
  type: ({ type }) =>
    [type]
      .flat()
      .flatMap((name) => types[String(name)] ?? [])
      .join(' or '),
  minimum: ({ limit }) => `at least ${limit}`,
  maximum: ({ limit }) => `at most ${limit}`,
  minItems: ({ limit }) => `an array of at least ${plural(limit, 'element')}`,
  maxItems: ({ limit }) => `an array of at most ${plural(limit, 'element')}`,
  minProperties: ({ limit }) => `an object with at least ${plural(limit, 'field')}`
}

/** The keywords that a schema without `x-expected` may use. */
export const describedKeywords = Object.keys(expectations)

type RefusedSchema = { 'x-expected'?: string; format?: string; pattern?: string }
/** Ajv's option `verbose` adds the value and its schema. */
type VerboseError = FastifySchemaValidationError & { data?: unknown; parentSchema?: RefusedSchema }

/** `/segments_to_add/0` as `segments_to_add[0]`. */
function fieldName(instancePath: string): string {
  return instancePath
    .slice(1)
    .replace(/\/(\d+)/g, '[$1]')
    .replaceAll('/', '.')
}

const explanations: Record<string, (text: string) => string | undefined> = {
  'user-id': explainUserId,
  date: explainDay,
  'date-time': explainTime,
  'day-or-time': explainDay
}

function explain({ data, parentSchema = {} }: VerboseError): string | undefined {
  if (typeof data !== 'string') return undefined
  const { format = '', pattern } = parentSchema
  return (
    explanations[format]?.(data) ?? (pattern === SlugSchema.pattern ? explainSlug(data) : explainText(data))
  )
}

/** In a query a `+` stands for a space, so the offset of a time arrives with a space. */
function hasLostPlus({ data }: VerboseError, context: string): boolean {
  return context === 'querystring' && typeof data === 'string' && /T.* \d\d:?\d\d$/.test(data)
}

/**
 * Describes the first thing that is wrong. If a value matches none of several alternatives, Ajv reports an error for each
 * of them. The alternative of another type is not what the caller meant.
 */
export function describeValidationErrors(
  errors: readonly FastifySchemaValidationError[],
  context = 'body'
): string {
  const error: VerboseError | undefined =
    errors.find(({ keyword }) => keyword !== 'type' && keyword !== 'anyOf') ?? errors[0]
  if (!error) return `${context} is not valid`
  const place = places[context] ?? context
  const field = fieldName(error.instancePath)
  const within = field === '' ? '' : `${field}.`
  const { additionalProperty, missingProperty } = error.params
  if (typeof additionalProperty === 'string')
    return `unknown ${place} (${shorten(within + additionalProperty)})`
  if (typeof missingProperty === 'string') return `${place} (${within}${missingProperty}) is missing`

  const expected =
    error.parentSchema?.['x-expected'] ?? expectations[error.keyword]?.(error.params) ?? error.message
  const subject = field === '' ? `the ${context}` : `${place} (${field})`
  const hint = hasLostPlus(error, context) ? 'in a query write + as %2B' : explain(error)
  return `${subject} must be ${expected}${hint === undefined ? '' : `: ${hint}`}`
}
