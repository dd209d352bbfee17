import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { createDatabase, createFolder } from '../support/service.ts'

const script = fileURLToPath(new URL('../../src/database/distribute.ts', import.meta.url))

t.test('a database that is not on a Citus cluster is refused with one line', async (t) => {
  const cwd = await createFolder(t)
  const run = (url: string) =>
    new Promise<{ code: unknown; stdout: string; stderr: string }>((resolve) => {
      const env = { PATH: process.env.PATH, DATABASE_URL: url }
      execFile(process.execPath, [script], { cwd, env }, (error, stdout, stderr) =>
        resolve({ code: error?.code ?? 0, stdout, stderr })
      )
    })
  const migrated = await createDatabase(t)
  t.same(await run(migrated.url), {
    code: 1,
    stdout: '',
    stderr: 'The database has no extension citus: use the coordinator of a Citus cluster\n'
  })
  const empty = await createDatabase(t, { isMigrated: false })
  t.match(await run(empty.url), { code: 1, stdout: '', stderr: /^[^\n]*run `npm run migrate` first\n$/ })
  t.match(await run('postgres://127.0.0.1:1/x'), {
    code: 1,
    stdout: '',
    stderr: /^[^\n]*ECONNREFUSED[^\n]*\n$/
  })
})
