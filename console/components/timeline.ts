import { html } from '../html.ts'
import { language } from '../language.ts'
import { DAY_MS } from '../moments.ts'
import type { Lane, Period } from '../periods.ts'
import { linkToSegment } from '../router.ts'
import { t } from '../texts.ts'
import { describeCause, formatTime } from './values.ts'

const TICKS = 5
/** Per cent: a shorter bar could not be seen. */
const MIN_WIDTH = 0.3

type TimelineProps = {
  lanes: readonly Lane[]
  /** Milliseconds since 1970. */
  from: number
  to: number
  /** The moment that is marked. */
  at: number
  onChoose: (time: number) => void
}

function describePeriod({ from, to, began, ended }: Period): string {
  const end = to === undefined ? t.common.now : formatTime(new Date(to))
  const causes = [began && describeCause(began.cause), ended && describeCause(ended.cause, true)].filter(
    Boolean
  )
  return t.user.period(formatTime(new Date(from)), end, causes.join(', '))
}

function formatTick(time: number, length: number): string {
  const options: Intl.DateTimeFormatOptions =
    length < 2 * DAY_MS ? { hour: '2-digit', minute: '2-digit' } : { day: 'numeric', month: 'short' }
  return new Intl.DateTimeFormat(language.value, options).format(time)
}

/**
 * When a user was in which segment: a lane for each. Pressing on it chooses a moment, which the page also offers in other ways
 * for those who press nothing.
 */
export function Timeline({ lanes, from, to, at, onChoose }: TimelineProps) {
  const length = to - from
  const place = (time: number): number => (Math.max(0, Math.min(length, time - from)) / length) * 100
  const bars = (periods: readonly Period[]) =>
    periods.flatMap((period, index) => {
      const end = period.to ?? to
      if (end < from || period.from > to) return []
      const left = place(period.from)
      const width = Math.max(MIN_WIDTH, place(end) - left)
      const text = describePeriod(period)
      return [
        html`<span key=${index} class=${`bar ${period.to === undefined ? 'running' : ''}`} title=${text}
          style=${{ left: `${Math.min(left, 100 - width)}%`, width: `${width}%` }}><span class="visually-hidden">${text}</span></span>`
      ]
    })
  const choose = (event: MouseEvent) => {
    const track = event.target instanceof Element ? event.target.closest('.track') : null
    if (!track) return
    const { left, width } = track.getBoundingClientRect()
    onChoose(from + ((event.clientX - left) / width) * length)
  }
  const mark = at >= from && at <= to && html`<span class="mark" style=${{ left: `${place(at)}%` }}></span>`
  const ticks = Array.from({ length: TICKS }, (_, index) => from + (length * index) / (TICKS - 1))
  return html`<div class="timeline" onClick=${choose}>
    <div class="ticks number" aria-hidden="true">
      ${ticks.map((time) => html`<span key=${time}>${formatTick(time, length)}</span>`)}
    </div>
    <ul>
      ${lanes.map(
        ({ slug, periods }) => html`<li key=${slug}>
          <a class="mono" href=${linkToSegment(slug)} title=${slug}>${slug}</a>
          <span class="track">${bars(periods)}${mark}</span>
        </li>`
      )}
    </ul>
  </div>`
}
