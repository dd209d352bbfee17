import type { Test } from 'tap'

/** Whether this is the long form of the tests, by `npm run test:soak`, or the short one, with all the others. */
const isLong = process.env.SOAK === '1'

/** How much of something a test does, by its form. */
export function sized(short: number, long: number): number {
  return isLong ? long : short
}

/** What a test's random choices follow from: a new one each time, or the one of a run that is to be repeated. */
export const seed = process.env.SOAK_SEED
  ? Number(process.env.SOAK_SEED)
  : Math.floor(Math.random() * 2 ** 31)

/** Numbers from 0 up to but without 1 that follow from a seed (mulberry32, public domain). */
export function randomFrom(start: number): () => number {
  let state = start
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let bits = Math.imul(state ^ (state >>> 15), 1 | state)
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32
  }
}

/** One of several, by a number from 0 up to but without 1. */
export function pick<T>(random: () => number, choices: readonly [T, ...T[]]): T {
  return choices[Math.floor(random() * choices.length)] ?? choices[0]
}

/** Writes what a test has done as one line, for SOAK.md. */
export function summarize(t: Test, figures: Record<string, string | number>): void {
  const parts = Object.entries(figures).map(([name, figure]) => `${figure} ${name}`)
  t.comment(`${t.name}: ${parts.join(', ')} (SOAK_SEED=${seed})`)
}
