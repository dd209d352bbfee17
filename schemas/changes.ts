import type { Readable } from 'node:stream'
import { type Static, Type } from '@sinclair/typebox'
import {
  AnsweredTimeSchema,
  closedObject,
  describe,
  nullable,
  SlugSchema,
  stringEnum,
  UserIdSchema
} from './common.ts'
import { SegmentPropertiesChangeSchema } from './segments.ts'

export const exampleChangeCursor = 'WzEsWzc0OSwxLCIyMDI2LTExLTIzIiwxNzk1NDI0NDYwMTIzNDU2LDEsW11dXQ'

/** The response header of an answer that the feed continues. */
export const changeCursorHeader = (description: string) => ({
  type: 'string',
  description,
  examples: [exampleChangeCursor]
})

const CursorSchema = Type.String({ description: 'Pass it as `after`. Its form is not part of the contract.' })

const exampleChange = {
  cursor: exampleChangeCursor,
  type: 'membership_added' as const,
  user_id: '10',
  slug: 'AVITO_VOICE_MESSAGES',
  time: '2026-11-23T08:51:00.123456Z',
  cause: 'request' as const,
  actor: 'marketing',
  expires_at: null,
  changes: null
}

export const ChangeSchema = Type.Object(
  {
    cursor: CursorSchema,
    type: stringEnum(
      [
        'membership_added',
        'membership_removed',
        'expiry_set',
        'segment_created',
        'segment_changed',
        'segment_deleted',
        'user_erased'
      ],
      {
        description:
          '`segment_deleted` ends every membership in the segment, and `user_erased` every one of the user.'
      }
    ),
    user_id: nullable(Type.String(), { description: 'Null if the segment changed.' }),
    slug: nullable(Type.String(), { description: 'Null if the user was erased.' }),
    time: describe(AnsweredTimeSchema, { description: 'When it took effect.' }),
    cause: nullable(stringEnum(['request', 'selection', 'enrollment', 'import', 'selection_lowered']), {
      enum: ['request', 'selection', 'enrollment', 'import', 'selection_lowered', null],
      description: 'Why the membership changed. Null for changes of segments and erasures.'
    }),
    actor: nullable(Type.String(), { description: 'The name of the API key. Null if no key was needed.' }),
    expires_at: nullable(AnsweredTimeSchema, {
      description:
        'When the membership expires, for `membership_added` and `expiry_set`. No change is sent then. Null if it does not expire.'
    }),
    changes: Type.Union([SegmentPropertiesChangeSchema, Type.Null()], {
      description: 'For `segment_created` and `segment_changed`: the properties that changed.'
    })
  },
  { title: 'Change', description: 'A change of a membership or of a segment.' }
)
export type Change = Static<typeof ChangeSchema>

const filters = {
  segment: Type.Optional(
    describe(SlugSchema, {
      description: 'Only changes of this segment and its memberships, and erasures of users.'
    })
  ),
  user_id: Type.Optional(
    describe(UserIdSchema, {
      description: "Only changes of this user's memberships, and deletions of segments."
    })
  )
}

const AfterSchema = Type.String({
  description:
    'A cursor: only changes that it has not seen are returned. `start`: all that are kept. `now`: none that have happened so far. ' +
    'A day, as `YYYY-MM-DD`: those since it began, in UTC.',
  minLength: 1,
  maxLength: 12_000,
  'x-expected': 'a cursor of the change feed, a day, start or now',
  examples: ['start']
})

export const ChangesQuerySchema = closedObject({
  after: AfterSchema,
  limit: Type.Integer({
    description: 'The maximum number of changes, 1 to 1000.',
    minimum: 1,
    maximum: 1_000,
    default: 100,
    'x-expected': 'an integer from 1 to 1000',
    examples: [100]
  }),
  wait: Type.Integer({
    description: 'If there are no changes, wait up to this many seconds for the first one.',
    minimum: 0,
    maximum: 30,
    default: 0,
    'x-expected': 'an integer from 0 to 30',
    examples: [0]
  }),
  ...filters
})

export const ChangeStreamQuerySchema = closedObject({
  // Filled in, so that a stream that is tried in Swagger UI has changes and an end: the page shows nothing before.
  after: Type.Optional({ ...AfterSchema, 'x-fill': true }),
  wait: Type.Optional(
    Type.Integer({
      'x-fill': true,
      description: 'End the stream when there has been no change for this many seconds. Default: never.',
      minimum: 0,
      maximum: 30,
      'x-expected': 'an integer from 0 to 30',
      examples: [0]
    })
  ),
  ...filters
})

export const ChangesSchema = Type.Object(
  { changes: Type.Array(ChangeSchema), cursor: CursorSchema },
  {
    title: 'Changes',
    description: 'Changes, and the cursor after them.',
    examples: [{ changes: [exampleChange], cursor: exampleChangeCursor }]
  }
)

export const ChangeStreamHeadersSchema = Type.Object({
  'last-event-id': Type.Optional(
    Type.String({
      description: 'The `id` of the last event that the client has received. It replaces `after`.',
      maxLength: 12_000,
      'x-expected': 'the id of an event',
      examples: [exampleChangeCursor]
    })
  )
})

export const ChangeStreamSchema = Type.Unsafe<Readable>(
  Type.String({
    title: 'ChangeStream',
    description:
      'Events with `id`, `event` and `data`, which is a Change as JSON. Heartbeats have only an `id`.',
    examples: [
      `id: ${exampleChangeCursor}\nevent: membership_added\ndata: ${JSON.stringify(exampleChange)}\n\n`
    ]
  })
)
