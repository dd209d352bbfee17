import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'
import { html } from '../html.ts'
import { formatCount, language } from '../language.ts'
import { useStore } from '../store.ts'
import { onThemeChange } from '../theme.ts'
import { announce } from './live-region.ts'
import { formatTime } from './values.ts'

export type PlotProps = {
  /** What is plotted, for screen readers. */
  label: string
  /** Milliseconds since 1970, ascending. */
  times: readonly number[]
  values: readonly number[]
  height?: number
  /** The viewer has chosen an interval, in milliseconds. */
  onRange?: (from: number, to: number) => void
}

/** The colours of the styles: a canvas knows none of their variables. */
function readColours(element: Element) {
  const probe = (name: string): string => {
    const span = document.createElement('span')
    span.style.color = `var(--${name})`
    element.append(span)
    const { color } = getComputedStyle(span)
    span.remove()
    return color
  }
  return { line: probe('accent'), fill: probe('accent-soft'), text: probe('text-faint'), grid: probe('line') }
}

const DAY_SECONDS = 86_400

function createPlot(element: HTMLElement, props: PlotProps): uPlot {
  const { times, values, height = 240, onRange } = props
  const { line, fill, text, grid } = readColours(element)
  const font = `12px ${getComputedStyle(element).fontFamily}`
  const axis = { stroke: text, font, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 } }
  const zoom = (plot: uPlot) => {
    const { left, width } = plot.select
    if (width < 4 || !onRange) return
    onRange(plot.posToVal(left, 'x') * 1_000, plot.posToVal(left + width, 'x') * 1_000)
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
  }
  const options: uPlot.Options = {
    width: element.clientWidth,
    height,
    legend: { show: false },
    cursor: { y: false, points: { size: 8 }, drag: { x: onRange !== undefined, y: false, setScale: false } },
    scales: { y: { range: (_plot, _least, most) => [0, Math.max(1, most * 1.05)] } },
    axes: [
      {
        ...axis,
        values: (_plot, splits, _index, _space, step) =>
          splits.map((split) => formatTick(split * 1_000, step))
      },
      {
        ...axis,
        size: (_plot, labels) => 16 + 7 * Math.max(3, ...(labels ?? []).map((label) => label.length)),
        values: (_plot, splits) => splits.map((split) => (Number.isInteger(split) ? formatCount(split) : ''))
      }
    ],
    series: [{}, { stroke: line, fill, width: 2, points: { show: times.length < 40, size: 5, fill: line } }],
    hooks: { setSelect: [zoom], setCursor: [(plot) => showReading(element, plot, props)] }
  }
  return new uPlot(options, [times.map((time) => time / 1_000), [...values]], element)
}

/** The hour; at midnight, and where the ticks are days apart, the day. */
function formatTick(time: number, step: number): string {
  const isMidnight = new Date(time).getHours() === 0
  const options: Intl.DateTimeFormatOptions =
    step < DAY_SECONDS && !isMidnight
      ? { hour: '2-digit', minute: '2-digit' }
      : { day: 'numeric', month: 'short' }
  return new Intl.DateTimeFormat(language.value, options).format(time)
}

const describeReading = ({ times, values }: PlotProps, index: number): string =>
  `${formatTime(new Date(times[index] ?? 0))}: ${formatCount(values[index] ?? 0)}`

/** What is under the pointer is written above the plot, where it hides nothing. */
function showReading(element: HTMLElement, { cursor }: uPlot, props: PlotProps): void {
  const reading = element.parentElement?.querySelector('.reading')
  const index = cursor.idx ?? props.times.length - 1
  if (reading) reading.textContent = props.times.length === 0 ? '' : describeReading(props, index)
}

/**
 * A line over time. Pressing and dragging chooses an interval; with the keyboard, the arrows move the reading.
 */
export function Plot(props: PlotProps) {
  const { label, times, values, height = 240 } = props
  const container = useRef<HTMLDivElement>(null)
  const latest = useRef(props)
  latest.current = props
  const chosenLanguage = useStore(language)
  const plot = useRef<uPlot | undefined>(undefined)

  useEffect(() => {
    const element = container.current
    if (!element) return
    const draw = () => {
      plot.current?.destroy()
      plot.current = createPlot(element, {
        ...latest.current,
        onRange: (from, to) => latest.current.onRange?.(from, to)
      })
      showReading(element, plot.current, latest.current)
    }
    draw()
    const observer = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height }))
    observer.observe(element)
    const unsubscribe = onThemeChange(draw)
    return () => {
      observer.disconnect()
      unsubscribe()
      plot.current?.destroy()
      plot.current = undefined
    }
  }, [times, values, height, chosenLanguage])

  const move = (event: KeyboardEvent) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key]
    const shown = plot.current
    if (step === undefined || !shown) return
    event.preventDefault()
    const index = Math.max(0, Math.min(times.length - 1, (shown.cursor.idx ?? times.length - 1) + step))
    const left = shown.valToPos((times[index] ?? 0) / 1_000, 'x')
    shown.setCursor({ left, top: 0 })
    announce(describeReading(latest.current, index))
  }
  return html`<figure class="plot">
    <figcaption class="reading number" aria-hidden="true"></figcaption>
    <div class="plot-area" ref=${container} style=${{ minHeight: `${height}px` }} role="img" aria-label=${label} tabindex="0" onKeyDown=${move}></div>
  </figure>`
}
