import { chmod, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import postgres from 'postgres'
import type { Test } from 'tap'
import { migrate } from '../../src/database/migrate.ts'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/dev/embedded-postgres.ts'
import { createFolder } from './service.ts'

const DATABASE = 'segments'

/**
 * A PostgreSQL of the test's own, for tests that end it. What it has acknowledged outlives its processes, which the
 * common one of the tests doesn't promise; only a crash of the machine would be too much.
 */
export class OwnPostgres {
  readonly url: string
  readonly #port: number
  #server: EmbeddedPostgres

  constructor(server: EmbeddedPostgres) {
    this.#server = server
    this.url = server.url(DATABASE)
    this.#port = Number(new URL(this.url).port)
  }

  /** Ends it without a word to anybody, as `pg_ctl stop -m immediate` does. */
  async stopImmediately(): Promise<void> {
    const [pid] = (await readFile(join(this.#server.directory, 'data/postmaster.pid'), 'utf8')).split('\n')
    process.kill(Number(pid), 'SIGQUIT')
    await this.#server.stop()
  }

  /** Resolves when it has recovered and takes connections, on the same port. */
  async start(): Promise<void> {
    this.#server = await launch(this.#server.directory, this.#port)
  }

  async remove(): Promise<void> {
    await this.#server.stop()
    // Elsewhere than asked for, where PostgreSQL's user cannot enter the folder.
    await rm(this.#server.directory, { recursive: true, force: true })
  }
}

function launch(directory: string, port?: number): Promise<EmbeddedPostgres> {
  const settings = { fsync: 'off', full_page_writes: 'off' }
  return startEmbeddedPostgres({ directory, settings, ...(port === undefined ? {} : { port }) })
}

/** A running server with a migrated database. Ended and removed with the test. */
export async function startOwnPostgres(t: Test): Promise<OwnPostgres> {
  const folder = await createFolder(t)
  // As root, PostgreSQL runs as another user, who must get in.
  await chmod(folder, 0o711)
  const server = await launch(join(folder, 'postgres'))
  const own = new OwnPostgres(server)
  t.teardown(() => own.remove())
  const sql = postgres(server.url('postgres'), { max: 1 })
  await sql.unsafe(`create database ${DATABASE}`)
  await sql.end()
  await migrate(own.url)
  return own
}
