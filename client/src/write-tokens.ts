/** The most tokens that the service takes in one header. */
export const MAX_TOKENS = 16

/**
 * The tokens of writes that reads must contain.
 *
 * A write that began after another was answered contains it, so its token replaces the other's. Only the tokens of writes
 * that overlapped are kept beside each other.
 */
export class WriteTokens {
  readonly #tokens = new Set<string>()

  /** The value of the header `x-segments-token`; undefined if there is none to send. */
  get value(): string | undefined {
    // Without a token, a read is answered as if the client had written nothing: by the primary, unless the operator
    // allows staleness. Some of the tokens could be answered by a standby that lacks the others.
    const { size } = this.#tokens
    return size === 0 || size > MAX_TOKENS ? undefined : [...this.#tokens].join()
  }

  /** Adds tokens of other clients: the `value` of theirs. */
  add(value: string): void {
    for (const token of value.split(',')) this.#tokens.add(token.trim())
  }

  /** A write begins. Returns what to call with the token of its answer. */
  beginWrite(): (token: string | null) => void {
    const before = [...this.#tokens]
    return (token) => {
      if (token === null) return
      for (const old of before) this.#tokens.delete(old)
      this.#tokens.add(token)
    }
  }
}
