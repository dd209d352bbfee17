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

export const SegmentParamsSchema = closedObject({ slug: SlugSchema })
export type SegmentParams = Static<typeof SegmentParamsSchema>
