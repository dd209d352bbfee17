/** Instances crash, or are suspended, at each step of generating a report. */
import { createHash } from 'node:crypto'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import postgres from 'postgres'
import t, { type Test } from 'tap'
import { startFaultProxy } from '../support/fault-proxy.ts'
import { holdTable, waitForBlocked } from '../support/locks.ts'
import { type ServerProcess, startServerProcess } from '../support/server-process.ts'
import { createDatabase, createFolder, type TestDatabase, waitUntil } from '../support/service.ts'

const PERIODS = 60_000
const filename = 'user-1_2023-08-01_2023-08-31.csv'

type Report = { status: string; rows: number; bytes: number; sha256: string; error: string | null }

/** A database with a report of that many rows to generate, and a folder that the instances share. */
class Scene {
  readonly t: Test
  readonly database: TestDatabase
  readonly folder: string
  readonly lease: string

  constructor(t: Test, database: TestDatabase, folder: string, lease: string) {
    this.t = t
    this.database = database
    this.folder = folder
    this.lease = lease
  }

  startInstance(databaseUrl = this.database.url): ServerProcess {
    return startServerProcess(this.t, {
      DATABASE_URL: databaseUrl,
      PORT: '0',
      REPORTS_DIR: this.folder,
      REPORT_LEASE: this.lease
    })
  }

  /** Orders the report from an instance. */
  async order(instance: ServerProcess): Promise<void> {
    const address = await instance.address()
    const order = await fetch(`${address}/api/v1/segments/user/1/csv?from=2023-08-01&to=2023-08-31`)
    this.t.equal(order.status, 202)
  }

  async row() {
    const [row] = await this.database.sql<
      { status: string; attempt: number; token: string | null; over: boolean }[]
    >`
      select status, attempt, token, lease_until < now() as over from reports`
    return row
  }

  async files(): Promise<string[]> {
    return (await readdir(this.folder)).sort()
  }

  /** The size of an unfinished file. */
  async writtenBytes(): Promise<number> {
    const name = (await this.files()).find((name) => name.startsWith('.'))
    if (name === undefined) return 0
    const { size } = await stat(join(this.folder, name)).catch(() => ({ size: 0 }))
    return size
  }

  /** Waits until another instance has finished the report. Asserts that only the complete, correct file is served. */
  async checkReady(instance: ServerProcess): Promise<Report> {
    const link = `${await instance.address()}/api/v1/segments/user/history/${filename}`
    const file = await waitUntil(
      () => fetch(link),
      ({ status }) => status === 200
    )
    const text = await file.text()
    const report = (await (await fetch(`${link}/status`)).json()) as Report
    this.t.match(report, { status: 'ready', rows: PERIODS, bytes: text.length, error: null })
    this.t.equal(createHash('sha256').update(text).digest('hex'), report.sha256)
    this.t.equal(text.split('\n').length, PERIODS + 2)
    return report
  }

  /** Kills the instance, and asserts that another one finishes its work and cleans up. */
  async checkTakeover(killed: ServerProcess): Promise<void> {
    killed.process.kill('SIGKILL')
    await killed.exitCode()
    await this.checkReady(this.startInstance())
    const { token } = (await this.row()) ?? {}
    const names = await waitUntil(
      () => this.files(),
      ({ length }) => length === 1
    )
    this.t.match(names, [`user-1_2023-08-01_2023-08-31.${token}.csv`], 'nothing else is left')
  }
}

const database = await createDatabase(t)
await database.sql`insert into users values (1)`
await database.sql`insert into segments (id, slug) select n, 'S' || n from generate_series(1, ${PERIODS}::integer) n`
await database.sql`
  insert into memberships (user_id, segment_id, added_at)
  select 1, id, '2023-08-01T00:00:00Z'::timestamptz + id * interval '1 second' from segments`

/** The shared history, without a report yet. */
async function setScene(t: Test, lease = '2s'): Promise<Scene> {
  await database.sql`truncate reports`
  return new Scene(t, database, await createFolder(t), lease)
}

