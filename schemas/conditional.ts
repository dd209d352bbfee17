import { type Static, type TSchema, Type } from '@sinclair/typebox'
import { emptyResponse } from './common.ts'

/** The request header of a conditional read. */
export const ConditionalHeadersSchema = Type.Object({
  'if-none-match': Type.Optional(
    Type.String({
      description:
        'The `ETag` of an earlier answer. If the answer is still that one, it is 304, without a body.',
      examples: ['"f2ca1bb6c7e907d06dafe4687e579fce"']
    })
  )
})

/** The answers to a conditional read. */
export function conditionalResponses<T extends TSchema>(answer: T) {
  const ETag = {
    type: 'string',
    description: 'Identifies the content of the answer, for `If-None-Match`.',
    examples: ['"f2ca1bb6c7e907d06dafe4687e579fce"']
  }
  return {
    200: Type.Unsafe<Static<T>>({
      ...answer,
      headers: { ...(answer['headers'] as object | undefined), ETag }
    }),
    304: { ...emptyResponse('The answer is the one that `If-None-Match` names.'), headers: { ETag } }
  }
}
