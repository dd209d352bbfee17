import { h } from 'preact'
import type { GroupReport } from '../../client/src/index.ts'
import { EmptyState } from '../components/notice.ts'
import { type Column, Table } from '../components/table.ts'
import { Count, Share, Tag } from '../components/values.ts'
import { html } from '../html.ts'
import { formatCount, formatPart } from '../language.ts'
import { linkToSegment } from '../router.ts'
import { t } from '../texts.ts'
import { SegmentState } from './segment-state.ts'

type GroupSegment = GroupReport['segments'][number]

/** Colours that are told apart; then they begin again. */
const COLOURS = 8

/** A part of all users. */
type Part = { name: string; users: number; style: string; segment?: GroupSegment }

function listParts({ segments, users, members, free_users }: GroupReport): Part[] {
  const reserved = users - members - free_users
  const parts: Part[] = segments.map((segment, index) => ({
    name: segment.slug,
    users: segment.members,
    style: `series-${(index % COLOURS) + 1}`,
    segment
  }))
  if (reserved > 0) parts.push({ name: t.groups.reserved, users: reserved, style: 'reserved' })
  parts.push({ name: t.groups.free, users: free_users, style: 'free' })
  return parts
}

const listColumns = (all: number): Column<Part>[] => [
  {
    title: t.groups.segment,
    width: '100%',
    cell: ({ name, style, segment }) => html`<span class="cell-main part">
      <span class=${`swatch ${style}`}></span>
      ${
        segment
          ? html`<a class="mono" href=${linkToSegment(name)}>${name}</a>
              ${segment.holdout && h(Tag, { children: t.groups.holdout })}
              ${h(SegmentState, { segment: { ...segment, deleted_at: null } })}`
          : html`<span>${name}</span>`
      }
    </span>`
  },
  { title: t.groups.usersOf, isNumber: true, cell: ({ users }) => h(Count, { value: users }) },
  {
    title: t.groups.part,
    isNumber: true,
    cell: ({ users }) => html`<span class="number">${all === 0 ? '–' : formatPart(users / all)}</span>`
  },
  {
    title: t.groups.asked,
    isNumber: true,
    from: 'narrow',
    cell: ({ segment }) => segment && h(Share, { value: segment.selection })
  },
  {
    title: t.segment.newUsers,
    from: 'medium',
    cell: ({ segment }) => segment && (segment.enroll_new_users ? t.segment.areSampled : t.segment.stayOut)
  }
]

/** Which part of all users each segment has, and who is free: as a bar, and as a table. */
export function GroupAllocation({ group }: { group: GroupReport }) {
  const parts = listParts(group)
  const described = parts.map(({ name, users }) => `${name} ${formatCount(users)}`).join(', ')
  return html`<div class="stack">
    ${
      group.users > 0 &&
      html`<div class="allocation" role="img" aria-label=${t.groups.bar(described)}>
        ${parts.map(
          ({ name, users, style }) =>
            users > 0 &&
            html`<span key=${name} class=${style} title=${`${name}: ${formatCount(users)}`} style=${{ flexGrow: users }}></span>`
        )}
      </div>`
    }
    ${h(Table<Part>, { label: t.groups.tabs.allocation, columns: listColumns(group.users), rows: parts, keyOf: ({ name }) => name })}
    ${
      group.segments.length === 0
        ? h(EmptyState, { title: t.groups.noSegments, hint: t.groups.noSegmentsHint })
        : html`<p class="hint">${t.groups.enterHint}</p>`
    }
  </div>`
}
