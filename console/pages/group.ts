import { h } from 'preact'
import { useState } from 'preact/hooks'
import { type GroupReport, isSegmentsError } from '../../client/src/index.ts'
import { Button } from '../components/button.ts'
import { EmptyState, ErrorNotice, Skeleton } from '../components/notice.ts'
import { Page, Tabs } from '../components/page.ts'
import { Actor, Count, Facts, Tag, Time } from '../components/values.ts'
import { html } from '../html.ts'
import { useRequest } from '../requests.ts'
import { linkTo, linkToGroup, usePlace, useQuery } from '../router.ts'
import { useMay, useSession } from '../session.ts'
import { t } from '../texts.ts'
import { GroupAllocation } from './group-allocation.ts'
import { DeleteGroupDialog } from './group-changes.ts'
import { GroupOverlap } from './group-overlap.ts'
import { StartExperimentDialog } from './start-experiment.ts'

const tabs = ['allocation', 'overlap'] as const

/** While one of its segments is being filled, the group changes by itself. */
const FILLING_POLL_MS = 2_000

const isFilling = ({ segments }: GroupReport): boolean =>
  segments.some(({ assignment }) => assignment?.status === 'queued' || assignment?.status === 'running')

function GroupView({ group, onChange }: { group: GroupReport; onChange: () => void }) {
  const { slug, deleted_at } = group
  const { query } = usePlace()
  const [chosen] = useQuery('tab', 'allocation')
  const [dialog, setDialog] = useState<'experiment' | 'delete'>()
  const tab = tabs.find((name) => name === chosen) ?? 'allocation'
  const mayChange = useMay('admin') && deleted_at === null
  const close = () => {
    setDialog(undefined)
    onChange()
  }
  return h(Page, {
    title: slug,
    isMono: true,
    tag: deleted_at !== null && h(Tag, { kind: 'bad', children: t.segments.deleted }),
    subtitle: group.description,
    actions:
      mayChange &&
      html`${h(Button, { kind: 'primary', onClick: () => setDialog('experiment'), children: t.experiment.start })}
        ${h(Button, { kind: 'danger', onClick: () => setDialog('delete'), children: t.groups.delete })}`,
    children: html`
      ${h(Facts, {
        facts: [
          [t.groups.users, h(Count, { value: group.users })],
          [t.groups.members, h(Count, { value: group.members })],
          [t.groups.free, h(Count, { value: group.free_users })],
          [t.groups.created, h(Time, { value: group.created_at })],
          [t.groups.createdBy, h(Actor, { name: group.created_by })],
          ...(deleted_at === null ? [] : [[t.groups.deletedAt, h(Time, { value: deleted_at })] as const])
        ]
      })}
      <div class="section"></div>
      ${h(Tabs, {
        label: t.groups.parts,
        tabs: tabs.map((name) => ({
          title: t.groups.tabs[name],
          href: linkToGroup(slug, {
            ...Object.fromEntries(query),
            tab: name === 'allocation' ? undefined : name
          }),
          isCurrent: name === tab
        }))
      })}
      ${tab === 'overlap' ? h(GroupOverlap, { group }) : h(GroupAllocation, { group })}
      ${dialog === 'experiment' && h(StartExperimentDialog, { group, onClose: close })}
      ${dialog === 'delete' && h(DeleteGroupDialog, { group, onClose: close, onChange: close })}
    `
  })
}

/** One exclusive group: who is in which of its segments, and who is free. */
export function GroupPage({ slug }: { slug: string }) {
  const { client } = useSession()
  const [polls, setPolls] = useState(false)
  const { value, error, reload } = useRequest(
    `group ${slug.toUpperCase()}`,
    async (options) => {
      const group = await client.getGroup(slug, options)
      setPolls(isFilling(group))
      return group
    },
    { every: polls ? FILLING_POLL_MS : undefined }
  )
  if (value) {
    return html`${error !== undefined && h(ErrorNotice, { error, onRetry: reload })}
      ${h(GroupView, { group: value, onChange: reload })}`
  }
  if (isSegmentsError(error, 'GROUP_NOT_FOUND')) {
    return h(Page, {
      title: slug,
      isMono: true,
      children: h(EmptyState, {
        title: t.groups.unknown,
        hint: t.groups.unknownHint,
        children: html`<a class="button" href=${linkTo('/groups')}>${t.groups.toList}</a>`
      })
    })
  }
  return h(Page, {
    title: slug,
    isMono: true,
    children: error === undefined ? h(Skeleton, { lines: 10 }) : h(ErrorNotice, { error, onRetry: reload })
  })
}
