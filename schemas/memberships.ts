import { type Static, Type } from '@sinclair/typebox'
import { closedObject, SlugSchema, UserIdSchema } from './common.ts'

export const UserParamsSchema = closedObject({ user_id: UserIdSchema })
export type UserParams = Static<typeof UserParamsSchema>

/** The JSON text of an array of slugs, as PostgreSQL made it. */
export type ActiveSegmentsText = string & { readonly jsonTextOf?: string[] }

export const ActiveSegmentsSchema = Type.Unsafe<ActiveSegmentsText>(
  Type.Array(Type.String(), {
    title: 'ActiveSegments',
    description: 'The slugs of the segments the user is in now, in the order the segments were created.',
    examples: [['PROTECTED_PHONE_NUMBER', 'VOICE_MSG', 'PROMO_5']]
  })
)

export const ChangeUserSegmentsBodySchema = closedObject(
  {
    segments_to_add: Type.Optional(
      Type.Array(SlugSchema, {
        description: 'Segments to put the user in. One the user has is left as it is.'
      })
    ),
    segments_to_delete: Type.Optional(
      Type.Array(SlugSchema, {
        description: 'Segments to take the user out of. One the user lacks is no error.'
      })
    )
  },
  {
    title: 'ChangeUserSegments',
    description: 'No slug may stand twice, in one list or in both.',
    examples: [{ segments_to_add: ['VOICE_MSG'], segments_to_delete: ['PROMO_5'] }]
  }
)
export type ChangeUserSegmentsBody = Static<typeof ChangeUserSegmentsBodySchema>
