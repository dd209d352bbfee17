import { h } from 'preact'
import { useMemo, useState } from 'preact/hooks'
import { isSegmentsError, type TimelineEntry } from '../../client/src/index.ts'
import { Button } from '../components/button.ts'
import { MomentPicker } from '../components/moment.ts'
import { EmptyState, ErrorNotice, Notice, Skeleton } from '../components/notice.ts'
import { Page, Section } from '../components/page.ts'
import { Timeline } from '../components/timeline.ts'
import { formatTime } from '../components/values.ts'
import { html } from '../html.ts'
import { formatCount } from '../language.ts'
import { DAY_MS, readMoment, writeMoment } from '../moments.ts'
import { toLanes } from '../periods.ts'
import { useRequest } from '../requests.ts'
import { changeQuery, useQuery } from '../router.ts'
import { useMay, useSession } from '../session.ts'
import { t } from '../texts.ts'
import { AddToSegmentDialog, EraseUserDialog, RemoveFromSegmentDialog } from './user-changes.ts'
import { UserHistory } from './user-history.ts'
import { UserMemberships } from './user-memberships.ts'

/** Entries that are shown. A user with more has been in segments for years. */
const MAX_ENTRIES = 5_000
const PAGE_SIZE = 1_000

const ranges = { week: 7, month: 30, quarter: 90, year: 365, all: Number.POSITIVE_INFINITY } as const
type Range = keyof typeof ranges
const rangeNames: readonly Range[] = ['week', 'month', 'quarter', 'year', 'all']

type Question = { kind: 'add' } | { kind: 'remove'; slug: string } | { kind: 'erase' }

function UserTimeline({ entries, at }: { entries: readonly TimelineEntry[]; at: Date | undefined }) {
  const [chosen, setRange] = useQuery('range', 'month')
  const range = rangeNames.find((name) => name === chosen) ?? 'month'
  const now = Date.now()
  const first = entries[0] ? Date.parse(entries[0].time) : now
  const start = Math.max(first - DAY_MS / 24, now - ranges[range] * DAY_MS)
  // Whatever the interval is, the chosen moment is in it.
  const from = range === 'all' ? start : Math.min(now - ranges[range] * DAY_MS, at?.getTime() ?? now)
  const lanes = useMemo(() => toLanes(entries, first), [entries, first])
  const visible = lanes.filter(({ periods }) => periods.some(({ to }) => (to ?? now) >= from))
  return h(Section, {
    title: t.user.timeline,
    actions: html`<div class="chips" role="group" aria-label=${t.segment.range}>
      ${rangeNames.map(
        (
          name
        ) => html`<button key=${name} type="button" class="chip" aria-pressed=${name === range ? 'true' : 'false'}
          onClick=${() => setRange(name)}>${name === 'all' ? t.user.allTime : t.segment.ranges[name]}</button>`
      )}
    </div>`,
    children: html`<div class="card">
      ${h(Timeline, {
        lanes: visible,
        from,
        to: now,
        at: at?.getTime() ?? now,
        onChoose: (time) => changeQuery({ at: writeMoment(new Date(time)) })
      })}
      <p class="hint">${t.user.timelineHint}</p>
    </div>`
  })
}

/** One user: in which segments, since when and why; at any moment. */
export function UserPage({ userId }: { userId: string }) {
  const { client } = useSession()
  const [at, setAt] = useQuery('at')
  const [question, setQuestion] = useState<Question>()
  const mayChange = useMay('editor')
  const mayErase = useMay('admin')
  const chosen = readMoment(at)
  const moment = chosen === undefined ? undefined : writeMoment(chosen)
  const memberships = useRequest(`memberships ${userId} ${moment}`, (options) =>
    client.getUserMemberships(userId, { ...(moment !== undefined && { at: moment }), ...options })
  )
  const history = useRequest(`history of ${userId}`, async (options) => {
    const entries: TimelineEntry[] = []
    for await (const entry of client.getUserHistory(userId, { limit: PAGE_SIZE, ...options })) {
      entries.push(entry)
      // The last ones are those that matter, and the service lists them last.
      if (entries.length > 2 * MAX_ENTRIES) entries.splice(0, MAX_ENTRIES)
    }
    return { entries: entries.slice(-MAX_ENTRIES), isWhole: entries.length <= MAX_ENTRIES }
  })
  const title = t.user.title(userId)
  const error = memberships.error ?? history.error
  const close = () => setQuestion(undefined)
  const changed = () => {
    close()
    memberships.reload()
    history.reload()
  }
  const dialogs = html`
    ${question?.kind === 'add' && h(AddToSegmentDialog, { userId, onClose: close, onChange: changed })}
    ${question?.kind === 'remove' && h(RemoveFromSegmentDialog, { userId, slug: question.slug, onClose: close, onChange: changed })}
    ${question?.kind === 'erase' && h(EraseUserDialog, { userId, onClose: close, onChange: changed })}`
  const add =
    mayChange &&
    h(Button, { kind: 'primary', onClick: () => setQuestion({ kind: 'add' }), children: t.user.add })

  if (isSegmentsError(error, 'USER_NOT_FOUND')) {
    return h(Page, {
      title,
      children: html`${h(EmptyState, { title: t.user.unknown, hint: t.user.unknownHint, children: add })}${dialogs}`
    })
  }
  const known = memberships.value
  const count = known === undefined ? '' : t.common.segments(known.length)
  return h(Page, {
    title,
    subtitle:
      known === undefined
        ? t.common.loading
        : chosen === undefined
          ? t.user.now(count)
          : t.user.atMoment(count, formatTime(chosen)),
    actions: html`${add}
      ${mayErase && h(Button, { kind: 'danger', onClick: () => setQuestion({ kind: 'erase' }), children: t.user.erase })}`,
    children: html`
      ${error !== undefined && h(ErrorNotice, { error, onRetry: changed })}
      ${h(MomentPicker, { label: t.user.stateAt, value: moment ?? '', onChange: setAt })}
      ${
        known === undefined
          ? error === undefined && h(Skeleton, { lines: 3 })
          : h(UserMemberships, {
              memberships: known,
              isStale: memberships.isStale,
              onRemove:
                mayChange && chosen === undefined
                  ? (slug: string) => setQuestion({ kind: 'remove', slug })
                  : undefined
            })
      }
      ${history.value && history.value.entries.length > 0 && h(UserTimeline, { entries: history.value.entries, at: chosen })}
      ${
        history.value &&
        h(Section, {
          title: t.user.history,
          children: html`
            ${!history.value.isWhole && h(Notice, { kind: 'warning', children: t.user.truncated(formatCount(MAX_ENTRIES)) })}
            ${h(UserHistory, { entries: history.value.entries })}`
        })
      }
      ${dialogs}
    `
  })
}