t.test('killed before it has read anything', async (t) => {
  const scene = await setScene(t)
  const release = await holdTable(t, scene.database, 'memberships')
  const instance = scene.startInstance()
  await scene.order(instance)
  await waitForBlocked(scene.database, 1, 'user-segments report')
  t.match(await scene.row(), { status: 'running', attempt: 1 })
  const takeover = scene.checkTakeover(instance)
  await waitUntil(
    async () => (await scene.row())?.attempt,
    (attempt) => attempt === 2
  )
  await release()
  await takeover
})

t.test('killed while it writes', async (t) => {
  const scene = await setScene(t)
  const proxy = await startFaultProxy(t, scene.database.url)
  const release = await holdTable(t, scene.database, 'memberships')
  const instance = scene.startInstance(proxy.url)
  await scene.order(instance)
  await waitForBlocked(scene.database, 1, 'user-segments report')
  // Delays each part of the history, so that writing takes long enough.
  await proxy.set('delay')
  await release()
  await waitUntil(
    () => scene.writtenBytes(),
    (bytes) => bytes > 0
  )
  instance.process.kill('SIGSTOP')
  t.match(await scene.files(), [/^\./], 'a part of a file exists')
  await scene.checkTakeover(instance)
})

t.test('killed when the file is stored and the database does not know it yet', async (t) => {
  // Longer than a busy machine takes to make the report: the lease can't be renewed while the row is locked.
  const scene = await setScene(t, '1m')
  const release = await holdTable(t, scene.database, 'memberships')
  const instance = scene.startInstance()
  await scene.order(instance)
  await waitForBlocked(scene.database, 1, 'user-segments report')
  const holder = postgres(scene.database.url, { max: 1 })
  t.teardown(() => holder.end({ timeout: 1 }))
  await holder.unsafe('begin; select from reports for update')
  await release()
  await waitUntil(
    () => scene.files(),
    ([name]) => name !== undefined && !name.startsWith('.')
  )
  instance.process.kill('SIGKILL')
  await instance.exitCode()
  // The statement of the dead instance must not take effect.
  await scene.database.sql`
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and application_name = 'user-segments writes'`
  await holder.unsafe('rollback')
  t.match(await scene.row(), { status: 'running', attempt: 1 })
  await scene.database.sql`update reports set lease_until = clock_timestamp()`
  await scene.checkTakeover(instance)
  t.match(await scene.row(), { status: 'ready', attempt: 2 })
})

t.test('killed when it is ready', async (t) => {
  const scene = await setScene(t)
  const instance = scene.startInstance()
  await scene.order(instance)
  const { sha256 } = await scene.checkReady(instance)
  await scene.checkTakeover(instance)
  t.match(await scene.row(), { status: 'ready', attempt: 1 })
  t.equal((await scene.checkReady(scene.startInstance())).sha256, sha256)
})

t.test(
  'an instance that was suspended for longer than its lease overwrites nothing when it resumes',
  async (t) => {
    const scene = await setScene(t)
    const release = await holdTable(t, scene.database, 'memberships')
    const late = scene.startInstance()
    await scene.order(late)
    await waitForBlocked(scene.database, 1, 'user-segments report')
    late.process.kill('SIGSTOP')
    await waitUntil(
      async () => (await scene.row())?.over,
      (over) => over === true
    )
    await release()
    const next = scene.startInstance()
    const report = await scene.checkReady(next)
    const row = await scene.row()
    t.match(row, { status: 'ready', attempt: 2 })

    late.process.kill('SIGCONT')
    await waitUntil(
      async () => late.stdout,
      (log) => log.includes('report was lost to another attempt')
    )
    t.same(await scene.row(), row)
    await waitUntil(
      () => scene.files(),
      ({ length }) => length === 1
    )
    t.same(await scene.files(), [`user-1_2023-08-01_2023-08-31.${row?.token}.csv`])
    t.same(await scene.checkReady(late), report, 'it serves the report that the other instance has generated')
  }
)
