import type { Slug } from '../../schemas/common.ts'
import type { ActiveSegmentsText } from '../../schemas/memberships.ts'
import type { BulkEvaluationText, Evaluation } from '../../schemas/ofrep.ts'
import type { SlugList } from './queries.ts'

/** The value of a flag. */
export function evaluate(isMember: boolean): Pick<Evaluation, 'value' | 'reason' | 'variant'> {
  return { value: isMember, reason: 'TARGETING_MATCH', variant: isMember ? 'on' : 'off' }
}

function toJson(slug: Slug, isMember: boolean): string {
  return JSON.stringify({ key: slug, ...evaluate(isMember) })
}

/** The flags of a list of segments. It is prepared for many users, because the list rarely changes. */
export class Flags {
  readonly slugs: SlugList
  /** The flags of a user who is in no segment, as JSON. */
  readonly #off: readonly string[]
  readonly #positions: ReadonlyMap<Slug, number>

  constructor(slugs: SlugList) {
    const list = slugs === '' ? [] : slugs.split(',')
    this.slugs = slugs
    this.#off = list.map((slug) => toJson(slug, false))
    this.#positions = new Map(list.map((slug, position) => [slug, position]))
  }

  get count(): number {
    return this.#off.length
  }

  /** Evaluates all flags for a user. A segment that is not in the list has been created since it was read. */
  evaluate(active: ActiveSegmentsText): BulkEvaluationText {
    const flags = [...this.#off]
    const slugs: Slug[] = JSON.parse(active)
    for (const slug of slugs) {
      const position = this.#positions.get(slug)
      if (position !== undefined) flags[position] = toJson(slug, true)
    }
    return `{"flags":[${flags.join()}]}`
  }
}
