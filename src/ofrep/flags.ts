import type { Slug } from '../../schemas/common.ts'
import type { ActiveSegmentsText } from '../../schemas/memberships.ts'
import type { BulkEvaluationText, Evaluation } from '../../schemas/ofrep.ts'
import type { FlagList } from './queries.ts'

type Value = Pick<Evaluation, 'value' | 'reason' | 'variant'>

/** The value of a segment's flag. */
export function evaluateSegment(isMember: boolean): Value {
  return { value: isMember, reason: 'TARGETING_MATCH', variant: isMember ? 'on' : 'off' }
}

/** The value of a group's flag. @param segment the one with the user; undefined if none has. */
export function evaluateGroup(segment: Slug | undefined): Value {
  if (segment === undefined) return { value: '', reason: 'TARGETING_MATCH' }
  return { value: segment, reason: 'TARGETING_MATCH', variant: segment }
}

function toJson(slug: Slug, value: Value): string {
  return JSON.stringify({ key: slug, ...value })
}

const split = (text: string, separator: string) => (text === '' ? [] : text.split(separator))

/** The flags of a list of segments and groups. It is prepared for many users, because the list rarely changes. */
export class Flags {
  readonly list: FlagList
  /** The flags of a user who is in no segment, as JSON. */
  readonly #off: readonly string[]
  readonly #positions: ReadonlyMap<Slug, number>
  /** The group of each segment that is in one, and the position of its flag. */
  readonly #groups: ReadonlyMap<Slug, { slug: Slug; position: number }>

  constructor(list: FlagList) {
    const [segments = '', groups = ''] = list.split('\n')
    const slugs = split(segments, ',')
    const parsed = split(groups, ',').map((group, index) => {
      const [slug = '', members = ''] = group.split(':')
      return { slug, position: slugs.length + index, segments: split(members, '|') }
    })
    this.list = list
    this.#off = [
      ...slugs.map((slug) => toJson(slug, evaluateSegment(false))),
      ...parsed.map(({ slug }) => toJson(slug, evaluateGroup(undefined)))
    ]
    this.#positions = new Map(slugs.map((slug, position) => [slug, position]))
    this.#groups = new Map(
      parsed.flatMap(({ slug, position, segments }) =>
        segments.map((segment) => [segment, { slug, position }] as const)
      )
    )
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
      if (position !== undefined) flags[position] = toJson(slug, evaluateSegment(true))
      const group = this.#groups.get(slug)
      if (group) flags[group.position] = toJson(group.slug, evaluateGroup(slug))
    }
    return `{"flags":[${flags.join()}]}`
  }
}
