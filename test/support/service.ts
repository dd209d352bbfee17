import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import postgres from 'postgres'
import type { Test } from 'tap'
import type { Config } from '../../schemas/config.ts'
import { buildApp, type Observation } from '../../src/app.ts'
import { createDistributedDatabase } from './citus.ts'
import { type Answer, TestClient } from './client.ts'
import { injectInto } from './transports.ts'

export type TestDatabase = { url: string; sql: postgres.Sql }

const serverUrl = process.env.TEST_DATABASE_URL
/** Set by `npm run test:citus`: the databases are distributed over this cluster. */
const citusUrl = process.env.TEST_CITUS_URL
export const isDistributed = citusUrl !== undefined

/** The URL of a database on the tests' server. */
function databaseUrl(database: string): string {
  if (!serverUrl) throw new Error('Run the tests with `npm test`: it brings their PostgreSQL')
  const url = new URL(serverUrl)
  url.pathname = `/${database}`
  return url.href
}

type DatabaseOptions = {
  isMigrated?: boolean
  /** Further options of `create database`, for an empty database. */
  create?: string
}

/** Creates a database for one test. It is dropped after the test. */
export async function createDatabase(t: Test, options: DatabaseOptions = {}): Promise<TestDatabase> {
  if (citusUrl === undefined) return cloneDatabase(t, options)
  const { url, drop } = await createDistributedDatabase(citusUrl)
  const sql = postgres(url, { max: 5, onnotice: () => {} })
  t.teardown(async () => {
    await sql.end({ timeout: 5 })
    await drop()
  })
  return { url, sql }
}

async function cloneDatabase(
  t: Test,
  { create = '', isMigrated = create === '' }: DatabaseOptions
): Promise<TestDatabase> {
  const name = `test_${randomBytes(8).toString('hex')}`
  const server = postgres(databaseUrl('postgres'), { max: 1 })
  // PostgreSQL refuses concurrent clones of one template.
  await server`select pg_advisory_lock(1)`
  await server.unsafe(
    `create database ${name} template ${isMigrated ? 'template_segments' : 'template0'} ${create}`
  )
  await server`select pg_advisory_unlock(1)`
  const sql = postgres(databaseUrl(name), { max: 5, onnotice: () => {} })
  t.teardown(async () => {
    await sql.end({ timeout: 5 })
    await server.unsafe(`drop database ${name} with (force)`)
    await server.end()
  })
  return { url: databaseUrl(name), sql }
}

/** Empties every table, as in a new database. Waits for writes in progress. */
export async function emptyTables({ sql }: TestDatabase): Promise<void> {
  const tables = await sql<{ name: string }[]>`
    select quote_ident(tablename) as name from pg_tables
    where schemaname = 'public' and tablename <> 'pgmigrations'`
  // Times out before PostgreSQL would resolve a deadlock with a background job, which locks tables in another order.
  // Across nodes, Citus resolves it.
  const attempt = () =>
    sql.begin(async (sql) => {
      await sql`set local lock_timeout = '100ms'`
      const names = tables.map(({ name }) => name)
      await sql.unsafe(`lock table ${names.join()} in access exclusive mode`)
      // Truncating all of them would take a tenth of a second: each gets new files, and so does each of its indexes.
      const found = await Promise.all(names.map((name) => sql.unsafe(`select from ${name} limit 1`)))
      const used = names.filter((_, index) => found[index]?.length)
      if (used.length > 0) await sql.unsafe(`truncate ${used.join()}`)
      await sql`
        select setval(format('%I.%I', schemaname, sequencename)::regclass, start_value, false)
        from pg_sequences
        where schemaname = 'public'
          and sequencename <> 'pgmigrations_id_seq'
          and last_value is not null`
      return true
    })
  await waitUntil(
    () =>
      attempt().catch((error: Error & { code?: string }) => {
        if (error.code === '55P03' || error.code === '40P01') return false
        throw error
      }),
    (isEmpty) => isEmpty
  )
}

