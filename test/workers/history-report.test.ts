import fs from 'node:fs'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import makeHistoryReport from '../../workers/history-report.ts'
import { startServiceWithPeriod } from '../support/periods.ts'
import { createDatabase, createFolder, type TestDatabase, waitUntil } from '../support/service.ts'

const added = '2023-08-01T10:00:00.000001Z'

t.test('a report is published whole, with the time of its snapshot', async (t) => {
  const { database, sql } = await startServiceWithPeriod(t, added, null)
  const directory = await createFolder(t)
  const names = { directory, filename: 'report.csv', temporaryName: '.report.csv.1', requestId: 'test' }
  const task = { databaseUrl: database.url, userId: '1', from: '2023-08-01', to: '2023-08-31', ...names }

  const report = await makeHistoryReport(task)
  t.equal(report.rows, 1)
  t.equal(
    await readFile(join(directory, 'report.csv'), 'utf8'),
    `user_id,segment_slug,operation,date\n1,A,add,${added}\n`
  )
  t.same(await readdir(directory), ['report.csv'], 'the temporary file is gone')
  const { mtimeMs } = await stat(join(directory, 'report.csv'))
  t.equal(Math.round(mtimeMs), Number(report.snapshotAt / 1000n), 'to the millisecond')
  const [now] = await sql<[{ before: boolean }]>`
    select ${String(report.snapshotAt)}::bigint <= extract(epoch from clock_timestamp()) * 1000000 as before`
  t.ok(now.before)

  await writeFile(join(directory, '.report.csv.1'), 'somebody else’s')
  await t.rejects(makeHistoryReport(task), { code: 'EEXIST' }, 'it never writes into a file that is there')
  t.equal(await readFile(join(directory, '.report.csv.1'), 'utf8'), 'somebody else’s')
  await t.rejects(makeHistoryReport({ ...task, directory: join(directory, 'nowhere') }), { code: 'ENOENT' })
})

const header = 'user_id,segment_slug,operation,date'
const names = { filename: 'report.csv', temporaryName: '.report.csv.1', requestId: 'test' }

/** The user 1, who is in as many segments, S1, S2 and so on, since as many seconds after midnight. */
async function createPeriods(t: Test, count: number): Promise<TestDatabase> {
  const database = await createDatabase(t)
  await database.sql`insert into users values (1)`
  await database.sql`insert into segments (id, slug) select n, 'S' || n from generate_series(1, ${count}::integer) n`
  await database.sql`
    insert into memberships (user_id, segment_id, added_at)
    select 1, id, '2023-08-01T00:00:00Z'::timestamptz + id * interval '1 second' from segments`
  return database
}

t.test('a report of many batches, or of whole ones only, is every row once, in order', async (t) => {
  for (const count of [1_000, 2_000, 54_321]) {
    const { url: databaseUrl } = await createPeriods(t, count)
    const directory = await createFolder(t)
    const task = { databaseUrl, userId: '1', from: '2023-08-01', to: '2023-08-31', directory, ...names }
    t.equal((await makeHistoryReport(task)).rows, count)

    const midnight = Date.parse('2023-08-01')
    const lines = Array.from({ length: count }, (_, n) => {
      const time = new Date(midnight + (n + 1) * 1_000).toISOString().replace('.000Z', '.000000Z')
      return `1,S${n + 1},add,${time}`
    })
    const report = await readFile(join(directory, 'report.csv'), 'utf8')
    t.ok(report === `${[header, ...lines].join('\n')}\n`, `${count} rows`)
  }
})

t.test('a report whose database is lost while its disk keeps it waiting is not published', async (t) => {
  const { url: databaseUrl, sql } = await createPeriods(t, 50_000)
  const directory = await createFolder(t)
  const disk = Promise.withResolvers<void>()
  for (const name of ['write', 'writev'] as const) {
    const original: (...parameters: never[]) => void = fs[name]
    const value = (...parameters: never[]) => void disk.promise.then(() => original(...parameters))
    t.intercept(fs, name, { value })
  }

  const task = { databaseUrl, userId: '1', from: '2023-08-01', to: '2023-08-31', directory, ...names }
  const making = t.rejects(makeHistoryReport(task), { code: /^ECONNRESET|EPIPE|CONNECTION_CLOSED|57P01$/ })
  const selectReader = () => sql<{ pid: number; waiting: boolean }[]>`
    select pid, state = 'active' and wait_event = 'ClientRead' as waiting from pg_stat_activity
    where datname = current_database() and application_name = 'user-segments report test'`
  const [reader] = await waitUntil(selectReader, ([reader]) => reader?.waiting === true)
  await sql`select pg_terminate_backend(${reader?.pid ?? 0})`
  await waitUntil(selectReader, ({ length }) => length === 0)
  disk.resolve()
  await making
  t.same(await readdir(directory), [names.temporaryName])
})
