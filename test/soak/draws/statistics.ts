/**
 * How draws without replacement are distributed. A draw is a set of `m` of the positions 0 to n - 1; if it is fair, each
 * such set is equally probable, and the draws are independent of each other.
 *
 * Each statistic is turned into a z-score, which for fair draws is nearly normal with mean 0 and variance 1. The means
 * and variances below are exact, except where a comment says otherwise.
 */
export type Draws = { population: number; sets: readonly Uint32Array[] }

/**
 * Whether each position is drawn equally often. D draws draw position i in c_i of them; with the share s = m / n,
 *
 *     T = (n - 1) / n × Σ (c_i - D s)² / (D s (1 - s))
 *
 * The usual statistic lacks the first factor: it would be right if each position were drawn on its own. Draws of a fixed
 * size have a covariance of -s (1 - s) / (n - 1) between positions, so their T is nearly chi-square with n - 1 degrees of
 * freedom. With the vectors x_d of a draw (1 - s where drawn, -s elsewhere), Σ (c_i - D s)² is
 * Σ |x_d|² + 2 Σ x_d·x_e. The lengths are constant, and x_d·x_e is the overlap of two draws less its mean, which is
 * hypergeometric and pairwise independent. From this follow the mean of T, n - 1, and its variance,
 * 2 (n - 1) (1 - 1 / D): less than that of chi-square.
 *
 * The cube root of T is much closer to normal than T (Wilson and Hilferty).
 */
export function scoreInclusion({ population: n, sets }: Draws): number {
  const draws = sets.length
  const share = sizeOf(sets) / n
  const counts = countInclusions(n, sets)
  const squares = counts.reduce((sum, count) => sum + (count - draws * share) ** 2, 0)
  const statistic = (((n - 1) / n) * squares) / (draws * share * (1 - share))
  const spread = 2 / (9 * (n - 1))
  return (Math.cbrt(statistic / (n - 1)) - (1 - spread)) / Math.sqrt(spread * (1 - 1 / draws))
}

/**
 * Whether draws are independent of each other: the overlap of each two is hypergeometric, with mean m² / n and variance
 * m² (n - m)² / (n² (n - 1)). The mean overlap would say no more than {@link scoreInclusion}, whose statistic is a sum of
 * it. So this is the sum of their squared z-scores: it is too large if some draws resemble each other and others avoid
 * each other, and too small if draws are spread evenly over each other. Overlaps are pairwise independent, so the variance
 * of the sum is the number of pairs times the kurtosis of one overlap less 1.
 */
export function scoreOverlaps({ population: n, sets }: Draws): number {
  const m = sizeOf(sets)
  const mean = m ** 2 / n
  const variance = (m * (n - m)) ** 2 / (n ** 2 * (n - 1))
  let sum = 0
  let pairs = 0
  const isIn = new Uint8Array(n)
  for (const [index, set] of sets.entries()) {
    isIn.fill(0)
    for (const position of set) isIn[position] = 1
    for (const other of sets.slice(index + 1)) {
      const overlap = other.reduce((count, position) => count + (isIn[position] ?? 0), 0)
      sum += (overlap - mean) ** 2 / variance
      pairs += 1
    }
  }
  return (sum - pairs) / Math.sqrt(pairs * (kurtosisOfOverlap(n, m) - 1))
}

/** The kurtosis of the hypergeometric distribution of m from n with m marked, summed up from its probabilities. */
function kurtosisOfOverlap(n: number, m: number): number {
  const mean = m ** 2 / n
  const least = Math.max(0, 2 * m - n)
  let weight = 1
  let [total, second, fourth] = [0, 0, 0]
  // Weights relative to that of the mode, so that none is too large. Those of both sides follow from their neighbours.
  const ratio = (k: number) => (m - k) ** 2 / ((k + 1) * (n - 2 * m + k + 1))
  const add = (k: number) => {
    total += weight
    second += weight * (k - mean) ** 2
    fourth += weight * (k - mean) ** 4
  }
  const mode = Math.floor((m + 1) ** 2 / (n + 2))
  for (let k = mode; k <= m && weight > 0; k += 1) {
    add(k)
    weight *= ratio(k)
  }
  weight = 1
  for (let k = mode - 1; k >= least; k -= 1) {
    weight /= ratio(k)
    add(k)
  }
  return (fourth * total) / second ** 2
}

/** Whether high positions are drawn as often as low ones: the sum of the drawn positions. */
export function scoreOrder({ population: n, sets }: Draws): number {
  const m = sizeOf(sets)
  const sum = sets.reduce((all, set) => set.reduce((part, position) => part + position, all), 0)
  const mean = (m * (n - 1)) / 2
  const variance = (m * (n - m) * (n + 1)) / 12
  return (sum - sets.length * mean) / Math.sqrt(sets.length * variance)
}

/**
 * Whether neighbours are drawn together more or less often than others. The number of runs of drawn positions is
 * distributed as the number of elements that a draw of m from n has of n - m + 1 marked ones (Wald and Wolfowitz).
 */
export function scoreNeighbours({ population: n, sets }: Draws): number {
  const m = sizeOf(sets)
  const runs = sets.reduce((all, set) => {
    const isIn = new Set(set)
    return set.reduce((count, position) => count + (isIn.has(position - 1) ? 0 : 1), all)
  }, 0)
  const mean = (m * (n - m + 1)) / n
  const variance = (m * (m - 1) * (n - m + 1) * (n - m)) / (n ** 2 * (n - 1))
  return (runs - sets.length * mean) / Math.sqrt(sets.length * variance)
}

/** The size of all sets. @throws {RangeError} if it differs. */
function sizeOf(sets: readonly Uint32Array[]): number {
  const sizes = new Set(sets.map(({ length }) => length))
  const [size] = sizes
  if (sizes.size !== 1 || size === undefined) throw new RangeError(`the sets have ${[...sizes]} elements`)
  return size
}

function countInclusions(population: number, sets: readonly Uint32Array[]): number[] {
  const counts: number[] = Array(population).fill(0)
  for (const set of sets) for (const position of set) counts[position] = (counts[position] ?? 0) + 1
  return counts
}
