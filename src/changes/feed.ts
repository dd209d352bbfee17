import { type ChangeCursor, START } from '../database/change-states.ts'
import type { Pool, Sql } from '../database/connect.ts'
import { retryIdempotent } from '../database/retry.ts'
import { cursorExpired } from '../http/errors.ts'
import { type ChangeFilter, type ChangePage, isExpired, selectChanges } from './queries.ts'
import { ChangeWatch } from './watch.ts'

/** Which changes to read. */
export type ChangeRequest = {
  cursor: ChangeCursor
  filter: ChangeFilter
  /** The maximum number of changes. */
  limit: number
  /** Nobody waits for the changes any more. */
  signal: AbortSignal
}

/** Reads the change feed, and waits for changes. */
export class ChangeFeed {
  readonly #pool: Pool
  readonly #watch: ChangeWatch
  readonly #retention: number

  /** @param retention days for which changes are kept. */
  constructor(pool: Pool, retention: number) {
    this.#pool = pool
    this.#watch = new ChangeWatch(pool)
    this.#retention = retention
  }

  /**
   * Checks that the changes after a cursor are still kept.
   *
   * @throws {ApiError} CURSOR_EXPIRED
   */
  async requireKept(sql: Sql, cursor: ChangeCursor): Promise<void> {
    const isStart = (cursor.place ?? cursor.from).day === START.from.day
    if (!isStart && (await isExpired(sql, cursor, this.#retention))) throw cursorExpired()
  }

  /**
   * Reads the next page of changes. A page with a filter may be empty without being the last one.
   *
   * @throws {ApiError} CURSOR_EXPIRED
   */
  async readPage({ cursor, filter, limit, signal }: ChangeRequest): Promise<ChangePage> {
    const pool = this.#pool.within(signal)
    const page = await retryIdempotent(() => selectChanges(pool, cursor, filter, limit))
    // A check beforehand would miss changes that are dropped, or lost by a failover, between the two.
    await retryIdempotent(() => this.requireKept(pool, cursor))
    return page
  }

  /** Reads until there is a change, or there are no more. @throws {ApiError} CURSOR_EXPIRED */
  async #readOnward(request: ChangeRequest): Promise<ChangePage> {
    let page = await this.readPage(request)
    while (page.changes.length === 0 && !page.isLast)
      page = await this.readPage({ ...request, cursor: page.cursor })
    return page
  }

  /** Begins to wait for changes: see {@link ChangeWatch.listen}. Call `end` afterwards. */
  listen(): ReturnType<ChangeWatch['listen']> {
    return this.#watch.listen()
  }

  /**
   * Reads the next changes. Without any, waits for the first one.
   *
   * @param wait how long to wait, in milliseconds.
   * @param ended aborts to return without waiting longer.
   * @throws {ApiError} CURSOR_EXPIRED
   */
  async read(request: ChangeRequest, wait: number, ended: AbortSignal): Promise<ChangePage> {
    const deadline = performance.now() + wait
    const stopped = AbortSignal.any([request.signal, ended])
    const news = wait > 0 ? this.#watch.listen() : undefined
    try {
      let page = await this.#readOnward(request)
      while (news && page.changes.length === 0 && !stopped.aborted) {
        const left = deadline - performance.now()
        if (left <= 0) break
        await news.next(left, stopped)
        if (stopped.aborted) break
        page = await this.#readOnward({ ...request, cursor: page.cursor })
      }
      return page
    } finally {
      news?.end()
    }
  }
}
