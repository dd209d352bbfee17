/** Requests and answers of the OpenFeature Remote Evaluation Protocol (OFREP), version 0.3.0. */
import { type Static, Type } from '@sinclair/typebox'
import { closedObject, describe, SlugSchema, stringEnum, UserIdSchema } from './common.ts'
import { WriteTokensHeadersSchema } from './write-tokens.ts'

/** Any key is accepted, because clients ask for flags of other systems too. */
export const FlagParamsSchema = closedObject({
  slug: Type.String({
    description:
      'The key of the flag: the slug of a segment or of an exclusive group. Case makes no difference.',
    examples: SlugSchema.examples
  })
})

/** Unlike other bodies, this one may have unknown fields: clients send attributes of users, and later versions more. */
export const EvaluationRequestSchema = Type.Object(
  {
    context: Type.Object(
      { targetingKey: describe(UserIdSchema, { description: 'The id of the user, as a string.' }) },
      {
        title: 'EvaluationContext',
        description: 'Whom the flag is evaluated for. Other attributes make no difference.',
        additionalProperties: true
      }
    )
  },
  {
    title: 'EvaluationRequest',
    description: 'What an evaluation depends on.',
    examples: [{ context: { targetingKey: '10' } }]
  }
)

export const BulkHeadersSchema = Type.Object({
  ...WriteTokensHeadersSchema.properties,
  'if-none-match': Type.Optional(
    Type.String({
      description: 'The `ETag` of an earlier answer. The answer is 304 if it would be the same.',
      examples: ['"5d41402abc4b2a76b9719d911017c592"']
    })
  )
})

export const BulkQuerySchema = closedObject({
  flagConfigEtag: Type.Optional(
    Type.String({
      description:
        'Sent by clients after a notification. Every evaluation is current, so it makes no difference.',
      examples: ['5d41402abc4b2a76b9719d911017c592']
    })
  ),
  flagConfigLastModified: Type.Optional(
    Type.String({ description: 'The same as `flagConfigEtag`, as a time.', examples: ['1771622898'] })
  )
})

/** The protocol's document has no reason such as DEFAULT, for the value of a user whom no rule has matched. */
export const EvaluationSchema = Type.Object(
  {
    key: Type.String({ description: 'The slug of the segment or of the group.' }),
    value: Type.Unsafe<boolean | string>({
      type: ['boolean', 'string'],
      description:
        'Of a segment: whether the user is in it. Of a group: the slug of its segment with the user, or an empty string. ' +
        'An unknown user is in none.'
    }),
    reason: stringEnum(['TARGETING_MATCH'], { description: 'The value depends on the user.' }),
    variant: Type.Optional(
      Type.String({
        description:
          'Of a segment: `on` or `off`. Of a group: the slug of its segment with the user; absent if there is none.'
      })
    ),
    metadata: Type.Optional(
      Type.Object(
        {},
        { description: 'Empty, and absent if all flags were asked for. Some clients fail without it.' }
      )
    )
  },
  {
    title: 'Evaluation',
    description: 'The value of a flag for the user.',
    examples: [
      { key: 'AVITO_VOICE_MESSAGES', value: true, reason: 'TARGETING_MATCH', variant: 'on', metadata: {} }
    ]
  }
)
export type Evaluation = Static<typeof EvaluationSchema>

/** The JSON text of {@link BulkEvaluationSchema}. */
export type BulkEvaluationText = string & { readonly jsonTextOf?: Record<string, unknown> }

export const BulkEvaluationSchema = Type.Unsafe<BulkEvaluationText>(
  Type.Object(
    { flags: Type.Array(EvaluationSchema) },
    {
      title: 'BulkEvaluation',
      description: 'All segments that are not deleted, in the order they were created. Then all such groups.',
      examples: [
        {
          flags: [{ key: 'AVITO_VOICE_MESSAGES', value: true, reason: 'TARGETING_MATCH', variant: 'on' }]
        }
      ]
    }
  )
)
