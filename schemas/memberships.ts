import { type Static, Type } from '@sinclair/typebox'
import {
  AnsweredTimeSchema,
  closedObject,
  DateSchema,
  SlugSchema,
  TimeSchema,
  type UserId,
  UserIdSchema
} from './common.ts'
import { page, pageParameters } from './paging.ts'

export const UserParamsSchema = closedObject({ user_id: UserIdSchema })
export type UserParams = Static<typeof UserParamsSchema>

/** The first example is what Swagger UI fills in. */
const PastTimeSchema = { ...TimeSchema, examples: ['', '2023-08-01T00:00:00Z'] }

export const UserSegmentsQuerySchema = closedObject({
  at: Type.Optional(
    Type.Unsafe<string>({
      ...PastTimeSchema,
      description: 'The state of that moment, not of now. Not one to come.'
    })
  )
})

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
        description: 'Segments to put the user in. Of one the user has, the expiry is set anew.'
      })
    ),
    segments_to_delete: Type.Optional(
      Type.Array(SlugSchema, {
        description: 'Segments to take the user out of. One the user lacks is no error.'
      })
    ),
    expires_at: Type.Optional(
      Type.Unsafe<string>({
        ...TimeSchema,
        examples: ['2100-01-01T00:00:00Z'],
        description:
          'When the memberships in `segments_to_add` end by themselves. Without it, and without ' +
          '`ttl_seconds`, they last.'
      })
    ),
    ttl_seconds: Type.Optional(
      Type.Integer({
        description:
          'The same as seconds from now, up to ten years of 365 days. Only one of the two may be given.',
        minimum: 1,
        maximum: 315_360_000,
        'x-expected': 'an integer from 1 to 315360000',
        examples: [86_400]
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

const dayOrTimeRule = 'a day, as YYYY-MM-DD, or a time as in RFC 3339, such as 2026-11-23T08:51:00Z'
const dayOrTimeSchema = (description: string, example: string) =>
  Type.Union(
    [
      { ...DateSchema, 'x-expected': dayOrTimeRule },
      { ...TimeSchema, 'x-expected': dayOrTimeRule }
    ],
    { description: `${description} A day begins at midnight in UTC.`, examples: ['', example] }
  )

export const TimelineQuerySchema = closedObject({
  from: Type.Optional(dayOrTimeSchema('Entries from this day or time on.', '2023-08-01')),
  to: Type.Optional(dayOrTimeSchema('Entries before this day or time.', '2023-08-31')),
  ...pageParameters('WyJoaXN0b3J5LzEwIiwiMTY5MDg0ODAwMDAwMDAwMCIsIjEiLCIxIl0')
})

const causes = [
  'request',
  'selection',
  'enrollment',
  'import',
  'expiry',
  'segment_deleted',
  'selection_lowered'
] as const

export const TimelineEntrySchema = Type.Object(
  {
    slug: SlugSchema,
    operation: Type.Union([Type.Literal('add'), Type.Literal('delete')]),
    time: AnsweredTimeSchema,
    cause: Type.Union(
      causes.map((cause) => Type.Literal(cause)),
      {
        description:
          '`request`: a change of this user; `import`: one of many users. `selection`: drawn for a share of the ' +
          'users; `enrollment`: drawn when first seen. `expiry`: the time was over; `segment_deleted`; ' +
          '`selection_lowered`: drawn for leaving when the share was made smaller.'
      }
    ),
    actor: Type.Union([Type.String(), Type.Null()], {
      description: 'The name of the API key. Null for an expiry, and where no key was needed.'
    }),
    expires_at: Type.Union([AnsweredTimeSchema, Type.Null()], {
      description:
        'Of an `add`, when the membership ends by itself, as it was set last; null where it is to last.'
    })
  },
  { title: 'TimelineEntry' }
)
export type TimelineEntry = Static<typeof TimelineEntrySchema>

export const TimelineSchema = page('entries', TimelineEntrySchema, {
  title: 'Timeline',
  description: 'What happened to the user, oldest first.',
  examples: [
    {
      entries: [
        {
          slug: 'PROMO_5',
          operation: 'add',
          time: '2026-11-17T08:51:00.123456Z',
          cause: 'selection',
          actor: 'marketing',
          expires_at: null
        },
        {
          slug: 'PROMO_5',
          operation: 'delete',
          time: '2026-11-18T10:00:00.000000Z',
          cause: 'segment_deleted',
          actor: 'marketing',
          expires_at: null
        }
      ],
      next_cursor: null
    }
  ]
})
