/** Segments that are created from others, and counts of their users. */
import * as fc from 'fast-check'
import { assertAnswer, command, inputs, refused, slug } from './command.ts'
import type { Composition, Lists, Model } from './model.ts'
import { settleFillings } from './settle.ts'
import type { World } from './world.ts'

const list = fc.array(slug, { maxLength: 2 })

export const lists = inputs<Lists>({ all: list, any: list, none: list })

/** The composition in upper case, with its users. Its segments must not be being filled, as their users are not known. */
export async function prepareComposition(world: World, from: Lists): Promise<Composition> {
  const { model } = world
  await settleFillings(world)
  const toStored = (slugs: string[]) => slugs.map((name) => name.toUpperCase())
  const stored = { all: toStored(from.all), any: toStored(from.any), none: toStored(from.none) }
  const isKnown = Object.values(stored)
    .flat()
    .every((name) => model.isLive(name))
  return { ...stored, users: isKnown ? model.compose(stored) : [] }
}

/** Why a composition is refused, if it is. */
export function findCompositionRefusal(
  model: Model,
  { all, any, none }: Lists
): { status: number; body: unknown } | undefined {
  const slugs = [...all, ...any, ...none]
  if (slugs.length === 0)
    return refused(400, 'INVALID_REQUEST', 'body field (from) must name a segment in all, any or none')
  const twice = slugs.find((name, index) => slugs.indexOf(name) < index)
  if (twice !== undefined)
    return refused(
      400,
      'DUPLICATE_SLUG',
      `segment with slug (${twice}) appears more than once in the request`
    )
  const segments = slugs.filter((name) => !model.isLive(name))
  if (segments.length > 0) return refused(404, 'SEGMENTS_NOT_FOUND', 'some segments not found', { segments })
  return undefined
}

export const countComposed = command('countComposed', lists, async (world, from) => {
  const composition = await prepareComposition(world, from)
  const answer = await world.service.post('/api/v1/segments/count', { from })
  const counted = { status: 200, body: { users: composition.users.length } }
  assertAnswer(answer, findCompositionRefusal(world.model, composition) ?? counted)
})
