import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { FastifyInstance, InjectOptions } from 'fastify'
import postgres from 'postgres'
import type { Test } from 'tap'
import type { Config } from '../../schemas/config.ts'
import { buildApp, type Observation } from '../../src/app.ts'

export type TestDatabase = { url: string; sql: postgres.Sql }

const serverUrl = process.env.TEST_DATABASE_URL

/** The URL of a database on the tests' server. */
function databaseUrl(database: string): string {
  if (!serverUrl) throw new Error('Run the tests with `npm test`: it brings their PostgreSQL')
  const url = new URL(serverUrl)
  url.pathname = `/${database}`
  return url.href
}

/** A migrated database of the test's own, dropped after it. */
export async function createDatabase(t: Test): Promise<TestDatabase> {
  const name = `test_${randomBytes(8).toString('hex')}`
  const server = postgres(databaseUrl('postgres'), { max: 1 })
  // Two clones of one template at once are refused.
  await server`select pg_advisory_lock(1)`
  await server.unsafe(`create database ${name} template template_segments`)
  await server`select pg_advisory_unlock(1)`
  const sql = postgres(databaseUrl(name), { max: 5, onnotice: () => {} })
  t.teardown(async () => {
    await sql.end({ timeout: 5 })
    await server.unsafe(`drop database ${name} with (force)`)
    await server.end()
  })
  return { url: databaseUrl(name), sql }
}

/** A folder of the test's own, removed after it. */
export async function createFolder(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'reports-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** An answer that can be compared whole: the body is parsed where it is JSON, and text otherwise. */
export type Answer = { status: number; body: unknown }

export class TestService {
  readonly app: FastifyInstance
  readonly sql: postgres.Sql
  readonly database: TestDatabase
  readonly reportsDirectory: string

  constructor(app: FastifyInstance, database: TestDatabase, reportsDirectory: string) {
    this.app = app
    this.sql = database.sql
    this.database = database
    this.reportsDirectory = reportsDirectory
  }

  async request(options: InjectOptions): Promise<Answer> {
    const { statusCode, body, headers } = await this.app.inject(options)
    this.#checkStatus(String(options.method), String(options.url), statusCode)
    const isJson = headers['content-type']?.toString().startsWith('application/json')
    return { status: statusCode, body: isJson ? JSON.parse(body) : body }
  }

  /** Throws where the OpenAPI document does not say that the operation can answer with the status. */
  #checkStatus(method: string, url: string, status: number): void {
    const pathname = url.split('?')[0] ?? ''
    const paths = Object.entries(this.app.swagger().paths ?? {})
    const matching = paths.filter(([path]) =>
      new RegExp(`^${path.replace(/\{\w+\}/g, '[^/]+')}/?$`).test(pathname)
    )
    // A fixed path comes before one with parameters.
    const [, operations] = matching.toSorted(([a], [b]) => a.split('{').length - b.split('{').length)[0] ?? []
    const operation = operations?.[method.toLowerCase() as 'get']
    if (operation && !(String(status) in (operation.responses ?? {}))) {
      throw new Error(`${method} ${url} answered ${status}, which its documentation does not name`)
    }
  }

  /** Sends a body of any shape as JSON. */
  post(url: string, body: unknown): Promise<Answer> {
    const headers = { 'content-type': 'application/json' }
    return this.request({ method: 'POST', url, headers, body: JSON.stringify(body) })
  }

  get(url: string): Promise<Answer> {
    return this.request({ method: 'GET', url })
  }

  createSegment(slug: string, selection?: number): Promise<Answer> {
    return this.post('/api/v1/segment', { slug, selection })
  }

  getSegment(slug: string): Promise<Answer> {
    return this.request({ method: 'GET', url: `/api/v1/segment/${slug}` })
  }

  /** Changes a segment's properties. */
  patchSegment(slug: string, change: object): Promise<Answer> {
    const headers = { 'content-type': 'application/json' }
    const url = `/api/v1/segment/${slug}`
    return this.request({ method: 'PATCH', url, headers, body: JSON.stringify(change) })
  }

  deleteSegment(slug: string): Promise<Answer> {
    return this.request({ method: 'DELETE', url: `/api/v1/segment/${slug}` })
  }

  getSegments(userId: number | string): Promise<Answer> {
    return this.request({ method: 'GET', url: `/api/v1/segments/user/${userId}` })
  }

  changeSegments(userId: number | string, add?: string[], remove?: string[]): Promise<Answer> {
    const body = { segments_to_add: add, segments_to_delete: remove }
    return this.post(`/api/v1/segments/user/${userId}`, body)
  }

  orderReport(userId: number | string, from: string, to: string): Promise<Answer> {
    return this.request({ method: 'GET', url: `/api/v1/segments/user/${userId}/csv?from=${from}&to=${to}` })
  }

  getReport(filename: string): Promise<Answer> {
    return this.request({ method: 'GET', url: `/api/v1/segments/user/history/${filename}` })
  }

  getReportStatus(filename: string): Promise<Answer> {
    return this.request({ method: 'GET', url: `/api/v1/segments/user/history/${filename}/status` })
  }

  /** Orders a report of all users, of one segment where the body names it. */
  orderReportOfAll(body: { from: string; to: string; segment?: string }): Promise<Answer> {
    return this.post('/api/v1/reports', body)
  }

  /** Orders a report and waits until it is there, but not for the pauses between its attempts. */
  async makeReport(userId: number | string, from: string, to: string): Promise<Answer> {
    return this.#awaitReport(await this.orderReport(userId, from, to))
  }

  /** As `makeReport`, of all users. */
  async makeReportOfAll(body: { from: string; to: string; segment?: string }): Promise<Answer> {
    return this.#awaitReport(await this.orderReportOfAll(body))
  }

  async #awaitReport(order: Answer): Promise<Answer> {
    if (order.status !== 202) return order
    const { pathname } = new URL((order.body as { link: string }).link)
    return waitUntil(
      async () => {
        await this.sql`update reports set run_at = now() where status = 'queued' and run_at > now()`
        return this.request({ method: 'GET', url: pathname.slice(pathname.indexOf('/api/')) })
      },
      ({ body }) => (body as { code?: string }).code !== 'REPORT_PENDING'
    )
  }

  /** The user's whole history up to now, as the service reports it: an array a row, without the header. */
  async history(userId: number | string): Promise<string[][]> {
    const { body } = await this.makeReport(userId, '1970-01-01', dayFromNow(1))
    return String(body)
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => line.split(','))
  }
}

/** The service as production runs it, on a database and a folder of the test's own. */
export async function startService(
  t: Test,
  config: Partial<Config> = {},
  observation: Observation = {}
): Promise<TestService> {
  const database = await createDatabase(t)
  return startServiceOn(t, database, config, observation)
}

/** One more instance of the service, on a database that is there already. */
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
    OPEN_ROUTES: 'docs',
    REPORTS_DIR: reportsDirectory,
    REPORT_TTL: '7d',
    REPORT_LEASE: '30s',
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

/** Tries until the result is the wanted one, half a minute at the most. */
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
