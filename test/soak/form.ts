import type { Test } from 'tap'

/** Whether this is the long form of the tests (`npm run test:soak`) or the short one (`npm test`). */
const isLong = process.env.SOAK === '1'

/** Chooses the amount of work of a test by its form. */
export function sized(short: number, long: number): number {
  return isLong ? long : short
}

/** The seed of a test's random choices: random, or that of a run to repeat. */
export const seed = process.env.SOAK_SEED
  ? Number(process.env.SOAK_SEED)
  : Math.floor(Math.random() * 2 ** 31)

/** Random numbers from 0, inclusive, to 1, exclusive, from a seed (mulberry32, public domain). */
export function randomFrom(start: number): () => number {
  let state = start
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let bits = Math.imul(state ^ (state >>> 15), 1 | state)
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Picks one of several, by a number from 0, inclusive, to 1, exclusive. */
export function pick<T>(random: () => number, choices: readonly [T, ...T[]]): T {
  return choices[Math.floor(random() * choices.length)] ?? choices[0]
}

/** Prints the results of a test as one line, for SOAK.md. */
export function summarize(t: Test, figures: Record<string, string | number>): void {
  const parts = Object.entries(figures).map(([name, figure]) => `${figure} ${name}`)
  t.comment(`${t.name}: ${parts.join(', ')} (SOAK_SEED=${seed})`)
}
