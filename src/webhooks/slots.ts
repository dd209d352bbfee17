/** The longest rest of a slot after a call. */
const LONGEST_REST_MS = 1_000

/** Lets a limited number of calls run at once, for a limited share of the time. The others wait for their turn. */
export class Slots {
  #free: number
  readonly #share: number
  readonly #waiting: (() => void)[] = []

  /** @param share the largest share of the time, up to 1, that calls may take in each slot. */
  constructor(count: number, share = 1) {
    this.#free = count
    this.#share = share
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    const begun = performance.now()
    try {
      return await work()
    } finally {
      const rest = Math.min((performance.now() - begun) * (1 / this.#share - 1), LONGEST_REST_MS)
      if (rest > 0) setTimeout(() => this.#release(), rest).unref()
      else this.#release()
    }
  }

  #release(): void {
    const next = this.#waiting.shift()
    if (next) next()
    else this.#free += 1
  }
}
