import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { appendFile, chmod, cp, rm, symlink } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { endWithParent } from './support/server-process.ts'
import { createFolder, waitUntil } from './support/service.ts'

type Dev = { process: ChildProcess; output: () => string; exitCode: Promise<number | null> }

/** Copies the project like a clone, so that the developer's data is not touched. */
async function cloneProject(t: Test): Promise<string> {
  const clone = await createFolder(t)
  const root = fileURLToPath(new URL('..', import.meta.url))
  for (const name of ['src', 'schemas', 'workers', 'migrations', 'console', 'client/src', 'package.json']) {
    await cp(join(root, name), join(clone, name), { recursive: true })
  }
  await symlink(join(root, 'node_modules'), join(clone, 'node_modules'))
  // As root, PostgreSQL runs as another user, who needs access to the folder.
  await chmod(clone, 0o755)
  return clone
}

/** Runs `npm run dev` until the test ends. */
function startDev(t: Test, clone: string, environment: NodeJS.ProcessEnv): Dev {
  const child = spawn(process.execPath, [endWithParent, join(clone, 'src/dev/dev.ts')], {
    cwd: clone,
    env: { PATH: process.env.PATH, ...environment },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc']
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (output += chunk))
  const exitCode = once(child, 'close').then(() => child.exitCode)
  t.teardown(async () => {
    child.kill('SIGTERM')
    await exitCode
  })
  return { process: child, output: () => output, exitCode }
}

async function waitFor(dev: Dev, pattern: RegExp): Promise<string> {
  const output = await waitUntil(
    async () => dev.output(),
    (text) => pattern.test(text)
  )
  return pattern.exec(output)?.[1] ?? ''
}

async function isRefused(url: string): Promise<boolean> {
  return fetch(url).then(
    () => false,
    () => true
  )
}

t.test(
  '`npm run dev` starts the service, restarts it on a change, and ends every process it started',
  async (t) => {
    const clone = await cloneProject(t)
    let data: string | undefined
    // In the clone, or in another folder if PostgreSQL's user has no access to the clone.
    t.teardown(() => data && rm(data, { recursive: true, force: true }))
    const first = startDev(t, clone, { PORT: '0' })
    const address = await waitFor(first, /Service +(http:\S+)\n/)
    t.match(first.output(), `${address}/swagger`)
    t.match(first.output(), join(clone, '.data/reports'))
    const database = await waitFor(first, /psql 'postgres:.*@([\d.:]+)\/segments'/)
    data = await waitFor(first, /its files are in (.+)\n/)
    const user = (base: string) => `${base}/api/v1/segments/user/1`
    const headers = { 'content-type': 'application/json' }
    t.equal((await fetch(user(address), { method: 'POST', headers, body: '{}' })).status, 200)

    await appendFile(join(clone, 'src/http/errors.ts'), '\n// changed\n')
    await waitFor(first, /(The service is up again)/)
    first.process.kill('SIGINT')
    t.equal(await first.exitCode, 0)
    t.ok(await isRefused(address), 'the service has ended')
    t.ok(await isRefused(`http://${database}`), 'PostgreSQL has ended')

    const second = startDev(t, clone, { PORT: '0' })
    const secondAddress = await waitFor(second, /Service +(http:\S+)\n/)
    t.same(await (await fetch(user(secondAddress))).json(), [], 'data survives a restart')
    const twin = startDev(t, clone, { PORT: '0' })
    t.equal(await twin.exitCode, 1, 'a second one in the same folder is refused')
    t.match(twin.output(), /already in use by a running PostgreSQL server/)

    second.process.kill('SIGKILL')
    await second.exitCode
    const secondDatabase = await waitFor(second, /psql 'postgres:.*@([\d.:]+)\/segments'/)
    await waitUntil(() => isRefused(secondAddress), Boolean)
    await waitUntil(() => isRefused(`http://${secondDatabase}`), Boolean)
    // PostgreSQL refuses connections while it still writes its last files; it removes this one when it ends.
    const pidFile = join(data, 'data/postmaster.pid')
    await waitUntil(
      async () => existsSync(pidFile),
      (exists) => !exists
    )
    t.pass('nothing outlives one that is killed')
  }
)

t.test('`npm run dev` says in one line why it cannot start', async (t) => {
  const clone = await cloneProject(t)
  const occupied = createServer().listen(0, '127.0.0.1')
  await once(occupied, 'listening')
  t.teardown(() => occupied.close())
  const { port } = occupied.address() as { port: number }
  for (const [environment, line] of [
    [{ PORT: String(port) }, `Port ${port} on 127.0.0.1 is already in use: set PORT to another one\n`],
    [{ PORT: 'x' }, 'PORT is not valid: it must be a port from 0 to 65535\n'],
    [
      { DATABASE_URL: 'postgres://127.0.0.1:1/none' },
      'The database cannot be migrated: connect ECONNREFUSED 127.0.0.1:1\n'
    ]
  ] as const) {
    const dev = startDev(t, clone, environment)
    t.equal(await dev.exitCode, 1)
    t.equal(dev.output(), line)
  }
})
