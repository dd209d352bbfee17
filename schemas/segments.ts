import type { Readable } from 'node:stream'
import { type Static, type TSchema, Type } from '@sinclair/typebox'
import {
  AnsweredTimeSchema,
  closedObject,
  dayOrTimeSchema,
  describe,
  flagSchema,
  momentSchema,
  nullable,
  SlugSchema,
  stringEnum
} from './common.ts'
import { CompositionSchema, RecordedCompositionSchema } from './compositions.ts'
import { IdempotencyKeyHeadersSchema } from './idempotency.ts'
import { page, pageParameters } from './paging.ts'

export const DescriptionSchema = Type.String({
  description: 'What the segment is for, in one line for people.',
  minLength: 1,
  maxLength: 1_000,
  pattern: '^[^\\u0000-\\u001f\\u007f\\ud800-\\udfff]*$',
  'x-expected': '1 to 1000 characters in one line',
  examples: ['Half price on messages by voice']
})

const SelectionSchema = Type.Number({
  minimum: 0,
  maximum: 1,
  'x-expected': 'a number from 0 to 1',
  examples: [0.2]
})

export const GroupSlugSchema = describe(SlugSchema, {
  title: 'GroupSlug',
  description: 'The slug of an exclusive group. A user is in at most one segment of a group at any moment.',
  examples: ['CHECKOUT_TEST']
})

const HoldoutSchema = Type.Boolean({
  description:
    'Whether nobody is added to the segment by name, only by `selection` and `enroll_new_users`. Only in a group.'
})

export const CreateSegmentBodySchema = closedObject(
  {
    slug: SlugSchema,
    selection: Type.Optional(
      describe(SelectionSchema, {
        description:
          'The share of the known users, from 0 to 1, to add to the segment: exactly ' +
          'ceil(selection × number of users) of them, chosen at random. With `from`: of its users, by default 1.'
      })
    ),
    from: Type.Optional(CompositionSchema),
    description: Type.Optional(DescriptionSchema),
    enroll_new_users: Type.Optional(
      Type.Boolean({
        description:
          'Whether users who are first seen later are sampled too: each joins with the probability `selection`, ' +
          'drawn once. Not with `from`.'
      })
    ),
    group: Type.Optional(
      describe(GroupSlugSchema, {
        description:
          'The slug of an exclusive group to create the segment in. The share is sampled from users who are in no ' +
          'segment of the group.',
        examples: []
      })
    ),
    holdout: Type.Optional(HoldoutSchema)
  },
  {
    title: 'CreateSegment',
    description: 'The segment to create.',
    examples: [{ slug: 'AVITO_VOICE_MESSAGES', selection: 0.2 }]
  }
)
export type CreateSegmentBody = Static<typeof CreateSegmentBodySchema>

export const ChangeSegmentBodySchema = closedObject(
  {
    selection: Type.Optional(
      describe(SelectionSchema, {
        description:
          'The new share of the known users, from 0 to 1: afterwards there are exactly ' +
          'ceil(selection × number of users) sampled members. After `from`: of its users.',
        examples: [0.3]
      })
    ),
    description: Type.Optional(
      nullable(DescriptionSchema, {
        description: 'What the segment is for, in one line for people. Null removes it.'
      })
    ),
    enroll_new_users: Type.Optional(
      Type.Boolean({ description: 'Whether users who are first seen later are sampled too, by `selection`.' })
    ),
    group: Type.Optional(
      nullable(GroupSlugSchema, {
        description:
          'The exclusive group that the segment enters, if no user would be in two of its segments. Null: it leaves ' +
          'its group.'
      })
    ),
    holdout: Type.Optional(HoldoutSchema)
  },
  {
    title: 'ChangeSegment',
    description: 'What to change. What is absent stays.',
    minProperties: 1,
    examples: [{ selection: 0.3 }]
  }
)
export type ChangeSegmentBody = Static<typeof ChangeSegmentBodySchema>

export const SegmentChangeSchema = Type.Object(
  {
    added: Type.Integer({ description: 'Users who were added.' }),
    removed: Type.Integer({ description: 'Users who were removed.' })
  },
  {
    title: 'SegmentChange',
    description: 'How the members have changed.',
    examples: [{ added: 100, removed: 0 }]
  }
)
export type SegmentChange = Static<typeof SegmentChangeSchema>

export const CreateSegmentHeadersSchema = Type.Object({
  ...IdempotencyKeyHeadersSchema.properties,
  prefer: Type.Optional(
    Type.String({
      description:
        'With `respond-async` (RFC 7240) the service answers at once and adds the users in the background.',
      examples: ['respond-async']
    })
  )
})

