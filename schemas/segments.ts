import type { Readable } from 'node:stream'
import { type Static, Type } from '@sinclair/typebox'
import { AnsweredTimeSchema, closedObject, flagSchema, SlugSchema } from './common.ts'
import { page, pageParameters } from './paging.ts'

const DescriptionSchema = Type.String({
  description: 'What the segment is for, in one line for people.',
  minLength: 1,
  maxLength: 1_000,
  pattern: '^[^\\u0000-\\u001f\\u007f\\ud800-\\udfff]*$',
  'x-expected': '1 to 1000 characters in one line',
  examples: ['Half price on messages by voice']
})

const SelectionSchema = Type.Number({ minimum: 0, maximum: 1, examples: [0.2] })

export const CreateSegmentBodySchema = closedObject(
  {
    slug: SlugSchema,
    selection: Type.Optional(
      Type.Number({
        ...SelectionSchema,
        description:
          'The share of the known users, from 0 to 1, to put into the segment: exactly ' +
          'ceil(selection × number of users) of them, chosen at random.'
      })
    ),
    description: Type.Optional(DescriptionSchema),
    enroll_new_users: Type.Optional(
      Type.Boolean({
        description:
          'Whether a user who is first seen later joins, with `selection` as the probability. Whether or not, it ' +
          'is drawn once.'
      })
    )
  },
  {
    title: 'CreateSegment',
    examples: [{ slug: 'AVITO_VOICE_MESSAGES', selection: 0.2 }]
  }
)
export type CreateSegmentBody = Static<typeof CreateSegmentBodySchema>

export const ChangeSegmentBodySchema = closedObject(
  {
    selection: Type.Optional(
      Type.Number({
        ...SelectionSchema,
        description:
          'From now on the share of the known users, from 0 to 1: of the members who were put in by chance there ' +
          'are exactly ceil(selection × number of users) afterwards.'
      })
    ),
    description: Type.Optional(
      Type.Union([DescriptionSchema, Type.Null()], { description: 'Null takes it away.' })
    ),
    enroll_new_users: Type.Optional(
      Type.Boolean({ description: 'Whether users who are first seen later join, by `selection`.' })
    )
  },
  { title: 'ChangeSegment', minProperties: 1, examples: [{ selection: 0.3 }] }
)
export type ChangeSegmentBody = Static<typeof ChangeSegmentBodySchema>

export const SegmentChangeSchema = Type.Object(
  {
    added: Type.Integer({ description: 'Users who were put in.' }),
    removed: Type.Integer({ description: 'Users who were taken out.' })
  },
  {
    title: 'SegmentChange',
    description: 'What has changed of the members.',
    examples: [{ added: 100, removed: 0 }]
  }
)
export type SegmentChange = Static<typeof SegmentChangeSchema>

export const CreateSegmentHeadersSchema = Type.Object({
  prefer: Type.Optional(
    Type.String({
      description:
        'With `respond-async` (RFC 7240) the answer comes at once, and the users are put in afterwards.',
      examples: ['', 'respond-async']
    })
  )
})

export const AssignmentSchema = Type.Object(
  {
    status: Type.Union(
      ['queued', 'running', 'done', 'cancelled', 'failed'].map((status) => Type.Literal(status)),
      {
        description:
          '`queued` until the users have been drawn, `running` until all are in, `cancelled` where the segment ' +
          'was deleted before, `failed` where putting them in failed five times in a row: the log says why.'
      }
    ),
    assigned: Type.Integer({ description: 'Users who have had their turn.' }),
    target: Type.Union([Type.Integer(), Type.Null()], {
      description: 'Users who were drawn: ceil(selection × number of users). Null until they are.'
    })
  },
  {
    title: 'Assignment',
    description:
      'How far the share of the users has been put in that was asked for with the creation. What is changed later takes ' +
      'effect at once, and does not show here.'
  }
)

export const SegmentSchema = Type.Object(
  {
    slug: SlugSchema,
    selection: Type.Union([Type.Number(), Type.Null()], {
      description: 'The share of the users that was asked for.'
    }),
    description: Type.Union([Type.String(), Type.Null()]),
    enroll_new_users: Type.Boolean({
      description: 'Whether users who are first seen later join, by `selection`.'
    }),
    created_at: AnsweredTimeSchema,
    deleted_at: Type.Union([AnsweredTimeSchema, Type.Null()]),
    members: Type.Integer({ description: 'Users who are in the segment now.' }),
    assignment: Type.Union([AssignmentSchema, Type.Null()], {
      description: 'Null where no `selection` was asked for with the creation.'
    })
  },
  {
    title: 'Segment',
    description: 'The segment, how many are in it now, and how far its users have been put in.',
    examples: [
      {
        slug: 'PROMO_5',
        selection: 0.2,
        description: 'Five per cent off',
        enroll_new_users: false,
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
      description: 'Only those with this in their slug or description, in upper or lower case.',
      minLength: 1,
      maxLength: 1_000,
      pattern: '^[^\\u0000\\ud800-\\udfff]*$',
      'x-expected': '1 to 1000 characters',
      examples: ['', 'promo']
    })
  ),
  include_deleted: Type.Optional(flagSchema('Whether deleted segments are listed too; `false` by default.'))
})
export type ListSegmentsQuery = Static<typeof ListSegmentsQuerySchema>

export const SegmentPageSchema = page('segments', SegmentSchema, {
  title: 'SegmentPage',
  description: 'Segments by their slugs.',
  examples: [{ segments: SegmentSchema.examples, next_cursor: 'WyJzZWdtZW50cyIsIlBST01PXzUiXQ' }]
})

const exampleMembersCursor = 'WyJ1c2Vycy9BVklUT19WT0lDRV9NRVNTQUdFUyIsIjEwIl0'

export const ListMembersQuerySchema = closedObject(pageParameters(exampleMembersCursor))

export const MemberSchema = Type.Object(
  {
    user_id: Type.String(),
    added_at: AnsweredTimeSchema,
    expires_at: Type.Union([AnsweredTimeSchema, Type.Null()], {
      description: 'When the membership ends by itself; null where it is to last.'
    })
  },
  { title: 'Member' }
)
export type Member = Static<typeof MemberSchema>

export const MemberPageSchema = page('users', MemberSchema, {
  title: 'MemberPage',
  description: 'The users who are in the segment, by their ids. None where the segment is deleted.',
  examples: [
    {
      users: [{ user_id: '10', added_at: '2026-11-23T08:51:00.123456Z', expires_at: null }],
      next_cursor: exampleMembersCursor
    }
  ]
})
export const MembersCsvSchema = Type.Unsafe<Readable>(
  Type.String({
    title: 'Members',
    description: 'The ids of the users, ascending, one a line. The header is there even with no users.',
    examples: ['user_id\n10\n9223372036854775807\n']
  })
)
