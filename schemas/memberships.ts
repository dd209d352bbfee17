import { type Static, Type } from '@sinclair/typebox'
import {
  AnsweredTimeSchema,
  closedObject,
  dayOrTimeSchema,
  describe,
  flagSchema,
  momentSchema,
  nullable,
  SlugSchema,
  stringEnum,
  TimeSchema,
  UserIdSchema
} from './common.ts'
import { ConditionalHeadersSchema } from './conditional.ts'
import { page, pageParameters } from './paging.ts'
import { WriteTokensHeadersSchema } from './write-tokens.ts'

export const UserParamsSchema = closedObject({ user_id: UserIdSchema })
export type UserParams = Static<typeof UserParamsSchema>

/** The headers of a read that may bring the tokens of writes, and the tag of an earlier answer. */
export const LookupHeadersSchema = Type.Object({
  ...WriteTokensHeadersSchema.properties,
  ...ConditionalHeadersSchema.properties
})

export const UserSegmentsQuerySchema = closedObject({ at: momentSchema() })

/** The JSON text of an array of slugs, built by PostgreSQL. */
export type ActiveSegmentsText = string & { readonly jsonTextOf?: string[] }

export const ActiveSegmentsSchema = Type.Unsafe<ActiveSegmentsText>(
  Type.Array(Type.String(), {
    title: 'ActiveSegments',
    description: 'The slugs of the segments the user is in, in the order the segments were created.',
    examples: [['AVITO_VOICE_MESSAGES', 'PROMO_5']]
  })
)

/** JavaScript does not read JSON integers beyond 2^53 exactly, so larger ids are accepted only as strings. */
const userIdRule = 'an integer from 1 to 9223372036854775807, as a string where it is above 9007199254740991'

const QueriedUserIdSchema = Type.Union(
  [
    describe(UserIdSchema, { 'x-expected': userIdRule }),
    Type.Integer({
      description: 'A user id that JavaScript holds exactly.',
      minimum: 1,
      maximum: Number.MAX_SAFE_INTEGER,
      'x-expected': userIdRule
    })
  ],
  { title: 'QueriedUserId', description: 'A user id, as a string or as an integer.' }
)

export const QueryUsersBodySchema = closedObject(
  {
    user_ids: Type.Array(QueriedUserIdSchema, {
      description: 'User ids, as strings or as integers.',
      minItems: 1,
      maxItems: 1_000,
      'x-expected': 'an array of 1 to 1000 user ids'
    })
  },
  {
    title: 'QueryUsers',
    description: 'The users to look up.',
    examples: [{ user_ids: ['10', '11', 12] }]
  }
)
export type QueryUsersBody = Static<typeof QueryUsersBodySchema>

export const QueryUsersQuerySchema = closedObject({
  cursor: flagSchema(
    'With `true`, the answer names the cursor of the change feed for its moment in `x-segments-cursor`: follow the users from it.'
  )
})

/** The JSON text of {@link SegmentsOfUsersSchema}. */
export type SegmentsOfUsersText = string & { readonly jsonTextOf?: Record<string, unknown> }

export const SegmentsOfUsersSchema = Type.Unsafe<SegmentsOfUsersText>(
  Type.Object(
    {
      segments: Type.Record(Type.String(), Type.Array(Type.String()), {
        description: 'The active segments of each known user, in the order the segments were created.'
      }),
      unknown: Type.Array(Type.String(), { description: 'The users the service has never seen.' })
    },
    {
      title: 'SegmentsOfUsers',
      description: 'Each user of the request appears once: in `segments` or in `unknown`.',
      examples: [{ segments: { 10: ['AVITO_VOICE_MESSAGES'], 11: [] }, unknown: ['12'] }]
    }
  )
)

const expiryFields = {
  expires_at: Type.Optional(
    describe(TimeSchema, {
      description:
        'When the memberships in `segments_to_add` expire. Without it and without `ttl_seconds` they are permanent.',
      examples: ['2100-01-01T00:00:00Z']
    })
  ),
  ttl_seconds: Type.Optional(
    Type.Integer({
      description:
        'The same as `expires_at`, in seconds from now, up to ten years of 365 days. Only one of the two may be given.',
      minimum: 1,
      maximum: 315_360_000,
      'x-expected': 'an integer from 1 to 315360000',
      examples: [86_400]
    })
  )
}

/** A segment to add, with an expiry of its own. */
const ExpiringSegmentSchema = closedObject(
  {
    slug: SlugSchema,
    expires_at: Type.Optional(
      describe(TimeSchema, {
        description: 'When this membership expires.',
        examples: ['2100-01-01T00:00:00Z']
      })
    ),
    ttl_seconds: Type.Optional(
      describe(expiryFields.ttl_seconds, { description: 'The same as `expires_at`, in seconds from now.' })
    )
  },
  {
    title: 'ExpiringSegment',
    description:
      'A segment to add. Its `expires_at` or `ttl_seconds` takes precedence over that of the request; with neither, that ' +
      'of the request applies.',
    examples: [{ slug: 'PROMO_5', ttl_seconds: 86_400 }]
  }
)

/** Validating this many slugs holds the event loop up for a few milliseconds. */
const MAX_SLUGS = 10_000

