import { h } from 'preact'
import { useState } from 'preact/hooks'
import type { Group } from '../../client/src/index.ts'
import { Button } from '../components/button.ts'
import { EmptyState, ErrorNotice, Skeleton } from '../components/notice.ts'
import { Page } from '../components/page.ts'
import { type Column, Table } from '../components/table.ts'
import { Count, Time } from '../components/values.ts'
import { html } from '../html.ts'
import { useList } from '../requests.ts'
import { linkToGroup } from '../router.ts'
import { useMay, useSession } from '../session.ts'
import { t } from '../texts.ts'
import { CreateGroupDialog } from './group-changes.ts'
import { StartExperimentDialog } from './start-experiment.ts'

const PAGE_SIZE = 100

const listColumns = (): Column<Group>[] => [
  {
    title: t.groups.label,
    width: '100%',
    cell: ({ slug, description }) => html`<span class="cell-main">
      <a class="mono" href=${linkToGroup(slug)}>${slug}</a>
      ${description !== null && html`<span class="cell-note">${description}</span>`}
    </span>`
  },
  { title: t.groups.segments, isNumber: true, cell: ({ segments }) => h(Count, { value: segments.length }) },
  {
    title: t.groups.created,
    from: 'narrow',
    cell: ({ created_at }) => h(Time, { value: created_at, precision: 'day' })
  }
]

/** The exclusive groups. */
export function GroupsPage() {
  const { client } = useSession()
  const [dialog, setDialog] = useState<'group' | 'experiment'>()
  const mayCreate = useMay('admin')
  const { rows, error, isLoading, isStale, loadMore, reload } = useList(
    'groups list',
    (options) => client.listGroups({ limit: PAGE_SIZE, ...options }),
    ({ groups }) => groups
  )
  const close = () => {
    setDialog(undefined)
    reload()
  }
  const actions =
    mayCreate &&
    html`${h(Button, { onClick: () => setDialog('group'), children: t.groups.create })}
      ${h(Button, { kind: 'primary', onClick: () => setDialog('experiment'), children: t.experiment.start })}`
  return h(Page, {
    title: t.groups.title,
    subtitle: t.groups.emptyHint,
    actions,
    children: html`
      ${error !== undefined && h(ErrorNotice, { error, onRetry: reload })}
      ${rows === undefined && error === undefined && h(Skeleton, { lines: 5 })}
      ${
        rows !== undefined &&
        rows.length > 0 &&
        h(Table<Group>, {
          label: t.groups.title,
          columns: listColumns(),
          rows,
          keyOf: ({ slug }) => slug,
          onEnd: loadMore,
          isStale
        })
      }
      ${rows?.length === 0 && !isLoading && h(EmptyState, { title: t.groups.emptyTitle })}
      ${dialog === 'group' && h(CreateGroupDialog, { onClose: close })}
      ${dialog === 'experiment' && h(StartExperimentDialog, { onClose: close })}
    `
  })
}
