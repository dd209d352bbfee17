import { type Static, type TSchema, Type } from '@sinclair/typebox'
import { withReplay } from './idempotency.ts'

/** The most tokens that a read may bring. Each one is looked up in PostgreSQL. */
const MAX_TOKENS = 16

/** The form of a write's token; `src/database/write-tokens.ts` says what it contains. */
const TOKEN = '[0-9A-F]{1,8}-([0-9]{1,19}|[0-9A-F]{1,8}/[0-9A-F]{1,8})'

const EXAMPLE = '1-748'

/** The request header of the membership reads. */
export const WriteTokensHeadersSchema = Type.Object({
  'x-segments-token': Type.Optional(
    Type.String({
      description:
        'Tokens of writes, separated by commas. The answer contains these writes; it may lack later ones.',
      pattern: `^${TOKEN}( *, *${TOKEN}){0,${MAX_TOKENS - 1}}$`,
      'x-expected': `up to ${MAX_TOKENS} values of x-segments-token, separated by commas`,
      examples: [EXAMPLE]
    })
  )
})
export type WriteTokensHeaders = Static<typeof WriteTokensHeadersSchema>

/** Adds the response headers of a write to the schema of its answer. */
export function withWriteToken<T extends TSchema>(answer: T) {
  return withReplay({
    ...answer,
    headers: {
      ...(answer['headers'] as object | undefined),
      'x-segments-token': {
        type: 'string',
        description: 'The token of this write, for reads that must contain it.',
        examples: [EXAMPLE]
      }
    }
  })
}
