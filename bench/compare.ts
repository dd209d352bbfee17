import { setTimeout as sleep } from 'node:timers/promises'

/** What one measurement has found, by name; `errors` count against it. */
export type Measurement = Record<string, number>

export type Pair<M extends Measurement> = { measured: M; reference: M }

/** The middle value, and how far the others lie. */
export type Spread = { median: number; lowest: number; highest: number }

export type Target = { atLeast: number } | { atMost: number }

/** One line of the results. */
export type Row = {
  what: string
  reference: string
  target?: Target
  /** Of the pairs' ratios. */
  ratio: Spread
  /** Medians, for information: they hold for the machine they were measured on. */
  measured: number
  referenceMeasured: number
  unit: string
  errors: number
}

/** Milliseconds of rest before a measurement, for what the one before has left behind. */
const PAUSE = 300

/**
 * Measures both sides in turn (A B A B …), so that whatever else the machine does meets both alike: only the
 * ratio within a pair counts.
 */
export async function comparePairs<M extends Measurement>(
  pairs: number,
  [name, measure]: [name: string, measure: () => Promise<M>],
  [referenceName, measureReference]: [name: string, measure: () => Promise<M>]
): Promise<Pair<M>[]> {
  const results: Pair<M>[] = []
  for (let pair = 1; pair <= pairs; pair++) {
    const measured = await announce(`${pair}/${pairs} ${name}`, measure)
    const reference = await announce(`${pair}/${pairs} ${referenceName}`, measureReference)
    results.push({ measured, reference })
  }
  return results
}

async function announce<M extends Measurement>(label: string, measure: () => Promise<M>): Promise<M> {
  await sleep(PAUSE)
  const found = await measure()
  const values = Object.entries(found).map(([name, value]) => `${name} ${formatNumber(value)}`)
  console.log(`  ${label}: ${values.join(', ')}`)
  return found
}

/** Makes a line of results from one value of each measurement. */
export function toRow<M extends Measurement>(
  pairs: Pair<M>[],
  value: (measurement: M) => number,
  { ...description }: Pick<Row, 'what' | 'reference' | 'unit'> & { target?: Target }
): Row {
  return {
    ...description,
    ratio: spread(pairs.map(({ measured, reference }) => value(measured) / value(reference))),
    measured: median(pairs.map(({ measured }) => value(measured))),
    referenceMeasured: median(pairs.map(({ reference }) => value(reference))),
    errors: pairs.reduce((sum, { measured, reference }) => sum + errorsOf(measured) + errorsOf(reference), 0)
  }
}

/** Whether a line's target is met; undefined where it has none. */
export function isMet({ target, ratio, errors }: Row): boolean | undefined {
  if (target === undefined) return undefined
  const within = 'atLeast' in target ? ratio.median >= target.atLeast : ratio.median <= target.atMost
  return within && errors === 0
}

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  return ((sorted[Math.ceil(middle - 1)] ?? Number.NaN) + (sorted[Math.floor(middle)] ?? Number.NaN)) / 2
}

function spread(values: number[]): Spread {
  return { median: median(values), lowest: Math.min(...values), highest: Math.max(...values) }
}

function errorsOf(measurement: Measurement): number {
  return measurement.errors ?? 0
}

/** Three significant digits, or the integer. */
export function formatNumber(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3)))
}
