import { type Static, Type } from '@sinclair/typebox'
import { AnsweredTimeSchema, closedObject, describe, SlugSchema, TimeSchema } from './common.ts'

/** The most segments that a composition names. */
export const MAX_COMPOSED_SEGMENTS = 100

const slugs = (description: string) =>
  Type.Optional(Type.Array(SlugSchema, { description, maxItems: MAX_COMPOSED_SEGMENTS }))

export const CompositionSchema = closedObject(
  {
    all: slugs('The users who are in all of these segments,'),
    any: slugs('and in at least one of these,'),
    none: slugs('and in none of these. With `none` alone: all known users except these.'),
    at: Type.Optional(
      describe(TimeSchema, {
        description:
          'The moment meant, by default now, not in the future. A segment may be named that was deleted later.',
        examples: ['2023-08-01T00:00:00Z']
      })
    )
  },
  {
    title: 'Composition',
    description: `Users by their segments. It names 1 to ${MAX_COMPOSED_SEGMENTS} segments, each once.`,
    examples: [{ all: ['AVITO_VOICE_MESSAGES'] }]
  }
)
export type Composition = Static<typeof CompositionSchema>

const answeredSlugs = () => Type.Array(Type.String())

export const RecordedCompositionSchema = Type.Object(
  { all: answeredSlugs(), any: answeredSlugs(), none: answeredSlugs(), at: AnsweredTimeSchema },
  { title: 'RecordedComposition', description: 'The users of whom the share was sampled.' }
)
export type RecordedComposition = Static<typeof RecordedCompositionSchema>

export const CountComposedBodySchema = closedObject(
  { from: CompositionSchema },
  {
    title: 'CountComposed',
    description: 'The users to count.',
    examples: [{ from: { all: ['AVITO_VOICE_MESSAGES'] } }]
  }
)
