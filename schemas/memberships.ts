import { type Static, Type } from '@sinclair/typebox'
import { closedObject, SlugSchema, type UserId, UserIdSchema } from './common.ts'

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

/** JSON has no integers past 2^53 in JavaScript, so those are taken as strings alone. */
const userIdRule = 'an integer from 1 to 9223372036854775807, as a string where it is above 9007199254740991'

export const QueryUsersBodySchema = closedObject(
  {
    user_ids: Type.Array(
      Type.Union([
        Type.Unsafe<UserId>({ ...UserIdSchema, 'x-expected': userIdRule }),
        Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER, 'x-expected': userIdRule })
      ]),
      { description: 'User ids, as strings or as integers.', minItems: 1, maxItems: 1_000 }
    )
  },
  { title: 'QueryUsers', examples: [{ user_ids: ['10', '11', 12] }] }
)
export type QueryUsersBody = Static<typeof QueryUsersBodySchema>

/** The JSON text of {@link SegmentsOfUsersSchema}. */
export type SegmentsOfUsersText = string & { readonly jsonTextOf?: Record<string, unknown> }

export const SegmentsOfUsersSchema = Type.Unsafe<SegmentsOfUsersText>(
  Type.Object(
    {
      segments: Type.Record(Type.String(), Type.Array(Type.String()), {
        description: "The known users' active segments, in the order the segments were created."
      }),
      unknown: Type.Array(Type.String(), { description: 'The users whom the service has never seen.' })
    },
    {
      title: 'SegmentsOfUsers',
      description: 'Each user who was asked for, once: among the segments or among the unknown.',
      examples: [{ segments: { 10: ['VOICE_MSG'], 11: [] }, unknown: ['12'] }]
    }
  )
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
