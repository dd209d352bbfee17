import type { ComponentChildren } from 'preact'
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import { html } from '../html.ts'

export type Column<Row> = {
  title: string
  /** What a row shows in this column. */
  cell: (row: Row) => ComponentChildren
  /** Whether only screen readers are told the title. */
  isTitleHidden?: boolean
  /** Numbers stand on the right. */
  isNumber?: boolean
  /** The narrowest page, in pixels, that shows the column: there are three steps. */
  from?: 'narrow' | 'medium' | 'wide'
  /** `100%` for the one that takes the rest of the width. Default: what its content takes. */
  width?: string
}

type TableProps<Row> = {
  /** What the table is, for screen readers. */
  label: string
  columns: readonly Column<Row>[]
  rows: readonly Row[]
  keyOf: (row: Row) => string
  /** How many rows there are, if more are to come. */
  total?: number | undefined
  /** The end has come into view. */
  onEnd?: () => void
  isStale?: boolean
}

/** Pixels. Every row is as high as this, so that a place in the list can be computed. */
const ROW_HEIGHT = 44
/** Rows above and below what is visible. */
const OVERSCAN = 12

type Range = { first: number; last: number }

/** The rows that are visible, and some more, while the page scrolls. */
function useVisibleRange(count: number): [Range, { current: HTMLTableSectionElement | null }] {
  const body = useRef<HTMLTableSectionElement>(null)
  const [range, setRange] = useState<Range>({ first: 0, last: Math.min(count, 40) })
  useLayoutEffect(() => {
    let frame = 0
    const measure = () => {
      frame = 0
      const top = body.current?.getBoundingClientRect().top ?? 0
      const first = Math.max(0, Math.floor(-top / ROW_HEIGHT) - OVERSCAN)
      const last = Math.min(count, Math.ceil((innerHeight - top) / ROW_HEIGHT) + OVERSCAN)
      setRange((before) => (before.first === first && before.last === last ? before : { first, last }))
    }
    const schedule = () => {
      frame ||= requestAnimationFrame(measure)
    }
    measure()
    addEventListener('scroll', schedule, { passive: true })
    addEventListener('resize', schedule)
    return () => {
      cancelAnimationFrame(frame)
      removeEventListener('scroll', schedule)
      removeEventListener('resize', schedule)
    }
  }, [count])
  return [range, body]
}

const classOf = <Row>({ isNumber, from, width }: Column<Row>): string =>
  [isNumber && 'number', from && `from-${from}`, width !== undefined && 'fills'].filter(Boolean).join(' ')

/**
 * A table of any length: only the rows that are visible are elements. It scrolls with the page, and its header stays.
 */
export function Table<Row>({ label, columns, rows, keyOf, total, onEnd, isStale = false }: TableProps<Row>) {
  const [{ first, last }, body] = useVisibleRange(rows.length)
  const isAtEnd = last >= rows.length
  useEffect(() => {
    if (isAtEnd) onEnd?.()
  }, [isAtEnd, rows.length])
  const shown = rows.slice(first, last)
  const spacer = (count: number) =>
    count > 0 &&
    html`<tr aria-hidden="true"><td class="spacer" colspan=${columns.length} style=${{ height: `${count * ROW_HEIGHT}px` }}></td></tr>`
  return html`<table class=${`table ${isStale ? 'stale' : ''}`} aria-label=${label} aria-rowcount=${total ?? rows.length + 1}>
    <colgroup>
      ${columns.map((column) => html`<col key=${column.title} class=${classOf(column)} style=${{ width: column.width }} />`)}
    </colgroup>
    <thead>
      <tr aria-rowindex="1">
        ${columns.map((column) => html`<th key=${column.title} scope="col" class=${classOf(column)}><span class=${column.isTitleHidden ? 'visually-hidden' : undefined}>${column.title}</span></th>`)}
      </tr>
    </thead>
    <tbody ref=${body}>
      ${spacer(first)}
      ${shown.map(
        (row, index) => html`<tr key=${keyOf(row)} aria-rowindex=${first + index + 2}>
          ${columns.map((column) => html`<td key=${column.title} class=${classOf(column)}>${column.cell(row)}</td>`)}
        </tr>`
      )}
      ${spacer(rows.length - last)}
    </tbody>
  </table>`
}
