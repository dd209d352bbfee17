import { createWriteStream } from 'node:fs'
import { open, opendir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'

export type StoredReport = {
  /** Bytes. */
  size: number
  /** Opens what is stored: the caller reads or destroys it. */
  content: Readable
}

/** Where finished reports lie: what all instances share beside the database. */
export type ReportStorage = {
  /**
   * Stores what `fill` writes: under `name` there is all of it, durably, once this has resolved, and nothing before.
   * Each name is written once.
   */
  write(name: string, fill: (target: Writable) => Promise<void>): Promise<void>
  /** Undefined where there is none of that name. */
  read(name: string): Promise<StoredReport | undefined>
  has(name: string): Promise<boolean>
  /** Removes what is stored under the name, and what a broken-off `write` has left of it. */
  remove(name: string): Promise<void>
  /** The names under which something, or what is left of something, was last written to before `time` (milliseconds since 1970). */
  listOlderThan(time: number): AsyncIterable<string>
}

/** What is stored for an attempt at a report: nobody else writes under that name. */
export function storedName(filename: string, token: string): string {
  return filename.replace(/\.csv$/, `.${token}.csv`)
}

/** The token in a name from `storedName`; undefined where it is none. */
export function tokenInName(name: string): string | undefined {
  return /\.([\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12})\.csv$/.exec(name)?.[1]
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}

/** A file that is being written has its name behind this. */
const UNFINISHED = '.'

/** Reports as files in one folder, which may be on a volume that several machines share. */
export class FileReportStorage implements ReportStorage {
  readonly #directory: string

  constructor(directory: string) {
    this.#directory = directory
  }

  async write(name: string, fill: (target: Writable) => Promise<void>): Promise<void> {
    const unfinished = this.#path(UNFINISHED + name)
    await fill(createWriteStream(unfinished, { flags: 'wx', flush: true }))
    await rename(unfinished, this.#path(name))
    // The name itself survives a power failure only when its folder has been written.
    const folder = await open(this.#directory)
    await folder.sync().finally(() => folder.close())
  }

  async read(name: string): Promise<StoredReport | undefined> {
    try {
      const file = await open(this.#path(name))
      const { size } = await file.stat()
      return { size, content: file.createReadStream() }
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

  #path(file: string): string {
    return join(this.#directory, file)
  }

  /** Milliseconds since 1970. */
  async #modifiedAt(file: string): Promise<number | undefined> {
    try {
      return (await stat(this.#path(file))).mtimeMs
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  }
}
