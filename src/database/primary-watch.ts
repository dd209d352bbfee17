import type { Pool } from './pool.ts'
import { selectPosition, selectPrimaryState } from './read-server-queries.ts'
import { hasReached, type Position, type Replayed } from './write-tokens.ts'

/** What an instance knows about the primary, for its reads on other servers. */
export class PrimaryWatch {
  readonly #reads: Pool
  /** Milliseconds for which positions are kept. */
  readonly #memory: number
  /** Positions of the primary, the newest last, with the time by performance.now() before which they were read. */
  readonly #positions: { position: Position; at: number }[] = []
  #cluster: string | undefined
  #synchronous: readonly string[] = []
  #nodes: ReadonlySet<string> = new Set()

  /**
   * @param reads the pool of DATABASE_URL.
   * @param memory how far behind, in milliseconds, a server may be for {@link measureLag} to know by how much.
   */
  constructor(reads: Pool, memory: number) {
    this.#reads = reads
    this.#memory = memory
  }

  /** @throws {Error} an error of the database. Then no standby is known to be synchronous. */
  async check(): Promise<void> {
    const at = performance.now()
    try {
      const { cluster, position, synchronous, nodes } = await selectPrimaryState(this.#reads)
      this.#remember({ position, at })
      this.#cluster = cluster
      this.#synchronous = synchronous
      this.#nodes = new Set(nodes)
    } catch (error) {
      this.#synchronous = []
      throw error
    }
  }

  /** Keeps about a hundred positions, or all if there are fewer: the lag may be measured by 1 % too long. */
  #remember(newest: { position: Position; at: number }): void {
    const positions = this.#positions
    while (positions[0] && newest.at - positions[0].at > this.#memory) positions.shift()
    const [older, newer] = positions.slice(-2)
    if (older && newer && newer.at - older.at < this.#memory / 100) positions.pop()
    positions.push(newest)
  }

  /** Asks for the current position: everything that was committed before this call is before it. */
  readPosition(): Promise<Position> {
    return selectPosition(this.#reads)
  }

  /**
   * Whether writes waited for a standby of this name, at the last check, until it had replayed them.
   */
  isSynchronous(name: string): boolean {
    return this.#synchronous.includes(name)
  }

  /** Whether the primary has ever answered a check. */
  get isKnown(): boolean {
    return this.#cluster !== undefined
  }

  /** Whether a standby replays the log of this primary, or of one that it replaced. */
  isOfCluster(cluster: string): boolean {
    return this.#cluster === cluster
  }

  /** Whether the server with this start time is a node of the Citus cluster. */
  hasNode(startedAt: string): boolean {
    return this.#nodes.has(startedAt)
  }

  /**
   * Returns a time in milliseconds by which the server is behind the primary, at most; Infinity if that is not known.
   * Times of the servers are not compared: their clocks may differ, and an idle primary writes none.
   */
  measureLag(replayed: Replayed): number {
    const reached = this.#positions.findLast(({ position }) => hasReached(replayed, position))
    return reached ? performance.now() - reached.at : Number.POSITIVE_INFINITY
  }
}
