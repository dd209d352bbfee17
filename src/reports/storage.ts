import type { Readable, Writable } from 'node:stream'

/** Positions of bytes, both inclusive. */
export type ByteRange = { start: number; end: number }

/** The storage of finished reports. All instances share it. */
export type ReportStorage = {
  /**
   * Checks that the storage can be used as it is configured.
   *
   * @throws {ConfigError} if it can't be. Any other error means that the storage does not answer now.
   */
  check(): Promise<void>
  /**
   * Stores what `fill` writes. `name` appears only when this resolves, with the complete content, durably. Each name
   * may be written only once.
   */
  write(name: string, fill: (target: Writable) => Promise<void>): Promise<void>
  /**
   * Opens a file, or the bytes of it from `start` to `end`, both inclusive. The caller must read or destroy it.
   * Undefined if there is no file of this name.
   */
  read(name: string, part?: ByteRange): Promise<Readable | undefined>
  has(name: string): Promise<boolean>
  /** Removes the file of this name, complete or left by an aborted `write`. */
  remove(name: string): Promise<void>
  /** Lists the names of complete and incomplete files last modified before `time` (milliseconds since 1970). */
  listOlderThan(time: number): AsyncIterable<string>
  /**
   * Signs a link by which a client downloads the file as `filename` from the storage, without the service. Undefined if
   * the storage has no such links.
   */
  signLink(name: string, filename: string): Promise<string | undefined>
}

/** A folder, or a bucket of an object storage. It is plain data, because it is copied to threads. */
export type StorageLocation = { directory: string } | BucketLocation

export type BucketLocation = {
  bucket: string
  /** What the names of all objects begin with: empty, or with a slash at the end. */
  prefix: string
  /** The URL of the storage; undefined for that of AWS. */
  endpoint: string | undefined
  region: string
}

/** The name of the file of an attempt. Only this attempt writes to it. */
export function storedName(filename: string, token: string): string {
  return filename.replace(/\.csv$/, `.${token}.csv`)
}

/** The token in a name made by `storedName`; undefined for other names. */
export function tokenInName(name: string): string | undefined {
  return /\.([\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12})\.csv$/.exec(name)?.[1]
}
