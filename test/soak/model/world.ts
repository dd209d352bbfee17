import type { TransactionSql } from 'postgres'
import { formatTime } from '../../../src/database/connect.ts'
import { type ClosingPosition, closePeriods } from '../../../src/segments/deletion-queries.ts'
import { continueAssignment } from '../../../src/segments/filling-queries.ts'
import { emptyTables, removeReports, type TestService } from '../../support/service.ts'
import type { UserId } from './filling.ts'
import { Followers } from './followers.ts'
import { Model } from './model.ts'
import { dayOf, MICROSECONDS_OF_A_DAY, type Microseconds, Moment, parseTime } from './moment.ts'

/** Few users, so that commands often meet; two ids exceed JavaScript's exact integers. */
export const userIds: readonly UserId[] = ['1', '2', '3', '9007199254740993', '9223372036854775807']

/** The service and its model, which get the same commands. */
export class World {
  readonly service: TestService
  readonly model = new Model()
  readonly followers = new Followers()
  #closing: ClosingPosition | undefined

  constructor(service: TestService) {
    this.service = service
  }

  /** The database's clock, which dates everything. */
  async now(): Promise<Microseconds> {
    const { sql } = this.service
    const [row] = await sql<[{ now: string }]>`
      select ${formatTime(sql, 'now')} as now from (select clock_timestamp() as now) clock`
    return parseTime(row.now)
  }

  /** The day that many days after today, in UTC. */
  async day(days: number): Promise<string> {
    return dayOf((await this.now()) + BigInt(days) * MICROSECONDS_OF_A_DAY)
  }

  /** Calls the service. Returns the result and the moment at which it took effect. */
  async during<T>(call: () => Promise<T>): Promise<[T, Moment]> {
    const earliest = await this.now()
    const answer = await call()
    return [answer, new Moment(earliest, await this.now())]
  }

  /** Takes a step of a filling, like the background job. Returns whether there was one. */
  async fill(chunkSize: number): Promise<boolean> {
    return (await continueAssignment(this.service.app.bulk, chunkSize)) !== undefined
  }

  /** Lets fillings that have failed try again at once. */
  async retryFillings(): Promise<void> {
    await this.service.sql`update assignments set run_at = now() where run_at > now()`
  }

  /** Closes some periods of deleted segments, like the background job. */
  async close(periods: number): Promise<void> {
    this.#closing = await closePeriods(this.service.app.bulk, this.#closing, periods)
  }

  /** Changes the tables directly, and removes finished reports, which do not include the change. */
  async rewrite<T>(change: (sql: TransactionSql) => Promise<T>): Promise<T> {
    const result = await this.service.sql.begin(change)
    await removeReports(this.service)
    return result as T
  }
}

/** An empty world. The background jobs are off: commands take their steps. */
export async function createWorld(service: TestService): Promise<World> {
  const { assignments, closing } = service.app.backgroundJobs
  await Promise.all([assignments.stop(), closing.stop()])
  await emptyTables(service.database)
  await removeReports(service)
  return new World(service)
}
