import { setTimeout as sleep } from 'node:timers/promises'

/** The values of one measurement, by name. With `errors`, no target is met. */
export type Measurement = Record<string, number>

export type Pair<M extends Measurement> = { measured: M; reference: M }

/** The median, and the range of the values. */
export type Spread = { median: number; lowest: number; highest: number }

export type Target = { atLeast: number } | { atMost: number }

/** One row of the results. */
export type Row = {
  what: string
  reference: string
  target?: Target
  /** The ratios of the pairs. */
  ratio: Spread
  /** Medians, for information: they are valid only for the machine they were measured on. */
  measured: number
  referenceMeasured: number
  unit: string
  errors: number
}

/** Milliseconds of rest before a measurement, so that the previous one does not affect it. */
const PAUSE = 300

/**
 * Measures both sides in turn (A B A B …), so that other load on the machine affects both alike. Only the ratio within a
 * pair counts.
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

/** Makes a row of results from one value of each measurement. */
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

/** Whether the target of a row is met; undefined if it has none. */
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

/** Formats a number with three significant digits, or as an integer if it has more. */
export function formatNumber(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3)))
}
