import { h } from 'preact'
import type { FeedEntry } from '../change-reader.ts'
import { type Column, Table } from '../components/table.ts'
import { Actor, describeCause, formatTime, Tag, Time } from '../components/values.ts'
import { html } from '../html.ts'
import { linkToSegment, linkToUser } from '../router.ts'
import { t } from '../texts.ts'
import { describeChanges } from './segment-history.ts'

const kinds = {
  membership_added: 'good',
  membership_removed: 'plain',
  expiry_set: 'accent',
  segment_created: 'good',
  segment_changed: 'accent',
  segment_deleted: 'bad',
  user_erased: 'bad'
} as const

/** What is to be said besides who and where: a new end, or the properties that changed. */
function describeEntry({ expires_at, changes }: FeedEntry): string {
  if (expires_at !== null) return t.changes.until(formatTime(expires_at))
  return changes === null ? '' : describeChanges({ changes })
}

function What({ entry }: { entry: FeedEntry }) {
  const { type, user_id, slug } = entry
  const note = describeEntry(entry)
  return html`<span class="change">
    ${h(Tag, { kind: kinds[type], children: t.changes.types[type] })}
    ${user_id !== null && (type === 'user_erased' ? html`<span class="number">${user_id}</span>` : html`<a class="number" href=${linkToUser(user_id)}>${user_id}</a>`)}
    ${slug !== null && html`<a class="mono" href=${linkToSegment(slug)} title=${slug}>${slug}</a>`}
    ${note !== '' && html`<span class="cell-note" title=${note}>${note}</span>`}
  </span>`
}

const isToday = (time: string): boolean => new Date(time).toDateString() === new Date().toDateString()

const listColumns = (): Column<FeedEntry>[] => [
  { title: t.segment.what, width: '100%', cell: (entry) => h(What, { entry }) },
  {
    title: t.segment.when,
    cell: ({ time }) => h(Time, { value: time, precision: isToday(time) ? 'clock' : 'recent' })
  },
  {
    title: t.user.why,
    from: 'medium',
    cell: ({ type, cause }) => (cause === null ? '' : describeCause(cause, type === 'membership_removed'))
  },
  { title: t.segment.who, from: 'narrow', cell: ({ actor }) => h(Actor, { name: actor }) }
]

/** Changes, newest first. */
export function ChangeTable({ entries }: { entries: readonly FeedEntry[] }) {
  return h(Table<FeedEntry>, {
    label: t.changes.title,
    columns: listColumns(),
    rows: entries,
    keyOf: ({ id }) => String(id)
  })
}
