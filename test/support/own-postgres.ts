import { chmod, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import postgres from 'postgres'
import type { Test } from 'tap'
import { migrate } from '../../src/database/migrate.ts'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/dev/embedded-postgres.ts'
import { createFolder } from './service.ts'

const DATABASE = 'segments'

/**
 * A PostgreSQL server for one test, which may crash it. Unlike the shared server of the tests, it keeps acknowledged
 * writes when its processes crash, but not when the machine does.
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

  /** Ends the server like a crash, as `pg_ctl stop -m immediate` does. */
  async stopImmediately(): Promise<void> {
    const [pid] = (await readFile(join(this.#server.directory, 'data/postmaster.pid'), 'utf8')).split('\n')
    process.kill(Number(pid), 'SIGQUIT')
    await this.#server.stop()
  }

  /** Starts the server again on the same port. Resolves when it has recovered and accepts connections. */
  async start(): Promise<void> {
    this.#server = await launch(this.#server.directory, this.#port)
  }

  async remove(): Promise<void> {
    await this.#server.stop()
    // The data may be in another folder, if PostgreSQL's user has no access to this one.
    await rm(this.#server.directory, { recursive: true, force: true })
  }
}

function launch(directory: string, port?: number): Promise<EmbeddedPostgres> {
  const settings = { fsync: 'off', full_page_writes: 'off' }
  return startEmbeddedPostgres({ directory, settings, ...(port === undefined ? {} : { port }) })
}

/** Starts a server with a migrated database. It is ended and removed with the test. */
export async function startOwnPostgres(t: Test): Promise<OwnPostgres> {
  const folder = await createFolder(t)
  // As root, PostgreSQL runs as another user, who needs access to the folder.
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
