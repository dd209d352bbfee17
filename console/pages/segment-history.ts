import { h } from 'preact'
import type { Segment, SegmentEntry } from '../../client/src/index.ts'
import { EmptyState, ErrorNotice, Skeleton } from '../components/notice.ts'
import { type Column, Table } from '../components/table.ts'
import { Actor, formatTime, Time } from '../components/values.ts'
import { html } from '../html.ts'
import { formatCount, formatShare } from '../language.ts'
import { useRequest } from '../requests.ts'
import { useSession } from '../session.ts'
import { t } from '../texts.ts'

const PAGE_SIZE = 1_000

type Composition = NonNullable<Segment['from']>

/** Which users of other segments a segment was created from. */
export function describeComposition({ all, any, none, at }: Composition): string {
  const { inAll, inAny, inNone } = t.segment.composition
  const parts = [
    all.length > 0 && inAll(all.join(', ')),
    any.length > 0 && inAny(any.join(', ')),
    none.length > 0 && inNone(none.join(', '))
  ]
  return `${parts.filter(Boolean).join(', ')} (${formatTime(at)})`
}

/** A property of a segment, for people. */
export function describeProperty(value: string | number | boolean | Composition | null | undefined): string {
  if (value === null || value === undefined || value === '') return t.common.none
  if (typeof value === 'number') return formatShare(value)
  if (typeof value === 'boolean') return value ? t.common.yes : t.common.no
  return typeof value === 'string' ? value : describeComposition(value)
}

/** What changed of the properties, from what to what. */
export function describeChanges({ changes }: Pick<SegmentEntry, 'changes'>): string {
  return Object.entries(changes)
    .map(([name, { from, to }]) => {
      const property = t.segment.properties[name as keyof typeof changes]
      return `${property}: ${describeProperty(from)} → ${describeProperty(to)}`
    })
    .join('; ')
}

function describeMembers({ added, removed }: SegmentEntry): string {
  return [added > 0 && `+${formatCount(added)}`, removed > 0 && `−${formatCount(removed)}`]
    .filter(Boolean)
    .join(' ')
}

const listColumns = (): Column<SegmentEntry>[] => [
  { title: t.segment.when, cell: ({ time }) => h(Time, { value: time }) },
  { title: t.segment.what, cell: ({ operation }) => t.segment.operations[operation] },
  {
    title: t.segment.changes,
    width: '100%',
    from: 'narrow',
    cell: (entry) => html`<span title=${describeChanges(entry)}>${describeChanges(entry)}</span>`
  },
  { title: t.segments.members, isNumber: true, cell: describeMembers },
  { title: t.segment.who, from: 'narrow', cell: ({ actor }) => h(Actor, { name: actor }) }
]

/** Who changed what of the segment, and when: newest first. */
export function SegmentHistory({ segment: { slug, selection, members, deleted_at } }: { segment: Segment }) {
  const { client } = useSession()
  // Whatever is shown of the segment changes by an entry of its history, or by its members.
  const { value, error, reload } = useRequest(
    `history ${slug} ${selection} ${deleted_at} ${members}`,
    async (options) => {
      const entries = await Array.fromAsync(client.getSegmentHistory(slug, { limit: PAGE_SIZE, ...options }))
      return entries.reverse()
    }
  )
  if (error !== undefined) return h(ErrorNotice, { error, onRetry: reload })
  if (!value) return h(Skeleton, { lines: 3 })
  if (value.length === 0) return h(EmptyState, { title: t.lists.nothing })
  return h(Table<SegmentEntry>, {
    label: t.segment.tabs.history,
    columns: listColumns(),
    rows: value,
    keyOf: ({ time, operation }) => `${time} ${operation}`
  })
}