export const ChangeUserSegmentsBodySchema = closedObject(
  {
    segments_to_add: Type.Optional(
      Type.Array(
        Type.Union([SlugSchema, ExpiringSegmentSchema], {
          title: 'SegmentToAdd',
          description: 'A slug, or a segment with an expiry of its own.'
        }),
        {
          maxItems: MAX_SLUGS,
          'x-expected': `an array of at most ${MAX_SLUGS} slugs or objects with a slug`,
          description:
            'Segments to add the user to. The expiry of a segment the user is already in is set again.'
        }
      )
    ),
    segments_to_delete: Type.Optional(
      Type.Array(SlugSchema, {
        maxItems: MAX_SLUGS,
        'x-expected': `an array of at most ${MAX_SLUGS} slugs`,
        description: 'Segments to remove the user from. One the user is not in is no error.'
      })
    ),
    move: Type.Optional(
      Type.Boolean({
        description:
          'Whether the user leaves other segments of the exclusive groups of `segments_to_add`, at the same moment. ' +
          'Without it, such a request is refused.'
      })
    ),
    ...expiryFields
  },
  {
    title: 'ChangeUserSegments',
    description: 'Segments to add and to delete. No slug may appear more than once.',
    examples: [{ segments_to_add: ['AVITO_VOICE_MESSAGES'], segments_to_delete: [] }]
  }
)
export type ChangeUserSegmentsBody = Static<typeof ChangeUserSegmentsBodySchema>

/** The service defines the format. A union would make some generators create a type per branch. */
export const TimelineQuerySchema = closedObject({
  from: Type.Optional(dayOrTimeSchema('The start of the interval, inclusive.', '2023-08-01')),
  to: Type.Optional(dayOrTimeSchema('The end of the interval, exclusive.', '2023-08-31')),
  ...pageParameters('WyJoaXN0b3J5LzEwIiwiMTY5MDg0ODAwMDAwMDAwMCIsIjEiLCIxIl0')
})

const additionCauses = ['request', 'selection', 'enrollment', 'import'] as const
const additionCausesMeaning =
  '`request`: a change of this user; `import`: an upload of many users; `selection`: sampled for a share of the users; ' +
  '`enrollment`: sampled when first seen'
const causes = [...additionCauses, 'expiry', 'segment_deleted', 'selection_lowered'] as const

export const TimelineEntrySchema = Type.Object(
  {
    slug: SlugSchema,
    operation: stringEnum(['add', 'delete', 'expiry_set'], {
      description: '`expiry_set`: the expiry of the running membership was set again.'
    }),
    time: describe(AnsweredTimeSchema, { description: 'When it took effect.' }),
    cause: stringEnum(causes, {
      description:
        `${additionCausesMeaning}; \`expiry\`: the membership expired; \`segment_deleted\`: the segment was deleted; ` +
        '`selection_lowered`: sampled to leave when the share was lowered.'
    }),
    actor: nullable(Type.String(), {
      description: 'The name of the API key. Null for an expiry, and if no key was needed.'
    }),
    expires_at: nullable(AnsweredTimeSchema, {
      description:
        'Of an `add`: the expiry with which the membership began. Of an `expiry_set`: the expiry that was set. Null if ' +
        'there is none.'
    })
  },
  {
    title: 'TimelineEntry',
    description: 'One addition to a segment, one removal, or one change of an expiry.'
  }
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

const membershipFields = {
  added_at: describe(AnsweredTimeSchema, { description: 'When the membership began.' }),
  expires_at: nullable(AnsweredTimeSchema, {
    description: 'When it expires, as set at that moment. Null if it does not.'
  }),
  cause: stringEnum(additionCauses, { description: `Why it began. ${additionCausesMeaning}.` }),
  actor: nullable(Type.String(), { description: 'The name of the API key. Null if no key was needed.' })
}

export const UserMembershipsSchema = Type.Object(
  {
    memberships: Type.Array(
      Type.Object(
        { slug: SlugSchema, ...membershipFields },
        { title: 'Membership', description: 'A segment the user is in, since when, until when and why.' }
      )
    )
  },
  {
    title: 'UserMemberships',
    description: "The user's memberships, in the order the segments were created.",
    examples: [
      {
        memberships: [
          {
            slug: 'PROMO_5',
            added_at: '2026-11-17T08:51:00.123456Z',
            expires_at: null,
            cause: 'selection',
            actor: 'marketing'
          }
        ]
      }
    ]
  }
)
export type UserMembership = Static<typeof UserMembershipsSchema>['memberships'][number]

export const MemberParamsSchema = closedObject({ slug: SlugSchema, user_id: UserIdSchema })

export const MembershipStateSchema = Type.Object(
  {
    member: Type.Boolean({
      description: 'Whether the user is in the segment now. If not, it is the only field.'
    }),
    added_at: Type.Optional(membershipFields.added_at),
    expires_at: Type.Optional(membershipFields.expires_at),
    cause: Type.Optional(membershipFields.cause),
    actor: Type.Optional(membershipFields.actor)
  },
  {
    title: 'MembershipState',
    description: 'Whether a user is in a segment, since when, until when and why.',
    examples: [
      {
        member: true,
        added_at: '2026-11-17T08:51:00.123456Z',
        expires_at: null,
        cause: 'request',
        actor: 'marketing'
      },
      { member: false }
    ]
  }
)
export type MembershipState = Static<typeof MembershipStateSchema>
