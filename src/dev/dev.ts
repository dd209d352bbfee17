/**
 * `npm run dev`: runs the service on its own embedded PostgreSQL (or on DATABASE_URL), and restarts it when its code
 * changes, until Ctrl-C.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, watch } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import postgres from 'postgres'
import type { Config } from '../../schemas/config.ts'
import { loadEnvironment, readConfig } from '../config.ts'
import { type EmbeddedPostgres, startEmbeddedPostgres } from './embedded-postgres.ts'

const WATCHED_FOLDERS = ['src', 'schemas', 'workers', 'migrations', 'console', 'client/src']
/** In ms. Changes within this time count as one, such as those of an editor that saves or of a checkout. */
const CHANGE_PAUSE = 100
/** In ms. Longer than the service's own limit, so that only a service that hangs is killed. */
const END_TIMEOUT = 30_000
/** In ms. npm repeats a Ctrl-C that the terminal has sent already. Only a later one asks for an immediate end. */
const REPEAT_PAUSE = 1_000
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
const DATABASE = 'segments'
const root = fileURLToPath(new URL('../..', import.meta.url))

const ending = new AbortController()
for (const signal of SIGNALS) process.on(signal, () => ending.abort())
const ended = once(ending.signal, 'abort').then(() => 'ended' as const)

process.exit(await run())

/** Resolves with the exit code when everything that was started has ended. */
async function run(): Promise<number> {
  let embedded: EmbeddedPostgres | undefined
  try {
    const environment = loadEnvironment()
    const configuredUrl = environment.DATABASE_URL
    // Read here as well, so that a mistake shows before a database is started.
    const config = readConfig({ ...environment, DATABASE_URL: configuredUrl || 'postgres://embedded' })
    if (!configuredUrl) embedded = await startEmbeddedPostgres({ directory: join(root, '.data/postgres') })
    if (embedded) await createDatabase(embedded, DATABASE)
    const databaseUrl = embedded?.url(DATABASE) ?? config.DATABASE_URL
    return await superviseService(databaseUrl, (address) => {
      console.log(describe(address, config, databaseUrl, embedded))
    })
  } catch (error) {
    // Ctrl-C may be the reason for the error.
    if (ending.signal.aborted) return 0
    console.error(error instanceof Error ? error.message : error)
    return 1
  } finally {
    await embedded?.stop()
  }
}

async function createDatabase(server: EmbeddedPostgres, name: string): Promise<void> {
  const sql = postgres(server.url('postgres'), { max: 1 })
  try {
    const found = await sql`select from pg_database where datname = ${name}`
    if (found.length === 0) await sql`create database ${sql(name)}`
  } finally {
    await sql.end()
  }
}

/**
 * Runs the service until Ctrl-C, and restarts it after each change. If the service ends before it was ever up, the
 * configuration is wrong, and this resolves with its exit code. If it ends later, the code is wrong, and this waits for a
 * change.
 *
 * `node --watch-path` is not used, because it does not pass on IPC (Node 24): one could not tell whether the service is
 * up or has failed, and killing the watcher would leave the service running.
 */
async function superviseService(databaseUrl: string, onUp: (address: string) => void): Promise<number> {
  let wasUp = false
  while (!ending.signal.aborted) {
    const changed = waitForChange()
    const service = startService(databaseUrl)
    const exited = once(service, 'exit').then(() => 'exited' as const)
    service.once('message', (address: string) => {
      if (wasUp) console.log('The service is up again.')
      else onUp(address)
      wasUp = true
    })
    if ((await Promise.race([ended, changed, exited])) === 'exited') {
      if (!wasUp) return service.exitCode || 1
      console.log('The service has ended. It starts again when a file changes.')
    }
    const reason = await Promise.race([ended, changed])
    if (reason !== 'ended') console.log(`${reason} has changed.`)
    await endService(service, exited)
  }
  return 0
}

function startService(databaseUrl: string): ChildProcess {
  return spawn(process.execPath, [fileURLToPath(new URL('serve.ts', import.meta.url))], {
    cwd: root,
    env: { ...process.env, DATABASE_URL: databaseUrl },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    // Detached, so that Ctrl-C does not reach the service: on a second signal, it would end without finishing requests.
    detached: true
  })
}

async function endService(service: ChildProcess, exited: Promise<unknown>): Promise<void> {
  const kill = () => service.kill('SIGKILL')
  const killOnRepeat = () => {
    for (const signal of SIGNALS) process.on(signal, kill)
  }
  const timers = [setTimeout(kill, END_TIMEOUT), setTimeout(killOnRepeat, REPEAT_PAUSE)]
  service.kill('SIGTERM')
  await exited
  for (const timer of timers) clearTimeout(timer)
  for (const signal of SIGNALS) process.off(signal, kill)
}

/**
 * Resolves with the path of a changed file, relative to the project, when no file has changed for a moment.
 *
 * Each folder has its own watcher, and each call creates new ones: on Linux, Node's recursive watching loses a file that
 * an editor (or git) replaces instead of writing to it.
 */
function waitForChange(): Promise<string> {
  const { promise, resolve: report } = Promise.withResolvers<string>()
  let timer: NodeJS.Timeout | undefined
  const watchers = listWatchedFolders().map((folder) =>
    watch(folder, (_event, file) => {
      clearTimeout(timer)
      timer = setTimeout(report, CHANGE_PAUSE, relative(root, join(folder, file ?? '')))
    }).on('error', (error) => console.error(`Changes in ${folder} are not detected: ${error.message}`))
  )
  return promise.finally(() => {
    for (const watcher of watchers) watcher.close()
  })
}

function listWatchedFolders(): string[] {
  return WATCHED_FOLDERS.map((name) => join(root, name)).flatMap((folder) => {
    const entries = readdirSync(folder, { recursive: true, withFileTypes: true })
    return [folder, ...entries.filter((entry) => entry.isDirectory()).map((e) => join(e.parentPath, e.name))]
  })
}

function describe(
  address: string,
  { REPORTS_DIR }: Config,
  databaseUrl: string,
  embedded: EmbeddedPostgres | undefined
): string {
  // The password of a configured database is not shown.
  const shownUrl = embedded ? databaseUrl : databaseUrl.replace(/:\/\/([^:@/]*):.*@/, '://$1:***@')
  return `
  user-segments is up. Press Ctrl-C to stop it.

  Service     ${address}
  Console     ${address}/console
  Swagger UI  ${address}/swagger
  Database    psql '${shownUrl}'${embedded ? `\n              its files are in ${embedded.directory}` : ''}
  Reports     ${resolve(root, REPORTS_DIR)}
`
}
