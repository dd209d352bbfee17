import { h } from 'preact'
import { useState } from 'preact/hooks'
import { isSegmentsError, type Segment } from '../../client/src/index.ts'
import { Button } from '../components/button.ts'
import { EmptyState, ErrorNotice, Notice, Skeleton } from '../components/notice.ts'
import { Page, Tabs } from '../components/page.ts'
import { Count, Facts, Share, Time } from '../components/values.ts'
import { html } from '../html.ts'
import { useRequest } from '../requests.ts'
import { linkTo, linkToGroup, linkToSegment, usePlace, useQuery } from '../router.ts'
import { useMay, useSession } from '../session.ts'
import { t } from '../texts.ts'
import { DeleteSegmentDialog, EditSegmentDialog } from './segment-changes.ts'
import { describeComposition, SegmentHistory } from './segment-history.ts'
import { SegmentMembers } from './segment-members.ts'
import { SegmentShare } from './segment-share.ts'
import { SegmentSize } from './segment-size.ts'
import { SegmentState } from './segment-state.ts'

const tabs = ['history', 'members', 'share'] as const
type Tab = (typeof tabs)[number]

/** While it is being filled, a segment changes by itself. */
const FILLING_POLL_MS = 2_000

const isBeingFilled = ({ assignment }: Segment): boolean =>
  assignment?.status === 'queued' || assignment?.status === 'running'

function Progress({ segment: { assignment } }: { segment: Segment }) {
  if (!assignment || assignment.target === null) return h(Notice, { children: t.segment.queued })
  const { assigned, target } = assignment
  return h(Notice, {
    children: html`<label class="grow stack-small">${t.segment.filling(assigned, target)}
      <progress max=${target} value=${assigned}></progress>
    </label>`
  })
}

function TabContent({ tab, segment, onChange }: { tab: Tab; segment: Segment; onChange: () => void }) {
  switch (tab) {
    case 'history':
      return h(SegmentHistory, { segment })
    case 'members':
      return h(SegmentMembers, { slug: segment.slug })
    case 'share':
      return h(SegmentShare, { segment, isFilling: isBeingFilled(segment), onChange })
  }
}

function SegmentView({ segment, onChange }: { segment: Segment; onChange: () => void }) {
  const { slug } = segment
  const { query } = usePlace()
  const [chosen] = useQuery('tab', 'history')
  const [dialog, setDialog] = useState<'edit' | 'delete'>()
  const isAlive = segment.deleted_at === null
  const mayChange = useMay('admin') && isAlive
  const shown = tabs.filter((name) => name !== 'share' || mayChange)
  const tab = shown.find((name) => name === chosen) ?? 'history'
  const close = () => setDialog(undefined)
  const changed = () => {
    close()
    onChange()
  }
  return h(Page, {
    title: slug,
    isMono: true,
    tag: h(SegmentState, { segment }),
    subtitle: segment.description,
    actions:
      mayChange &&
      html`${h(Button, { onClick: () => setDialog('edit'), children: t.segment.edit })}
        ${h(Button, { kind: 'danger', onClick: () => setDialog('delete'), children: t.segment.delete })}`,
    children: html`
      ${isBeingFilled(segment) && h(Progress, { segment })}
      ${h(Facts, {
        facts: [
          [t.segments.members, h(Count, { value: segment.members })],
          [t.segments.share, h(Share, { value: segment.selection })],
          ...(segment.from ? [[t.segment.properties.from, describeComposition(segment.from)] as const] : []),
          [t.segment.newUsers, segment.enroll_new_users ? t.segment.areSampled : t.segment.stayOut],
          [
            t.segments.group,
            segment.group === null
              ? t.common.none
              : html`<a class="mono" href=${linkToGroup(segment.group)}>${segment.group}</a>`
          ],
          ...(segment.holdout ? [[t.segment.holdout, t.common.yes] as const] : []),
          [t.segments.created, h(Time, { value: segment.created_at })],
          ...(segment.deleted_at === null
            ? []
            : [[t.segment.deletedAt, h(Time, { value: segment.deleted_at })] as const])
        ]
      })}
      ${h(SegmentSize, { segment })}
      ${h(Tabs, {
        label: t.segment.parts,
        tabs: shown.map((name) => ({
          title: t.segment.tabs[name],
          href: linkToSegment(slug, {
            ...Object.fromEntries(query),
            tab: name === 'history' ? undefined : name
          }),
          isCurrent: name === tab
        }))
      })}
      ${h(TabContent, { tab, segment, onChange })}
      ${dialog === 'edit' && h(EditSegmentDialog, { segment, onClose: close, onChange: changed })}
      ${dialog === 'delete' && h(DeleteSegmentDialog, { segment, onClose: close, onChange: changed })}
    `
  })
}

/** One segment: its size over time, its history, its members, its share. */
export function SegmentPage({ slug }: { slug: string }) {
  const { client } = useSession()
  const [isFilling, setFilling] = useState(false)
  const { value, error, reload } = useRequest(
    `segment ${slug.toUpperCase()}`,
    async (options) => {
      const segment = await client.getSegment(slug, options)
      setFilling(isBeingFilled(segment))
      return segment
    },
    { every: isFilling ? FILLING_POLL_MS : undefined }
  )
  if (value) {
    return html`${error !== undefined && h(ErrorNotice, { error, onRetry: reload })}
      ${h(SegmentView, { segment: value, onChange: reload })}`
  }
  if (isSegmentsError(error, 'SEGMENT_NOT_FOUND')) {
    return h(Page, {
      title: slug,
      isMono: true,
      children: h(EmptyState, {
        title: t.segment.unknown,
        hint: t.segment.unknownHint,
        children: html`<a class="button" href=${linkTo('/', { q: slug })}>${t.segment.searchFor(slug)}</a>`
      })
    })
  }
  return h(Page, {
    title: slug,
    isMono: true,
    children: error === undefined ? h(Skeleton, { lines: 10 }) : h(ErrorNotice, { error, onRetry: reload })
  })
}