export const AssignmentSchema = Type.Object(
  {
    status: stringEnum(['queued', 'running', 'done', 'cancelled', 'failed'], {
      description:
        '`queued` until the users have been sampled; `running` until all have been added; `cancelled` if the ' +
        'segment was deleted before that; `failed` if adding them failed five times in a row (the log says why).'
    }),
    assigned: Type.Integer({
      description:
        'Sampled users who have been dealt with. Fewer than `target` if too few users could be sampled.'
    }),
    target: nullable(Type.Integer(), {
      description:
        'Sampled users: ceil(selection × number of users). Null while `queued`, unless the segment is in a group: then as ' +
        'many users are reserved.'
    })
  },
  {
    title: 'Assignment',
    description:
      'The progress of adding the share of the users that was last asked for. A changed share takes effect at once, so its ' +
      'status is `done`.'
  }
)

export const SegmentSchema = Type.Object(
  {
    slug: SlugSchema,
    selection: nullable(Type.Number(), {
      description: 'The share of the users that was asked for. Null if none was.'
    }),
    from: Type.Union([RecordedCompositionSchema, Type.Null()], {
      description: 'Null: the share is one of all known users.'
    }),
    description: nullable(Type.String(), { description: 'What the segment is for.' }),
    enroll_new_users: Type.Boolean({
      description: 'Whether users who are first seen later are sampled too, by `selection`.'
    }),
    group: nullable(GroupSlugSchema, {
      description: 'The exclusive group of the segment. Null if it is in none.'
    }),
    holdout: Type.Boolean({
      description: 'Whether users join only by `selection` and `enroll_new_users`, never by name.'
    }),
    created_at: AnsweredTimeSchema,
    deleted_at: nullable(AnsweredTimeSchema, { description: 'Null unless the segment is deleted.' }),
    members: Type.Integer({ description: 'The number of users in the segment now.' }),
    assignment: Type.Union([AssignmentSchema, Type.Null()], {
      description: 'Null if no `selection` was ever asked for.'
    })
  },
  {
    title: 'Segment',
    description: 'A segment, its number of members, and the progress of adding its users.',
    examples: [
      {
        slug: 'PROMO_5',
        selection: 0.2,
        from: null,
        description: 'Five per cent off',
        enroll_new_users: false,
        group: null,
        holdout: false,
        created_at: '2026-11-23T08:51:00.123456Z',
        deleted_at: null,
        members: 1500,
        assignment: { status: 'running', assigned: 1500, target: 20000 }
      }
    ]
  }
)
export type Segment = Static<typeof SegmentSchema>

export const SegmentParamsSchema = closedObject({ slug: SlugSchema })
export type SegmentParams = Static<typeof SegmentParamsSchema>

export const ListSegmentsQuerySchema = closedObject({
  ...pageParameters('WyJzZWdtZW50cyIsIlBST01PXzUiXQ'),
  q: Type.Optional(
    Type.String({
      description: 'Only segments with this text in their slug or description. Case makes no difference.',
      minLength: 1,
      maxLength: 1_000,
      pattern: '^[^\\u0000\\ud800-\\udfff]*$',
      'x-expected': '1 to 1000 characters',
      examples: ['promo']
    })
  ),
  include_deleted: flagSchema('Whether to list deleted segments too.')
})
export type ListSegmentsQuery = Static<typeof ListSegmentsQuerySchema>

export const SegmentPageSchema = page('segments', SegmentSchema, {
  title: 'SegmentPage',
  description: 'Segments, ordered by slug.',
  examples: [{ segments: SegmentSchema.examples, next_cursor: 'WyJzZWdtZW50cyIsIlBST01PXzUiXQ' }]
})

/** Of the list at the moment that is the example of `at`. */
const exampleMembersCursor = 'WyJ1c2Vycy9BVklUT19WT0lDRV9NRVNTQUdFUy8yMDIzLTA4LTAxVDAwOjAwOjAwWiIsIjEwIl0'

export const ListMembersQuerySchema = closedObject({
  ...pageParameters(exampleMembersCursor),
  at: momentSchema()
})

export const MemberSchema = Type.Object(
  {
    user_id: Type.String(),
    added_at: AnsweredTimeSchema,
    expires_at: nullable(AnsweredTimeSchema, {
      description: 'When the membership expires. Null if it does not.'
    })
  },
  { title: 'Member', description: 'A user in the segment.' }
)
export type Member = Static<typeof MemberSchema>

export const MemberPageSchema = page('users', MemberSchema, {
  title: 'MemberPage',
  description: 'The users in the segment, ordered by id. None if the segment is deleted.',
  examples: [
    {
      users: [{ user_id: '10', added_at: '2026-11-23T08:51:00.123456Z', expires_at: null }],
      next_cursor: exampleMembersCursor
    }
  ]
})

