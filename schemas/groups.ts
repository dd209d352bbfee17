import { type Static, Type } from '@sinclair/typebox'
import { AnsweredTimeSchema, closedObject, nullable, SlugSchema } from './common.ts'
import { page, pageParameters } from './paging.ts'
import { AssignmentSchema, DescriptionSchema, GroupSlugSchema } from './segments.ts'

export const CreateGroupBodySchema = closedObject(
  { slug: GroupSlugSchema, description: Type.Optional(DescriptionSchema) },
  {
    title: 'CreateGroup',
    description: 'The exclusive group to create.',
    examples: [{ slug: 'CHECKOUT_TEST', description: 'Which checkout sells more' }]
  }
)
export type CreateGroupBody = Static<typeof CreateGroupBodySchema>

export const GroupParamsSchema = closedObject({ slug: GroupSlugSchema })

const groupFields = {
  slug: GroupSlugSchema,
  description: nullable(Type.String(), { description: 'What the group is for.' }),
  created_at: AnsweredTimeSchema,
  created_by: nullable(Type.String(), { description: 'The name of the API key. Null if no key was needed.' })
}

const exampleGroup = {
  slug: 'CHECKOUT_TEST',
  description: 'Which checkout sells more',
  created_at: '2026-11-23T08:51:00.123456Z',
  created_by: 'marketing'
}

export const GroupSegmentSchema = Type.Object(
  {
    slug: SlugSchema,
    selection: nullable(Type.Number(), {
      description: 'The share of the users that was asked for. Null if none was.'
    }),
    enroll_new_users: Type.Boolean({
      description: 'Whether new users join with the probability `selection`.'
    }),
    holdout: Type.Boolean({ description: 'Whether nobody is added by name.' }),
    members: Type.Integer({ description: 'The number of users in the segment.' }),
    assignment: Type.Union([AssignmentSchema, Type.Null()], {
      description: 'The progress of adding the share. Null if no `selection` was ever asked for.'
    })
  },
  { title: 'GroupSegment', description: 'A segment of the group.' }
)

export const GroupReportSchema = Type.Object(
  {
    ...groupFields,
    deleted_at: nullable(AnsweredTimeSchema, { description: 'Null unless the group is deleted.' }),
    deleted_by: nullable(Type.String(), { description: 'The name of the API key that deleted it.' }),
    users: Type.Integer({ description: 'The number of known users.' }),
    members: Type.Integer({ description: 'The number of users who are in one of the segments.' }),
    free_users: Type.Integer({
      description:
        'The number of users who are in none of the segments, and not reserved for one that is to be filled in the ' +
        'background.'
    }),
    segments: Type.Array(GroupSegmentSchema, {
      description: 'Its segments that are not deleted, in the order they were created.'
    })
  },
  {
    title: 'GroupReport',
    description: 'An exclusive group and its segments, all at one moment.',
    examples: [
      {
        ...exampleGroup,
        deleted_at: null,
        deleted_by: null,
        users: 100_000,
        members: 10_000,
        free_users: 90_000,
        segments: [
          {
            slug: 'CHECKOUT_NEW',
            selection: 0.1,
            enroll_new_users: true,
            holdout: false,
            members: 10_000,
            assignment: { status: 'done', assigned: 10_000, target: 10_000 }
          }
        ]
      }
    ]
  }
)
export type GroupReport = Static<typeof GroupReportSchema>

export const GroupSchema = Type.Object(
  {
    ...groupFields,
    segments: Type.Array(Type.String(), {
      description: 'The slugs of its segments that are not deleted, in the order they were created.'
    })
  },
  {
    title: 'Group',
    description: 'An exclusive group: a user is in at most one of its segments at any moment.'
  }
)
export type Group = Static<typeof GroupSchema>

const exampleCursor = 'WyJncm91cHMiLCJDSEVDS09VVF9URVNUIl0'

export const ListGroupsQuerySchema = closedObject(pageParameters(exampleCursor))

export const GroupPageSchema = page('groups', GroupSchema, {
  title: 'GroupPage',
  description: 'Groups that are not deleted, ordered by slug.',
  examples: [{ groups: [{ ...exampleGroup, segments: ['CHECKOUT_NEW'] }], next_cursor: exampleCursor }]
})

/** How many segments a request may name, to compare them. */
const MAX_COMPARED_SEGMENTS = 50

/** A slug within a list. The pattern bounds the list as well, so that it needs no check of its own. */
const LISTED_SLUG = '[A-Za-z0-9][A-Za-z0-9_.-]{0,127}'

export const OverlapsQuerySchema = closedObject({
  segments: Type.Optional(
    Type.String({
      description:
        `Slugs of up to ${MAX_COMPARED_SEGMENTS} segments, separated by commas, of this group or not. By default the ` +
        'segments of the group.',
      pattern: `^${LISTED_SLUG}(,${LISTED_SLUG}){0,${MAX_COMPARED_SEGMENTS - 1}}$`,
      'x-expected': `up to ${MAX_COMPARED_SEGMENTS} slugs, separated by commas`,
      examples: ['AVITO_VOICE_MESSAGES,CHECKOUT_NEW']
    })
  )
})

export const OverlapsSchema = Type.Object(
  {
    segments: Type.Array(
      Type.Object(
        { slug: SlugSchema, members: Type.Integer({ description: 'The number of users in the segment.' }) },
        { title: 'OverlapSegment', description: 'A compared segment.' }
      ),
      { description: 'In the order they were named, or created.' }
    ),
    overlaps: Type.Array(
      Type.Object(
        {
          segments: Type.Array(Type.String(), { description: 'The slugs of the two segments.' }),
          users: Type.Integer({ description: 'The number of users who are in both.' })
        },
        { title: 'Overlap', description: 'A pair of segments.' }
      ),
      { description: 'Every pair, in the order of `segments`.' }
    ),
    as_of: AnsweredTimeSchema
  },
  {
    title: 'Overlaps',
    description: 'How many users each two segments share, all at one moment.',
    examples: [
      {
        segments: [
          { slug: 'AVITO_VOICE_MESSAGES', members: 20_000 },
          { slug: 'CHECKOUT_NEW', members: 10_000 }
        ],
        overlaps: [{ segments: ['AVITO_VOICE_MESSAGES', 'CHECKOUT_NEW'], users: 2_013 }],
        as_of: '2026-11-23T08:51:00.123456Z'
      }
    ]
  }
)
export type Overlaps = Static<typeof OverlapsSchema>
