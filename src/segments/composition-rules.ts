/** What the body of a request may say about a composition. */
import type { Slug } from '../../schemas/common.ts'
import { type Composition, MAX_COMPOSED_SEGMENTS } from '../../schemas/compositions.ts'
import { invalidRequest } from '../http/errors.ts'
import { refuseDuplicates } from '../http/slugs.ts'
import type { OpenComposition } from './populations.ts'

export const enrollsComposed = () =>
  invalidRequest('body field (enroll_new_users) must be false with `from`: new users are in no segment')

/**
 * Reads a composition, with its slugs in upper case.
 *
 * @throws {ApiError} if it names no segment, too many, or one more than once.
 */
export function readComposition({ all = [], any = [], none = [], at }: Composition): OpenComposition {
  const toStored = (slugs: readonly Slug[]) => slugs.map((slug) => slug.toUpperCase())
  const lists = { all: toStored(all), any: toStored(any), none: toStored(none) }
  const slugs = Object.values(lists).flat()
  if (slugs.length === 0) throw invalidRequest('body field (from) must name a segment in all, any or none')
  if (slugs.length > MAX_COMPOSED_SEGMENTS)
    throw invalidRequest(`body field (from) must name at most ${MAX_COMPOSED_SEGMENTS} segments`)
  refuseDuplicates(slugs)
  return { ...lists, at: at ?? null }
}
