import type { Readable } from 'node:stream'
import { type Static, Type } from '@sinclair/typebox'
import { closedObject, SlugSchema } from './common.ts'

export const CreateSegmentBodySchema = closedObject(
  {
    slug: SlugSchema,
    selection: Type.Optional(
      Type.Number({
        description:
          'The share of the known users, from 0 to 1, to put into the segment: exactly ' +
          'ceil(selection × number of users) of them, chosen at random.',
        minimum: 0,
        maximum: 1,
        examples: [0.2]
      })
    )
  },
  {
    title: 'CreateSegment',
    examples: [{ slug: 'AVITO_VOICE_MESSAGES', selection: 0.2 }]
  }
)
export type CreateSegmentBody = Static<typeof CreateSegmentBodySchema>

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
  { title: 'Assignment', description: 'How far the share of the users has been put in.' }
)

export const SegmentSchema = Type.Object(
  {
    slug: SlugSchema,
    selection: Type.Union([Type.Number(), Type.Null()], {
      description: 'The share of the users that was asked for.'
    }),
    created_at: Type.String({ format: 'date-time' }),
    deleted_at: Type.Union([Type.String({ format: 'date-time' }), Type.Null()]),
    members: Type.Integer({ description: 'Users who are in the segment now.' }),
    assignment: Type.Union([AssignmentSchema, Type.Null()], {
      description: 'Null where no `selection` was asked for.'
    })
  },
  {
    title: 'Segment',
    description: 'The segment, how many are in it now, and how far its users have been put in.',
    examples: [
      {
        slug: 'PROMO_5',
        selection: 0.2,
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

export const MembersCsvSchema = Type.Unsafe<Readable>(
  Type.String({
    title: 'Members',
    description: 'The ids of the users, ascending, one a line. The header is there even with no users.',
    examples: ['user_id\n10\n9223372036854775807\n']
  })
)
