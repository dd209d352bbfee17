/** What commands are made of, and what they have in common. */
import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import type { Answer } from '../../support/service.ts'
import type { Moment } from './moment.ts'
import { userIds, type World } from './world.ts'

/** A command with its input. Printed as it would be written, where a sequence fails. */
export type Step = { run: (world: World) => Promise<void>; toString: () => string }

export type Command<T> = {
  /** The command with one input. */
  of: (input: T) => Step
  /** The command with any input. */
  any: fc.Arbitrary<Step>
}

export function command<T>(
  name: string,
  input: fc.Arbitrary<T>,
  run: (world: World, input: T) => Promise<void>
): Command<T> {
  const of = (value: T): Step => ({
    run: (world) => run(world, value),
    toString: () => `${name}(${fc.stringify(value)})`
  })
  return { of, any: input.map(of) }
}

/** As they are printed best. */
export function inputs<T>(fields: { [name in keyof T]: fc.Arbitrary<T[name]> }) {
  return fc.record(fields, { noNullPrototype: true })
}

/** Few, so that they are used again and again, in either case. */
export const slug = fc
  .tuple(fc.constantFrom('A', 'B-1', 'C.C', 'D_', '5E'), fc.boolean())
  .map(([name, isLower]) => (isLower ? name.toLowerCase() : name))
export const slugs = fc.oneof(
  { weight: 5, arbitrary: fc.uniqueArray(slug, { maxLength: 2 }) },
  { weight: 1, arbitrary: fc.array(slug, { maxLength: 3 }) }
)
export const userId = fc.oneof(fc.constantFrom('1', '2'), fc.constantFrom(...userIds))

export const refused = (status: number, code: string, message: string): Answer => ({
  status,
  body: { message, code }
})
export const done: Answer = { status: 200, body: '' }

/** Takes over for which segments the user was drawn who has just become known. */
export async function findEnrollments(
  { service, model }: World,
  userId: string,
  named: string[],
  at: Moment
): Promise<void> {
  const slugs = (await service.getSegments(userId)).body as string[]
  for (const { slug, selection } of model.enrollingSegments()) {
    if (named.includes(slug)) continue
    const isDrawn = slugs.includes(slug)
    if (selection === 0 || selection === 1) assert.equal(isDrawn, selection === 1, `enrolled into ${slug}`)
    if (isDrawn) model.enroll(userId, slug, at)
  }
}
