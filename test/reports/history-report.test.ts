import { createHash } from 'node:crypto'
import fs from 'node:fs'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import generateHistoryReport from '../../workers/history-report.ts'
import { addPeriod, createPeriods } from '../support/periods.ts'
import { createFolder, startService, waitUntil } from '../support/service.ts'

const added = '2023-08-01T10:00:00.000001Z'

const name = 'report.csv'
const createTask = (databaseUrl: string, directory: string) => ({
  databaseUrl,
  userId: '1',
  from: '2023-08-01',
  to: '2023-08-31',
  storage: { directory },
  requestId: 'test',
  name,
  maxBytes: 2 ** 32,
  progress: new SharedArrayBuffer(8)
})

t.test('a report is stored completely, with its checksum', async (t) => {
  const { database, sql } = await addPeriod(await startService(t), added, null)
  const directory = await createFolder(t)
  const task = createTask(database.url, directory)

  const { snapshotAt, ...report } = await generateHistoryReport(task)
  const text = `user_id,segment_slug,operation,date\n1,A,add,${added}\n`
  t.same(report, { rows: 1, bytes: text.length, sha256: createHash('sha256').update(text).digest('hex') })
  t.equal(await readFile(join(directory, name), 'utf8'), text)
  t.equal(new BigInt64Array(task.progress)[0], 1n)
  t.same(await readdir(directory), [name], 'the unfinished file is gone')
  const [now] = await sql<[{ before: boolean }]>`
    select ${String(snapshotAt)}::bigint <= extract(epoch from clock_timestamp()) * 1000000 as before`
  t.ok(now.before)

  const refused = { message: 'the report could not be stored' }
  await writeFile(join(directory, `.${name}`), 'somebody else’s')
  await t.rejects(
    generateHistoryReport(task),
    { ...refused, cause: { code: 'EEXIST' } },
    'it never writes to an existing file'
  )
  t.equal(await readFile(join(directory, `.${name}`), 'utf8'), 'somebody else’s')
  const nowhere = generateHistoryReport({ ...task, storage: { directory: join(directory, 'nowhere') } })
  await t.rejects(nowhere, { ...refused, cause: { code: 'ENOENT' } })
  await t.rejects(generateHistoryReport({ ...task, databaseUrl: 'postgres://127.0.0.1:1/none' }), {
    message: 'the history could not be read from the database'
  })
})

const header = 'user_id,segment_slug,operation,date'

t.test('a report of many batches, or of full ones only, contains every row once, in order', async (t) => {
  for (const count of [1_000, 2_000, 54_321]) {
    const { url: databaseUrl } = await createPeriods(t, count)
    const directory = await createFolder(t)
    t.equal((await generateHistoryReport(createTask(databaseUrl, directory))).rows, count)

    const midnight = Date.parse('2023-08-01')
    const lines = Array.from({ length: count }, (_, n) => {
      const time = new Date(midnight + (n + 1) * 1_000).toISOString().replace('.000Z', '.000000Z')
      return `1,S${n + 1},add,${time}`
    })
    const report = await readFile(join(directory, 'report.csv'), 'utf8')
    t.ok(report === `${[header, ...lines].join('\n')}\n`, `${count} rows`)
  }
})

t.test('a report that does not fit on the disk is not stored, and the failure says so', async (t) => {
  const { url: databaseUrl } = await createPeriods(t, 20_000)
  const directory = await createFolder(t)
  const full = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
  const written: unknown[] = []
  for (const name of ['write', 'writev'] as const) {
    const original: (...parameters: never[]) => void = fs[name]
    const value = (...parameters: never[]) => {
      written.push(name)
      if (written.length < 3) original(...parameters)
      else (parameters.at(-1) as unknown as (error: Error) => void)(full)
    }
    t.intercept(fs, name, { value })
  }
  await t.rejects(generateHistoryReport(createTask(databaseUrl, directory)), {
    message: 'the report could not be stored',
    cause: full
  })
  t.same(await readdir(directory), [`.${name}`], 'a partial file, which nobody reads')
})

t.test('a report whose database connection is lost while the disk is slow is not published', async (t) => {
  const { url: databaseUrl, sql } = await createPeriods(t, 50_000)
  const directory = await createFolder(t)
  const disk = Promise.withResolvers<void>()
  for (const name of ['write', 'writev'] as const) {
    const original: (...parameters: never[]) => void = fs[name]
    const value = (...parameters: never[]) => void disk.promise.then(() => original(...parameters))
    t.intercept(fs, name, { value })
  }

  const making = t.rejects(generateHistoryReport(createTask(databaseUrl, directory)), {
    message: 'the history could not be read from the database',
    cause: { code: /^ECONNRESET|EPIPE|CONNECTION_CLOSED|57P01$/ }
  })
  const selectReader = () => sql<{ pid: number; waiting: boolean }[]>`
    select pid, state = 'active' and wait_event = 'ClientRead' as waiting from pg_stat_activity
    where datname = current_database() and application_name = 'user-segments report test'`
  const [reader] = await waitUntil(selectReader, ([reader]) => reader?.waiting === true)
  await sql`select pg_terminate_backend(${reader?.pid ?? 0}::integer)`
  await waitUntil(selectReader, ({ length }) => length === 0)
  disk.resolve()
  await making
  t.same(await readdir(directory), [`.${name}`])
})
