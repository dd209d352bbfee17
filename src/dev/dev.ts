/**
 * What `npm run dev` runs: the service on a PostgreSQL of its own (or on DATABASE_URL), restarted when its
 * code changes, until Ctrl-C.
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

const WATCHED_FOLDERS = ['src', 'schemas', 'workers', 'migrations']
/** In ms; an editor that saves and a branch that is checked out are each one change. */
const CHANGE_PAUSE = 100
/** In ms; longer than the service's own limit, so that this only ever meets one that hangs. */
const END_TIMEOUT = 30_000
/** In ms; npm passes on a Ctrl-C that the terminal has sent us already. Only a later one is impatience. */
const REPEAT_PAUSE = 1_000
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
const DATABASE = 'segments'
const root = fileURLToPath(new URL('../..', import.meta.url))

const ending = new AbortController()
for (const signal of SIGNALS) process.on(signal, () => ending.abort())
const ended = once(ending.signal, 'abort').then(() => 'ended' as const)

process.exit(await run())

/** Resolves with the exit code once everything that was started has ended. */
async function run(): Promise<number> {
  let own: EmbeddedPostgres | undefined
  try {
    const environment = loadEnvironment()
    const given = environment.DATABASE_URL
    // Read here too, as a mistake had better show before a database is started for nothing.
    const config = readConfig({ ...environment, DATABASE_URL: given || 'postgres://own' })
    if (!given) own = await startEmbeddedPostgres({ directory: join(root, '.data/postgres') })
    if (own) await createDatabase(own, DATABASE)
    const databaseUrl = own?.url(DATABASE) ?? config.DATABASE_URL
    return await superviseService(databaseUrl, (address) => {
      console.log(describe(address, config, databaseUrl, own))
    })
  } catch (error) {
    // A Ctrl-C also ends what was just being waited for.
    if (ending.signal.aborted) return 0
    console.error(error instanceof Error ? error.message : error)
    return 1
  } finally {
    await own?.stop()
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
 * Runs the service until it is to end, anew after each change. One that fails before it was ever up is the
 * developer's configuration and ends it all; one that fails later is their code, and waits for a change.
 *
 * This is not `node --watch-path`, which passes on no IPC (Node 24): from outside one could not tell whether
 * the service is up or has failed, and killing the watcher would leave the service running.
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
    // Out of Ctrl-C's reach, as the service takes a second signal for an order to drop everything.
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
 * Resolves with a changed file's path, relative to the project, once no file has changed for a moment.
 *
 * It watches each folder by itself, and anew for each change: on Linux, Node's recursive watching loses a
 * file that an editor (or git) has replaced instead of written to.
 */
function waitForChange(): Promise<string> {
  const { promise, resolve: report } = Promise.withResolvers<string>()
  let timer: NodeJS.Timeout | undefined
  const watchers = listWatchedFolders().map((folder) =>
    watch(folder, (_event, file) => {
      clearTimeout(timer)
      timer = setTimeout(report, CHANGE_PAUSE, relative(root, join(folder, file ?? '')))
    }).on('error', (error) => console.error(`Changes in ${folder} are not noticed: ${error.message}`))
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
  own: EmbeddedPostgres | undefined
): string {
  // The password of a database that is not ours does not belong on a screen.
  const shownUrl = own ? databaseUrl : databaseUrl.replace(/:\/\/([^:@/]*):.*@/, '://$1:***@')
  return `
  user-segments is up. Ctrl-C ends it.

  Service     ${address}
  Swagger UI  ${address}/swagger
  Database    psql '${shownUrl}'${own ? `\n              its files are in ${own.directory}` : ''}
  Reports     ${resolve(root, REPORTS_DIR)}
`
}
