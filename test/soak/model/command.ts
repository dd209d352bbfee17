/** The parts that all commands share. */
import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import type { Answer } from '../../support/client.ts'
import type { Moment } from './moment.ts'
import { userIds, type World } from './world.ts'

/** A command with its input. A failing sequence prints it as a call. */
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

/** Generates inputs as plain objects, which are printed best. */
export function inputs<T>(fields: { [name in keyof T]: fc.Arbitrary<T[name]> }) {
  return fc.record(fields, { noNullPrototype: true })
}

/** Few slugs, so that they are often reused, in upper and lower case. */
export const slug = fc
  .tuple(fc.constantFrom('A', 'B-1', 'C.C', 'D_', '5E'), fc.boolean())
  .map(([name, isLower]) => (isLower ? name.toLowerCase() : name))
export const slugs = fc.oneof(
  { weight: 5, arbitrary: fc.uniqueArray(slug, { maxLength: 2 }) },
  { weight: 1, arbitrary: fc.array(slug, { maxLength: 3 }) }
)
export const userId = fc.oneof(fc.constantFrom('1', '2'), fc.constantFrom(...userIds))

type Expected = { status: number; body: unknown }

export const refused = (status: number, code: string, message: string, details = {}): Expected => ({
  status,
  body: { message, code, ...details }
})
export const done: Expected = { status: 200, body: '' }

export function assertAnswer({ status, body }: Answer, expected: Expected, message?: string): void {
  assert.deepEqual({ status, body }, expected, message)
}

/** Records which segments have enrolled a user who has just become known. */
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
