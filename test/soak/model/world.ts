import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { TransactionSql } from 'postgres'
import { formatTime } from '../../../src/database/connect.ts'
import { type ClosingPosition, closePeriods, continueAssignment } from '../../../src/segments/queries.ts'
import type { TestService } from '../../support/service.ts'
import type { UserId } from './filling.ts'
import { Model } from './model.ts'
import { dayOf, MICROSECONDS_OF_A_DAY, type Microseconds, Moment, parseTime } from './moment.ts'

/** Few, so that they meet often; two of them past JavaScript's exact integers. */
export const userIds: readonly UserId[] = ['1', '2', '3', '9007199254740993', '9223372036854775807']

/** The service and the model of it, to which the same is done. */
export class World {
  readonly service: TestService
  readonly model = new Model()
  #closing: ClosingPosition | undefined

  constructor(service: TestService) {
    this.service = service
  }

  /** The database's clock, by which everything is dated. */
  async now(): Promise<Microseconds> {
    const { sql } = this.service
    const [row] = await sql<[{ now: string }]>`
      select ${formatTime(sql, 'now')} as now from (select clock_timestamp() as now) clock`
    return parseTime(row.now)
  }

  /** A day so many days after today, in UTC. */
  async day(days: number): Promise<string> {
    return dayOf((await this.now()) + BigInt(days) * MICROSECONDS_OF_A_DAY)
  }

  /** What a call answers, and when what it did took effect. */
  async during<T>(call: () => Promise<T>): Promise<[T, Moment]> {
    const earliest = await this.now()
    const answer = await call()
    return [answer, new Moment(earliest, await this.now())]
  }

  /** Takes a step of a filling, as the job of any instance does. Answers whether there was one to take. */
  async fill(chunkSize: number): Promise<boolean> {
    return (await continueAssignment(this.service.sql, chunkSize)) !== undefined
  }

  /** Writes their end into some periods of deleted segments, as the job of any instance does. */
  async close(periods: number): Promise<void> {
    this.#closing = await closePeriods(this.service.sql, this.#closing, periods)
  }

  /** Changes the tables behind the service's back, of which its reports know nothing. */
  async rewrite<T>(change: (sql: TransactionSql) => Promise<T>): Promise<T> {
    const result = await this.service.sql.begin(change)
    const { reportsDirectory } = this.service
    for (const name of await readdir(reportsDirectory))
      await rm(join(reportsDirectory, name), { force: true })
    return result as T
  }
}

/** A world in which nothing has happened yet. The service's jobs rest: commands take their steps. */
export async function createWorld(service: TestService): Promise<World> {
  const { assignments, closing } = service.app.backgroundJobs
  await Promise.all([assignments.stop(), closing.stop()])
  const world = new World(service)
  await world.rewrite(async (sql) => {
    const tables = await sql<{ name: string }[]>`
      select tablename as name from pg_tables where schemaname = 'public' and tablename <> 'pgmigrations'`
    await sql.unsafe(`truncate ${tables.map(({ name }) => name).join()}`)
  })
  return world
}
