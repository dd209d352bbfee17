import { constants, createWriteStream } from 'node:fs'
import { access, lstat, mkdir, open, opendir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { ConfigError } from '../config-error.ts'
import type { ByteRange, ReportStorage } from './storage.ts'

/** A symbolic link is as good as missing: it is not a file that the service has written. */
function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ELOOP')
}

/** Reports are personal data: only the user of the operating system that runs the service may read them. */
const FILE_MODE = 0o600
/** Does not follow a symbolic link, and does not wait for the writer of a pipe. */
const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** The prefix of the name while a file is incomplete. */
const UNFINISHED = '.'

/** Stores reports as files in one folder, which may be on a volume shared by several machines. */
export class FolderStorage implements ReportStorage {
  readonly #directory: string

  constructor(directory: string) {
    this.#directory = directory
  }

  async check(): Promise<void> {
    try {
      await mkdir(this.#directory, { recursive: true })
      await access(this.#directory, constants.R_OK | constants.W_OK | constants.X_OK)
    } catch (error) {
      throw new ConfigError('REPORTS_DIR is not valid: it must be a folder that can be written to', {
        cause: error
      })
    }
  }

  async write(name: string, fill: (target: Writable) => Promise<void>): Promise<void> {
    const unfinished = this.#path(UNFINISHED + name)
    await fill(createWriteStream(unfinished, { flags: 'wx', flush: true, mode: FILE_MODE }))
    await rename(unfinished, this.#path(name))
    // Only after the folder is synced does the new name survive a power failure.
    const folder = await open(this.#directory)
    await folder.sync().finally(() => folder.close())
  }

  async read(name: string, part?: ByteRange): Promise<Readable | undefined> {
    try {
      const file = await open(this.#path(name), READ_FLAGS)
      const stats = await file.stat()
      if (stats.isFile()) return file.createReadStream(part)
      await file.close()
      return undefined
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  }

  async has(name: string): Promise<boolean> {
    return (await this.#modifiedAt(name)) !== undefined
  }

  async remove(name: string): Promise<void> {
    await Promise.all([name, UNFINISHED + name].map((file) => rm(this.#path(file), { force: true })))
  }

  async *listOlderThan(time: number): AsyncIterable<string> {
    for await (const entry of await opendir(this.#directory)) {
      if (!entry.isFile()) continue
      const modifiedAt = await this.#modifiedAt(entry.name)
      if (modifiedAt !== undefined && modifiedAt < time)
        yield entry.name.startsWith(UNFINISHED) ? entry.name.slice(UNFINISHED.length) : entry.name
    }
  }

  async signLink(): Promise<undefined> {}

  #path(file: string): string {
    return join(this.#directory, file)
  }

  /** The time of the last modification, in milliseconds since 1970; undefined if there is no such file. */
  async #modifiedAt(file: string): Promise<number | undefined> {
    try {
      const stats = await lstat(this.#path(file))
      return stats.isFile() ? stats.mtimeMs : undefined
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  }
}
