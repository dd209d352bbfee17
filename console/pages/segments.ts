import { h } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import type { Segment } from '../../client/src/index.ts'
import { Button } from '../components/button.ts'
import { CheckField, SearchField } from '../components/field.ts'
import { announce } from '../components/live-region.ts'
import { EmptyState, ErrorNotice, Skeleton } from '../components/notice.ts'
import { Page } from '../components/page.ts'
import { Sparkline } from '../components/sparkline.ts'
import { type Column, Table } from '../components/table.ts'
import { Count, Share, Time } from '../components/values.ts'
import { html } from '../html.ts'
import { formatCount } from '../language.ts'
import { DAY_MS } from '../moments.ts'
import { inTurn, useList, useRequest } from '../requests.ts'
import { linkToGroup, linkToSegment, useQuery } from '../router.ts'
import { useMay, useSession } from '../session.ts'
import { t } from '../texts.ts'
import { CreateSegmentDialog } from './create-segment.ts'
import { SegmentState } from './segment-state.ts'

const PAGE_SIZE = 100
const TREND_DAYS = 30
/** Milliseconds after the last letter until the search is sent. */
const TYPING_PAUSE_MS = 150

/** A value that follows another one when that has rested. */
function useRested(value: string): string {
  const [rested, setRested] = useState(value)
  useEffect(() => {
    const timer = setTimeout(() => setRested(value), TYPING_PAUSE_MS)
    return () => clearTimeout(timer)
  }, [value])
  return rested
}

/** The size over the last days. It is asked for when the row comes into view, as rows outside have no elements. */
function Trend({ slug, members }: { slug: string; members: number }) {
  const { client } = useSession()
  const { value } = useRequest(`trend ${slug}`, (options) => {
    const from = new Date(Date.now() - TREND_DAYS * DAY_MS).toISOString().slice(0, 10)
    return inTurn(options.signal, () => client.getSegmentSizes(slug, { from, step: 'day', ...options }))
  })
  if (!value) return null
  const values = [...value.map(({ members }) => members), members]
  const label = t.segments.trendOf(slug, formatCount(values[0] ?? 0), formatCount(members))
  return h(Sparkline, { values, label })
}

const listColumns = (): Column<Segment>[] => [
  {
    title: t.segments.slug,
    width: '100%',
    cell: (segment) => html`<span class="cell-main">
      <a class="mono" href=${linkToSegment(segment.slug)}>${segment.slug}</a>
      ${h(SegmentState, { segment })}
      ${segment.description !== null && html`<span class="cell-note">${segment.description}</span>`}
    </span>`
  },
  { title: t.segments.members, isNumber: true, cell: ({ members }) => h(Count, { value: members }) },
  {
    title: t.segments.share,
    isNumber: true,
    from: 'narrow',
    cell: ({ selection }) => h(Share, { value: selection })
  },
  {
    title: t.segments.trend,
    from: 'medium',
    cell: ({ slug, members }) => h(Trend, { slug, members })
  },
  {
    title: t.segments.group,
    from: 'wide',
    cell: ({ group }) => group !== null && html`<a class="mono" href=${linkToGroup(group)}>${group}</a>`
  },
  {
    title: t.segments.created,
    from: 'medium',
    cell: ({ created_at }) => h(Time, { value: created_at, precision: 'day' })
  }
]

/** All segments: searched, with their sizes. */
export function SegmentsPage() {
  const { client } = useSession()
  const [search, setSearch] = useQuery('q')
  const [deleted, setDeleted] = useQuery('deleted')
  const [isCreating, setCreating] = useState(false)
  const mayCreate = useMay('admin')
  const q = useRested(search.trim())
  const includesDeleted = deleted === 'yes'
  const { rows, error, isLoading, isStale, isComplete, loadMore, reload } = useList(
    `segments ${includesDeleted} ${q}`,
    (options) =>
      client.listSegments({
        ...(q !== '' && { q }),
        include_deleted: includesDeleted,
        limit: PAGE_SIZE,
        ...options
      }),
    ({ segments }) => segments
  )
  const count = rows?.length
  useEffect(() => {
    if (!isLoading && count !== undefined) announce(t.lists.results(count, isComplete))
  }, [isLoading, count, isComplete])
  const createButton =
    mayCreate && h(Button, { kind: 'primary', onClick: () => setCreating(true), children: t.segments.create })

  return h(Page, {
    title: t.segments.title,
    actions: createButton,
    children: html`
      <div class="toolbar">
        ${h(SearchField, { label: t.segments.search, value: search, onInput: setSearch })}
        ${h(CheckField, {
          label: t.segments.showDeleted,
          isChecked: includesDeleted,
          onChange: (isChecked) => setDeleted(isChecked ? 'yes' : '')
        })}
        ${count !== undefined && html`<span class="faint number">${t.lists.results(count, isComplete)}</span>`}
      </div>
      ${error !== undefined && h(ErrorNotice, { error, onRetry: reload })}
      ${rows === undefined && error === undefined && h(Skeleton, { lines: 8 })}
      ${
        rows !== undefined &&
        rows.length > 0 &&
        h(Table<Segment>, {
          label: t.segments.title,
          columns: listColumns(),
          rows,
          keyOf: ({ slug }) => slug,
          onEnd: loadMore,
          isStale
        })
      }
      ${
        rows?.length === 0 &&
        !isLoading &&
        (q === ''
          ? h(EmptyState, {
              title: t.segments.emptyTitle,
              hint: t.segments.emptyHint,
              children: createButton
            })
          : h(EmptyState, { title: t.segments.emptySearch, hint: t.segments.emptySearchHint }))
      }
      ${isCreating && h(CreateSegmentDialog, { onClose: () => setCreating(false) })}
    `
  })
}
