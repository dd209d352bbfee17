import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import makeHistoryReport from '../../workers/history-report.ts'
import { startServiceWithPeriod } from '../support/periods.ts'
import { createFolder } from '../support/service.ts'

const added = '2023-08-01T10:00:00.000001Z'

t.test('a report is published whole, with the time of its snapshot', async (t) => {
  const { database, sql } = await startServiceWithPeriod(t, added, null)
  const directory = await createFolder(t)
  const names = { directory, filename: 'report.csv', temporaryName: '.report.csv.1' }
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
