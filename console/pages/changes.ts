import { h } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { isSegmentsError } from '../../client/src/index.ts'
import { ChangeReader, type FeedState, MAX_ENTRIES } from '../change-reader.ts'
import { Button } from '../components/button.ts'
import { announce } from '../components/live-region.ts'
import { EmptyState, ErrorNotice, Notice, Skeleton } from '../components/notice.ts'
import { Page } from '../components/page.ts'
import { formatTime, Tag } from '../components/values.ts'
import { html } from '../html.ts'
import { formatDuration } from '../language.ts'
import { useSession } from '../session.ts'
import { useStore } from '../store.ts'
import { t } from '../texts.ts'
import { ChangeFilter, toCursor, useChangeFilter } from './change-filter.ts'
import { ChangeTable } from './change-table.ts'

/** Pixels. Whoever has scrolled further reads, and rows must not move. */
const READING_OFFSET = 160

const formatClock = (time: number): string => formatTime(new Date(time), 'clock')

/** A reader of what the address asks for; another one when that changes, or at another turn. */
function useChangeReader(turn: number): ChangeReader | undefined {
  const { client } = useSession()
  const { start, segment, userId } = useChangeFilter()
  const [reader, setReader] = useState<ChangeReader>()
  useEffect(() => {
    const own = new ChangeReader(client, { after: toCursor(start), segment, userId })
    setReader(own)
    return () => own.close()
  }, [client, start, segment, userId, turn])
  return reader
}

function useIsReading(): boolean {
  const [isReading, setReading] = useState(false)
  useEffect(() => {
    const measure = () => setReading(scrollY > READING_OFFSET)
    measure()
    addEventListener('scroll', measure, { passive: true })
    return () => removeEventListener('scroll', measure)
  }, [])
  return isReading
}

/** Whether the list is that of this moment, and if not, why. */
function FeedStatus({
  state,
  isPaused,
  onSkip
}: {
  state: FeedState
  isPaused: boolean
  onSkip: () => void
}) {
  const { phase, answeredAt, reached, fault } = state
  if (fault !== undefined) {
    return html`<div class="stack-small">
      <p class="feed-status">${h(Tag, { kind: 'bad', children: t.changes.away })}
        ${answeredAt !== undefined && html`<span>${t.changes.awayHint(formatClock(answeredAt))}</span>`}</p>
      ${h(ErrorNotice, { error: fault })}
    </div>`
  }
  if (answeredAt === undefined) return null
  if (isPaused) {
    return html`<p class="feed-status">${h(Tag, { children: t.changes.paused })}<span>${t.changes.pausedHint}</span></p>`
  }
  if (phase === 'behind' && reached !== undefined) {
    const behind = formatDuration((answeredAt - Date.parse(reached)) / 1_000)
    return html`<p class="feed-status">${h(Tag, { kind: 'accent', children: t.changes.behind })}
      <span class="number">${t.changes.reached(formatTime(reached, 'recent'), behind)}</span>
      ${h(Button, { kind: 'quiet', onClick: onSkip, children: t.changes.skip })}</p>`
  }
  return html`<p class="feed-status">${h(Tag, { kind: 'good', children: t.changes.live })}
    <span class="number">${t.changes.asOf(formatClock(answeredAt))}</span></p>`
}

function Feed({ reader, onRetry }: { reader: ChangeReader; onRetry: () => void }) {
  const state = useStore(reader.state)
  const { entries, waiting, phase, error, fault, gap } = state
  const [isPaused, setPaused] = useState(false)
  const isReading = useIsReading()
  useEffect(() => reader.hold(isPaused || isReading), [reader, isPaused, isReading])
  const wasAway = useRef(false)
  useEffect(() => {
    if (fault) announce(t.changes.away)
    else if (wasAway.current) announce(t.changes.isBack)
    wasAway.current = fault !== undefined
  }, [fault !== undefined])
  const showNewest = () => {
    setPaused(false)
    scrollTo(0, 0)
  }
  if (isSegmentsError(error, 'SEGMENT_NOT_FOUND')) return h(EmptyState, { title: t.changes.unknownSegment })
  return html`
    <div class="feed-head">
      <div class="grow">${error === undefined ? h(FeedStatus, { state, isPaused, onSkip: () => reader.skip() }) : h(ErrorNotice, { error, onRetry })}</div>
      ${error === undefined && h(Button, { onClick: () => setPaused(!isPaused), children: isPaused ? t.changes.resume : t.changes.pause })}
    </div>
    ${
      gap &&
      h(Notice, {
        kind: 'warning',
        children: html`<div><p>${t.changes.gap(formatTime(new Date(gap.from), 'second'), formatTime(new Date(gap.to), 'second'))}</p><p>${t.changes.gapHint}</p></div>`
      })
    }
    ${phase === 'starting' && error === undefined && fault === undefined && h(Skeleton, { lines: 5 })}
    ${phase !== 'starting' && entries.length === 0 && h(EmptyState, { title: t.changes.empty, hint: t.changes.emptyHint })}
    ${entries.length > 0 && h(ChangeTable, { entries })}
    ${entries.length === MAX_ENTRIES && html`<p class="hint">${t.changes.bounded(MAX_ENTRIES)}</p>`}
    ${waiting > 0 && html`<div class="feed-newer">${h(Button, { kind: 'primary', onClick: showNewest, children: t.changes.newer(waiting) })}</div>`}`
}

/** The change feed: live, of all, of a segment or of a user. */
export function ChangesPage() {
  const [turn, setTurn] = useState(0)
  const reader = useChangeReader(turn)
  return h(Page, {
    title: t.changes.title,
    subtitle: t.changes.intro,
    children: html`
      ${h(ChangeFilter, {})}
      ${reader ? h(Feed, { reader, onRetry: () => setTurn(turn + 1) }) : h(Skeleton, { lines: 5 })}`
  })
}
