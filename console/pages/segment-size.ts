import { h } from 'preact'
import { useMemo } from 'preact/hooks'
import type { Segment } from '../../client/src/index.ts'
import { Button } from '../components/button.ts'
import { ErrorNotice } from '../components/notice.ts'
import { Section } from '../components/page.ts'
import { Plot } from '../components/plot.ts'
import { Count, formatTime, Time } from '../components/values.ts'
import { html } from '../html.ts'
import { formatCount } from '../language.ts'
import { DAY_MS, readMoment, writeMoment } from '../moments.ts'
import { useRequest } from '../requests.ts'
import { changeQuery, usePlace } from '../router.ts'
import { useSession } from '../session.ts'
import { t } from '../texts.ts'

const ranges = { week: 7, month: 30, quarter: 90, year: 365 } as const
type Range = keyof typeof ranges

const HOUR_MS = 3_600_000
/** Up to this many days, the size is shown for every hour. */
const HOURLY_DAYS = 14
/** The service answers this many moments. */
const MAX_MOMENTS = 2_000
/** Rows of the table beside the plot. */
const MAX_TABLE_ROWS = 500

type Interval = { from: Date; to: Date; range: Range | undefined }

/** The interval of the address: chosen by pressing and dragging, or one of the ranges up to now. */
function readInterval(query: URLSearchParams): Interval {
  const from = readMoment(query.get('from') ?? '')
  const to = readMoment(query.get('to') ?? '')
  if (from && to && from < to) return { from, to, range: undefined }
  const range = (Object.keys(ranges) as Range[]).find((name) => name === query.get('range')) ?? 'month'
  // To the full hour, so that it is the same question for a while.
  const now = Math.ceil(Date.now() / HOUR_MS) * HOUR_MS
  return { from: new Date(now - ranges[range] * DAY_MS), to: new Date(now), range }
}

/** The size over time. Pressing and dragging looks closer; the address keeps the interval. */
export function SegmentSize({ segment }: { segment: Segment }) {
  const { slug, members, deleted_at } = segment
  const { client } = useSession()
  const { query } = usePlace()
  const { from, to, range } = readInterval(query)
  const days = (to.getTime() - from.getTime()) / DAY_MS
  const step = days <= HOURLY_DAYS ? 'hour' : 'day'
  const start = new Date(Math.max(from.getTime(), to.getTime() - (MAX_MOMENTS - 2) * DAY_MS))
  const { value, error, reload } = useRequest(
    `sizes ${slug} ${writeMoment(from)} ${writeMoment(to)}`,
    (options) =>
      client.getSegmentSizes(slug, { from: writeMoment(start), to: writeMoment(to), step, ...options })
  )
  const series = useMemo(() => {
    const sizes = value ?? []
    const times = sizes.map(({ time }) => Date.parse(time))
    const values = sizes.map(({ members }) => members)
    const isUpToNow = range !== undefined && deleted_at === null && times.length > 0
    return isUpToNow ? { times: [...times, Date.now()], values: [...values, members] } : { times, values }
  }, [value, members, deleted_at, range])
  const zoom = (from: number, to: number) => {
    // At least a few of the moments that the service can tell apart.
    const middle = (from + to) / 2
    const half = Math.max(to - from, 4 * HOUR_MS) / 2
    changeQuery(
      {
        from: writeMoment(new Date(middle - half)),
        to: writeMoment(new Date(Math.min(Date.now(), middle + half))),
        range: undefined
      },
      { replaces: false }
    )
  }
  const choose = (range: Range) =>
    changeQuery({ range: range === 'month' ? undefined : range, from: undefined, to: undefined })
  return h(Section, {
    title: t.segment.sizeOverTime,
    actions: html`<div class="chips" role="group" aria-label=${t.segment.range}>
      ${(Object.keys(ranges) as Range[]).map(
        (
          name
        ) => html`<button key=${name} type="button" class="chip" aria-pressed=${name === range ? 'true' : 'false'}
          onClick=${() => choose(name)}>${t.segment.ranges[name]}</button>`
      )}
      ${range === undefined && h(Button, { kind: 'quiet', onClick: () => choose('month'), children: t.segment.zoomOut })}
    </div>`,
    children: html`<div class="card">
      ${error !== undefined && h(ErrorNotice, { error, onRetry: reload })}
      ${h(Plot, {
        label: t.segment.plotLabel(
          slug,
          formatTime(from, 'day'),
          formatTime(to, 'day'),
          formatCount(members)
        ),
        ...series,
        onRange: zoom
      })}
      <details class="plot-table">
        <summary>${t.segment.asTable}</summary>
        <table class="plain">
          <thead><tr><th scope="col">${t.segment.moment}</th><th scope="col" class="number">${t.segments.members}</th></tr></thead>
          <tbody>
            ${(value ?? [])
              .slice(-MAX_TABLE_ROWS)
              .map(
                ({ time, members }) =>
                  html`<tr key=${time}><td>${h(Time, { value: time })}</td><td class="number">${h(Count, { value: members })}</td></tr>`
              )}
          </tbody>
        </table>
      </details>
    </div>`
  })
}
