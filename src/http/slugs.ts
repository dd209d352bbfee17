/** Checks of slugs that routes share. */
import type { Slug } from '../../schemas/common.ts'
import { duplicateSlug } from './errors.ts'

/** Whether a text is a slug as it is stored, in upper case. */
export const isSlug = (text: string): text is Slug => /^[A-Z0-9][A-Z0-9_.-]{0,127}$/.test(text)

/** @throws {ApiError} DUPLICATE_SLUG if one of the slugs, which are in upper case, appears more than once. */
export function refuseDuplicates(slugs: readonly Slug[]): void {
  const seen = new Set<Slug>()
  for (const slug of slugs) {
    if (seen.has(slug)) throw duplicateSlug(slug)
    seen.add(slug)
  }
}
