/** Instances that end without a word, or stand still, at each step of making a report. */
import { createHash } from 'node:crypto'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import postgres from 'postgres'
import t, { type Test } from 'tap'
import { countBlocked, holdTable } from '../support/locks.ts'
import { type ServerProcess, startServerProcess } from '../support/server-process.ts'
import { createDatabase, createFolder, type TestDatabase, waitUntil } from '../support/service.ts'

const PERIODS = 60_000
const filename = 'user-1_2023-08-01_2023-08-31.csv'

type Report = { status: string; rows: number; bytes: number; sha256: string; error: string | null }

/** A database with a report of so many rows to be made, and a folder that instances share. */
class Scene {
  readonly t: Test
  readonly database: TestDatabase
  readonly folder: string

  constructor(t: Test, database: TestDatabase, folder: string) {
    this.t = t
    this.database = database
    this.folder = folder
  }

  startInstance(): ServerProcess {
    return startServerProcess(this.t, {
      DATABASE_URL: this.database.url,
      PORT: '0',
      REPORTS_DIR: this.folder,
      REPORT_LEASE: '2s'
    })
  }

  /** Begins the report on an instance. */
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

  /** Of a file that is not finished. */
  async writtenBytes(): Promise<number> {
    const name = (await this.files()).find((name) => name.startsWith('.'))
    if (name === undefined) return 0
    const { size } = await stat(join(this.folder, name)).catch(() => ({ size: 0 }))
    return size
  }

  /** Until another instance has the report ready, whole and with the right checksum; nothing else was ever served. */
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

  /** Kills the instance, and sees another one finish its work and tidy up. */
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

async function setScene(t: Test): Promise<Scene> {
  const database = await createDatabase(t)
  await database.sql`insert into users values (1)`
  await database.sql`insert into segments (id, slug) select n, 'S' || n from generate_series(1, ${PERIODS}::integer) n`
  await database.sql`
    insert into memberships (user_id, segment_id, added_at)
    select 1, id, '2023-08-01T00:00:00Z'::timestamptz + id * interval '1 second' from segments`
  return new Scene(t, database, await createFolder(t))
}

t.test('killed before it has read anything', async (t) => {
  const scene = await setScene(t)
  const release = await holdTable(t, scene.database, 'memberships')
  const instance = scene.startInstance()
  await scene.order(instance)
  await waitUntil(
    () => countBlocked(scene.database, 'user-segments report'),
    (count) => count === 1
  )
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
  const instance = scene.startInstance()
  await scene.order(instance)
  await waitUntil(
    () => scene.writtenBytes(),
    (bytes) => bytes > 0
  )
  instance.process.kill('SIGSTOP')
  t.match(await scene.files(), [/^\./], 'there is a part of a file')
  await scene.checkTakeover(instance)
})

t.test('killed when the file is there and the database does not know yet', async (t) => {
  const scene = await setScene(t)
  const release = await holdTable(t, scene.database, 'memberships')
  const instance = scene.startInstance()
  await scene.order(instance)
  await waitUntil(
    () => countBlocked(scene.database, 'user-segments report'),
    (count) => count === 1
  )
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
  // What the dead instance was about to say must not be heard.
  await scene.database.sql`
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and application_name = 'user-segments write'`
  await holder.unsafe('rollback')
  t.match(await scene.row(), { status: 'running', attempt: 1 })
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
  'an instance that stood still for longer than its lease overwrites nothing when it goes on',
  async (t) => {
    const scene = await setScene(t)
    const release = await holdTable(t, scene.database, 'memberships')
    const late = scene.startInstance()
    await scene.order(late)
    await waitUntil(
      () => countBlocked(scene.database, 'user-segments report'),
      (count) => count === 1
    )
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
    t.same(await scene.checkReady(late), report, 'and it serves what the other has made')
  }
)