/** Creates a folder for one test. It is removed after the test. */
export async function createFolder(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'reports-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** A service in this process, with its database and folder. */
export class TestService extends TestClient {
  readonly app: FastifyInstance
  readonly sql: postgres.Sql
  readonly database: TestDatabase
  readonly reportsDirectory: string

  constructor(app: FastifyInstance, database: TestDatabase, reportsDirectory: string) {
    super(injectInto(app))
    this.app = app
    this.sql = database.sql
    this.database = database
    this.reportsDirectory = reportsDirectory
  }

  /** Orders a report and waits until it is ready. Skips the pauses between its attempts. */
  async makeReport(userId: number | string, from: string, to: string): Promise<Answer> {
    return this.#awaitReport(await this.orderReport(userId, from, to))
  }

  /** Like `makeReport`, for all users. */
  async makeReportOfAll(body: { from: string; to: string; segment?: string }): Promise<Answer> {
    return this.#awaitReport(await this.orderReportOfAll(body))
  }

  async #awaitReport(order: Answer): Promise<Answer> {
    if (order.status !== 202) return order
    return waitUntil(
      async () => {
        await this.sql`update reports set run_at = now() where status = 'queued' and run_at > now()`
        return this.fetchReport(order)
      },
      ({ code }) => code !== 'REPORT_PENDING'
    )
  }

  /** The user's whole history up to now, from a report: one array per row, without the header. */
  async history(userId: number | string): Promise<string[][]> {
    const { text } = await this.makeReport(userId, '1970-01-01', dayFromNow(1))
    return text
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => line.split(','))
  }
}

/** Starts the service as in production, with its own database and folder. */
export async function startService(
  t: Test,
  config: Partial<Config> = {},
  observation: Observation = {}
): Promise<TestService> {
  const database = await createDatabase(t)
  return startServiceOn(t, database, config, observation)
}

/** Removes the files of all reports. */
export async function removeReports({ reportsDirectory }: TestService): Promise<void> {
  for (const name of await readdir(reportsDirectory)) await rm(join(reportsDirectory, name), { force: true })
}

/**
 * One service for many tests of a file, which is faster than one per test. Each test gets it with empty tables:
 *
 *     const emptyService = await shareService(t)
 *     t.test('…', async (t) => {
 *       const service = await emptyService()
 *
 * A test that changes the schema, ends the service or depends on the history of the process starts its own service.
 */
export async function shareService(
  t: Test,
  config: Partial<Config> = {}
): Promise<() => Promise<TestService>> {
  const service = await startService(t, config)
  return async () => {
    await emptyTables(service.database)
    await removeReports(service)
    return service
  }
}

/** One database for many services of a file. Each test starts its service with empty tables. */
export async function shareDatabase(
  t: Test
): Promise<(t: Test, config?: Partial<Config>, observation?: Observation) => Promise<TestService>> {
  const database = await createDatabase(t)
  return async (t, config, observation) => {
    await emptyTables(database)
    return startServiceOn(t, database, config, observation)
  }
}

/** Starts another instance of the service on an existing database. */
export async function startServiceOn(
  t: Test,
  database: TestDatabase,
  config: Partial<Config> = {},
  observation: Observation = {}
): Promise<TestService> {
  const reportsDirectory = await createFolder(t)
  const settings = {
    DATABASE_URL: database.url,
    HOST: '127.0.0.1',
    PORT: 0,
    OPEN_ROUTES: 'docs,console',
    REPORTS_DIR: reportsDirectory,
    AWS_REGION: 'us-east-1',
    REPORT_TTL: '7d',
    REPORT_LEASE: '30s',
    CHANGES_RETENTION: '30d',
    SHUTDOWN_DELAY: '0s',
    LOG_LEVEL: 'silent',
    ...config
  }
  const app = await buildApp(settings, observation)
  t.teardown(() => app.close())
  return new TestService(app, database, reportsDirectory)
}

/** A day in UTC, as YYYY-MM-DD. */
export function dayFromNow(days: number): string {
  return new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10)
}

/** Repeats a call until its result is the wanted one, for at most half a minute. */
export async function waitUntil<T>(attempt: () => Promise<T>, isWanted: (result: T) => boolean): Promise<T> {
  const deadline = performance.now() + 30_000
  for (;;) {
    const result = await attempt()
    if (isWanted(result)) return result
    if (performance.now() > deadline)
      throw new Error(`Waited in vain; the last result: ${JSON.stringify(result)}`)
    await setTimeout(20)
  }
}

/**
 * Repeats a request while the service refuses it because of its load. Such a request has had no effect, and a test does
 * not know how busy the machine is.
 */
export function untilTaken(send: () => Promise<Answer>): Promise<Answer> {
  return waitUntil(send, ({ status, code = '' }) => status !== 503 || !/^(OVERLOADED|TOO_MANY_)/.test(code))
}