export const DownloadMembersQuerySchema = closedObject({
  at: momentSchema(),
  expires: flagSchema(
    'Whether there is a second column, `expires_at`: empty if the membership does not expire.'
  )
})

export const MembersCsvSchema = Type.Unsafe<Readable>(
  Type.String({
    title: 'MembersCsv',
    description:
      'The ids of the users, ascending, one per line, with `expires=true` each with its expiry. The header is there even if there are no users.',
    examples: ['user_id\n10\n9223372036854775807\n']
  })
)

export const SizesQuerySchema = closedObject({
  from: Type.Optional(
    dayOrTimeSchema(
      'The first moment. By default 90 steps before `to`, at midnight or the full hour in UTC.',
      '2023-08-01'
    )
  ),
  to: Type.Optional(
    dayOrTimeSchema('The last moment, inclusive. By default, and at most, now.', '2023-08-31')
  ),
  step: stringEnum(['hour', 'day'], {
    title: 'Step',
    'x-expected': 'hour or day',
    description: 'The time from one moment to the next. A day is 24 hours.',
    default: 'day',
    examples: ['day']
  })
})
export type SizesQuery = Static<typeof SizesQuerySchema>

export const SizesSchema = Type.Object(
  {
    sizes: Type.Array(
      Type.Object(
        {
          time: AnsweredTimeSchema,
          members: Type.Integer({ description: 'How many users were in the segment at that moment.' })
        },
        { title: 'Size', description: 'The size of the segment at one moment.' }
      )
    )
  },
  {
    title: 'Sizes',
    description: 'The sizes of the segment, oldest first.',
    examples: [
      {
        sizes: [
          { time: '2026-11-22T00:00:00.000000Z', members: 19_998 },
          { time: '2026-11-23T00:00:00.000000Z', members: 20_000 }
        ]
      }
    ]
  }
)
export type Sizes = Static<typeof SizesSchema>

export const UserCountSchema = Type.Object(
  { users: Type.Integer() },
  { title: 'UserCount', description: 'A number of users.', examples: [{ users: 100_000 }] }
)

const change = <T extends TSchema>(value: T) => Type.Optional(Type.Object({ from: value, to: value }))

/** The properties of a segment that changed. */
export const SegmentPropertiesChangeSchema = Type.Object(
  {
    selection: change(nullable(Type.Number())),
    from: change(Type.Union([RecordedCompositionSchema, Type.Null()])),
    description: change(nullable(Type.String())),
    enroll_new_users: change(nullable(Type.Boolean())),
    group: change(nullable(Type.String())),
    holdout: change(nullable(Type.Boolean()))
  },
  {
    title: 'SegmentPropertiesChange',
    description: 'The properties that changed. `from` is null when the segment was created.'
  }
)

export const SegmentEntrySchema = Type.Object(
  {
    operation: stringEnum(['created', 'changed', 'filled', 'replaced', 'deleted'], {
      description:
        '`filled`: all users of the share have been added in the background. `replaced`: an upload has replaced the members.'
    }),
    time: describe(AnsweredTimeSchema, { description: 'When it took effect.' }),
    actor: nullable(Type.String(), { description: 'The name of the API key. Null if no key was needed.' }),
    changes: SegmentPropertiesChangeSchema,
    added: Type.Integer({ description: 'Users whom it added to the segment.' }),
    removed: Type.Integer({ description: 'Users whom it removed from the segment.' })
  },
  { title: 'SegmentEntry', description: 'What happened to a segment.' }
)
export type SegmentEntry = Static<typeof SegmentEntrySchema>

export const SegmentHistorySchema = page('entries', SegmentEntrySchema, {
  title: 'SegmentHistory',
  description: 'What happened to the segment, oldest first.',
  examples: [
    {
      entries: [
        {
          operation: 'created',
          time: '2026-11-17T08:51:00.123456Z',
          actor: 'marketing',
          changes: { selection: { from: null, to: 0.2 } },
          added: 20_000,
          removed: 0
        },
        {
          operation: 'changed',
          time: '2026-11-18T10:00:00.000000Z',
          actor: 'marketing',
          changes: { selection: { from: 0.2, to: 0.1 } },
          added: 0,
          removed: 10_000
        }
      ],
      next_cursor: null
    }
  ]
})

export const SegmentHistoryQuerySchema = closedObject(
  pageParameters('WyJyZWNvcmQvQVZJVE9fVk9JQ0VfTUVTU0FHRVMiLCIyIl0')
)
