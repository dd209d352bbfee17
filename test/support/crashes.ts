/** Instances crash, or are suspended, at each step of generating a report, whatever it is stored in. */
import { createHash } from 'node:crypto'
import postgres from 'postgres'
import type { Test } from 'tap'
import { holdTable, waitForBlocked } from './locks.ts'
import { createPeriods } from './periods.ts'
import { type ServerProcess, startServerProcess } from './server-process.ts'
import { type TestDatabase, waitUntil } from './service.ts'

/** A storage of reports, as a test sees it from outside. */
export type Store = {
  /** The configuration of an instance. */
  environment: NodeJS.ProcessEnv
  /** The names of complete files. */
  finished: () => Promise<string[]>
  /** The names of files of which a part is stored. */
  unfinished: () => Promise<string[]>
}

const filename = 'user-1_2023-08-01_2023-08-31.csv'

type Report = { status: string; rows: number; bytes: number; sha256: string; error: string | null }

/** A database with a report of so many rows to generate, and a storage that the instances share. */
class Scene {
  readonly t: Test
  readonly database: TestDatabase
  readonly store: Store
  readonly periods: number
  readonly lease: string

  constructor(t: Test, database: TestDatabase, store: Store, periods: number, lease: string) {
    this.t = t
    this.database = database
    this.store = store
    this.periods = periods
    this.lease = lease
  }

  startInstance(databaseUrl = this.database.url): ServerProcess {
    return startServerProcess(this.t, {
      DATABASE_URL: databaseUrl,
      PORT: '0',
      ...this.store.environment,
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

  /** Waits until another instance has finished the report. Asserts that only the complete, correct file is served. */
  async checkReady(instance: ServerProcess): Promise<Report> {
    const link = `${await instance.address()}/api/v1/segments/user/history/${filename}`
    const file = await waitUntil(
      () => fetch(link),
      ({ status }) => status === 200
    )
    const text = await file.text()
    const status = await fetch(`${link}/status`)
    // The link names the instance that answers.
    const { link: _, ...report } = (await status.json()) as Report & { link: string }
    this.t.match(report, { status: 'ready', rows: this.periods, bytes: text.length, error: null })
    this.t.equal(createHash('sha256').update(text).digest('hex'), report.sha256)
    this.t.equal(text.split('\n').length, this.periods + 2)
    return report
  }

  /** Kills the instance, and asserts that another one finishes its work and cleans up. */
  async checkTakeover(killed: ServerProcess): Promise<void> {
    killed.process.kill('SIGKILL')
    await killed.exitCode()
    await this.checkReady(this.startInstance())
    const { token } = (await this.row()) ?? {}
    await this.checkStored(token ?? null)
  }

  /** Waits until nothing is stored but the file of this attempt. */
  async checkStored(token: string | null): Promise<void> {
    const stored = await waitUntil(
      async () => [await this.store.finished(), await this.store.unfinished()],
      ([finished = [], unfinished = []]) => finished.length === 1 && unfinished.length === 0
    )
    this.t.same(stored, [[`user-1_2023-08-01_2023-08-31.${token}.csv`], []], 'nothing else is left')
  }
}

/**
 * Tests crashes on a storage.
 *
 * @param openStore opens an empty storage for one test.
 * @param periods the rows of the report.
 * @returns a function that sets the scene of a further test, without a report.
 */
export async function testCrashes(
  t: Test,
  openStore: (t: Test) => Promise<Store>,
  periods: number
): Promise<(t: Test, lease?: string) => Promise<Scene>> {
  const database = await createPeriods(t, periods)

  async function setScene(t: Test, lease = '2s'): Promise<Scene> {
    await database.sql`truncate reports`
    return new Scene(t, database, await openStore(t), periods, lease)
  }

  await t.test('killed before it has read anything', async (t) => {
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

  await t.test('killed when the file is stored and the database does not know it yet', async (t) => {
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
      () => scene.store.finished(),
      ({ length }) => length > 0
    )
    instance.process.kill('SIGKILL')
    await instance.exitCode()
    // The statement of the dead instance must not take effect.
    await scene.database.sql`
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and application_name like 'user-segments writes %'`
    await holder.unsafe('rollback')
    t.match(await scene.row(), { status: 'running', attempt: 1 })
    await scene.database.sql`update reports set lease_until = clock_timestamp()`
    await scene.checkTakeover(instance)
    t.match(await scene.row(), { status: 'ready', attempt: 2 })
  })

  await t.test('killed when it is ready', async (t) => {
    const scene = await setScene(t)
    const instance = scene.startInstance()
    await scene.order(instance)
    const { sha256 } = await scene.checkReady(instance)
    await scene.checkTakeover(instance)
    t.match(await scene.row(), { status: 'ready', attempt: 1 })
    t.equal((await scene.checkReady(scene.startInstance())).sha256, sha256)
  })

  await t.test(
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
      await scene.checkStored(row?.token ?? null)
      t.same(
        await scene.checkReady(late),
        report,
        'it serves the report that the other instance has generated'
      )
    }
  )

  return setScene
}
