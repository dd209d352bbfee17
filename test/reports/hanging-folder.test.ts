/** REPORTS_DIR does not answer, as when a network file system is lost. */
import { execFileSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { startServerProcess } from '../support/server-process.ts'
import { createDatabase, createFolder, waitUntil } from '../support/service.ts'

t.test('a folder that does not answer does not hold up the end of the process', async (t) => {
  const database = await createDatabase(t)
  const folder = await createFolder(t)
  const pipe = join(folder, 'pipe')
  execFileSync('mkfifo', [pipe])
  // Opening a pipe without a writer holds up a thread of Node's pool, as an operation of a lost file system does.
  const preload = join(folder, 'preload.mjs')
  await writeFile(
    preload,
    `import fs from 'node:fs'
     import { syncBuiltinESMExports } from 'node:module'
     import { isMainThread } from 'node:worker_threads'
     const hang = () => fs.open(${JSON.stringify(pipe)}, 'r', () => {})
     if (!isMainThread) hang()
     fs.promises.opendir = () => new Promise(() => {
       hang()
       process.stdout.write('hanging\\n')
     })
     syncBuiltinESMExports()`
  )
  const instance = startServerProcess(t, {
    DATABASE_URL: database.url,
    PORT: '0',
    REPORTS_DIR: join(folder, 'reports'),
    NODE_OPTIONS: `--import=${preload}`
  })
  await instance.address()
  await waitUntil(
    async () => instance.stdout,
    (log) => log.includes('hanging')
  )
  const begun = performance.now()
  instance.process.kill('SIGTERM')
  t.equal(await instance.exitCode(), 0)
  const seconds = (performance.now() - begun) / 1000
  t.ok(seconds < 20, `it took ${seconds} s`)
  t.match(instance.stdout, /the storage of the reports does not answer/)
})
