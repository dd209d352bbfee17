import { h } from 'preact'
import type { Membership } from '../../client/src/index.ts'
import { Button } from '../components/button.ts'
import { EmptyState } from '../components/notice.ts'
import { type Column, Table } from '../components/table.ts'
import { Time } from '../components/values.ts'
import { html } from '../html.ts'
import { linkToSegment } from '../router.ts'
import { t } from '../texts.ts'

type Memberships = {
  memberships: readonly Membership[]
  isStale: boolean
  /** Offered only for the state of now, and to those who may. */
  onRemove: ((slug: string) => void) | undefined
}

function listColumns(onRemove: Memberships['onRemove']): Column<Membership>[] {
  const columns: Column<Membership>[] = [
    {
      title: t.segments.slug,
      width: '100%',
      cell: ({ slug, cause, actor }) => html`<span class="cell-main">
        <a class="mono" href=${linkToSegment(slug)}>${slug}</a>
        <span class="cell-note narrow-only">${t.user.by(t.causes[cause], actor)}</span>
      </span>`
    },
    {
      title: t.user.why,
      from: 'narrow',
      cell: ({ cause, actor }) => t.user.by(t.causes[cause], actor)
    },
    { title: t.members.since, from: 'narrow', cell: ({ added_at }) => h(Time, { value: added_at }) },
    {
      title: t.members.until,
      from: 'medium',
      cell: ({ expires_at }) =>
        expires_at === null ? html`<span class="faint">–</span>` : h(Time, { value: expires_at })
    }
  ]
  if (!onRemove) return columns
  return [
    ...columns,
    {
      title: t.user.remove,
      isTitleHidden: true,
      cell: ({ slug }) =>
        h(Button, {
          kind: 'quiet',
          label: t.user.removeFrom(slug),
          onClick: () => onRemove(slug),
          children: t.user.remove
        })
    }
  ]
}

/** What a user is in, and why. */
export function UserMemberships({ memberships, isStale, onRemove }: Memberships) {
  if (memberships.length === 0) return h(EmptyState, { title: t.user.none, hint: t.user.noneHint })
  return h(Table<Membership>, {
    label: t.user.stateAt,
    columns: listColumns(onRemove),
    rows: memberships,
    keyOf: ({ slug }) => slug,
    isStale
  })
}
