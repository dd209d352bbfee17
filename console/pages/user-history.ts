import { h } from 'preact'
import { useMemo } from 'preact/hooks'
import type { TimelineEntry } from '../../client/src/index.ts'
import { EmptyState } from '../components/notice.ts'
import { type Column, Table } from '../components/table.ts'
import { Actor, describeCause, Tag, Time } from '../components/values.ts'
import { html } from '../html.ts'
import { linkToSegment } from '../router.ts'
import { t } from '../texts.ts'

const kinds = { add: 'good', delete: 'plain', expiry_set: 'accent' } as const

const listColumns = (): Column<TimelineEntry>[] => [
  {
    title: t.segment.when,
    from: 'narrow',
    cell: ({ time }) => h(Time, { value: time, precision: 'second' })
  },
  {
    title: t.segment.what,
    cell: ({ operation }) => h(Tag, { kind: kinds[operation], children: t.user.operations[operation] })
  },
  {
    title: t.segments.slug,
    width: '100%',
    cell: ({ slug, time, cause, operation }) => html`<span class="cell-main">
      <a class="mono" href=${linkToSegment(slug)}>${slug}</a>
      <span class="cell-note narrow-only">${h(Time, { value: time, precision: 'second' })} · ${describeCause(cause, operation === 'delete')}</span>
    </span>`
  },
  {
    title: t.user.why,
    from: 'narrow',
    cell: ({ cause, operation }) => describeCause(cause, operation === 'delete')
  },
  { title: t.segment.who, from: 'medium', cell: ({ actor }) => h(Actor, { name: actor }) },
  {
    title: t.members.until,
    from: 'wide',
    cell: ({ expires_at }) =>
      expires_at === null ? html`<span class="faint">–</span>` : h(Time, { value: expires_at })
  }
]

/** What happened to a user, newest first. */
export function UserHistory({ entries }: { entries: readonly TimelineEntry[] }) {
  const rows = useMemo(() => entries.toReversed(), [entries])
  if (rows.length === 0) return h(EmptyState, { title: t.user.noHistory })
  return h(Table<TimelineEntry>, {
    label: t.user.history,
    columns: listColumns(),
    rows,
    keyOf: ({ time, slug, operation }) => `${time} ${slug} ${operation}`
  })
}
