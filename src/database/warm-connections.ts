import type { Sql } from './connect.ts'
import { isDatabaseUnavailable } from './faults.ts'

/**
 * Connections of which the one that was used last is taken first: the processor's caches still hold what its process in
 * PostgreSQL works with. A read that comes alone is a sixth faster than on each of ten in turn, as a pool of postgres.js
 * would have it.
 *
 * One that has failed is replaced, and not only opened anew: where a connection is lost in the moment in which a
 * statement has been given to it, postgres.js keeps back all that it sends later, until its time-out for connecting.
 */
export class WarmConnections {
  readonly #connect: () => Sql
  readonly #open = new Set<Sql>()
  /** The one that was used last is the last. */
  readonly #idle: Sql[] = []
  readonly #waiting: ((sql: Sql) => void)[] = []

  /**
   * @param size how many there are, and so statements under way; others wait.
   * @param connect makes a pool of one connection.
   */
  constructor(size: number, connect: () => Sql) {
    this.#connect = connect
    for (let n = 1; n <= size; n += 1) this.#idle.push(this.#add())
  }

  async use<T>(statement: (sql: Sql) => Promise<T>): Promise<T> {
    const sql = this.#idle.pop() ?? (await new Promise<Sql>((resolve) => this.#waiting.push(resolve)))
    try {
      const result = await statement(sql)
      this.#giveBack(sql)
      return result
    } catch (error) {
      if (isDatabaseUnavailable(error)) this.#replace(sql)
      else this.#giveBack(sql)
      throw error
    }
  }

  /** Ends them all, `timeout` seconds at the latest from now. */
  async end({ timeout }: { timeout: number }): Promise<void> {
    await Promise.all([...this.#open].map((sql) => sql.end({ timeout })))
  }

  #add(): Sql {
    const sql = this.#connect()
    this.#open.add(sql)
    return sql
  }

  #giveBack(sql: Sql): void {
    const take = this.#waiting.shift()
    if (take) take(sql)
    else this.#idle.push(sql)
  }

  /** Another attempt takes one of the others, if there is one. */
  #replace(failed: Sql): void {
    this.#open.delete(failed)
    void failed.end({ timeout: 0 })
    const take = this.#waiting.shift()
    if (take) take(this.#add())
    else this.#idle.unshift(this.#add())
  }
}
