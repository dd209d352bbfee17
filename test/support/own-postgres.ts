import { chmod, cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
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
  #settings: Record<string, string>

  /** @param settings those with which the server was started. */
  constructor(server: EmbeddedPostgres, settings: Record<string, string> = {}) {
    this.#server = server
    this.#settings = settings
    this.url = server.url(DATABASE)
    this.#port = Number(new URL(this.url).port)
  }

  /** Runs a statement as a superuser. */
  async execute(text: string): Promise<void> {
    const sql = postgres(this.url, { max: 1 })
    await sql.unsafe(text)
    await sql.end()
  }

  /** Changes settings that need no restart. */
  async configure(settings: Record<string, string>): Promise<void> {
    for (const [name, value] of Object.entries(settings))
      await this.execute(`alter system set ${name} = '${value}'`)
    await this.execute('select pg_reload_conf()')
  }

  /** Ends the server like a crash, as `pg_ctl stop -m immediate` does. */
  async stopImmediately(): Promise<void> {
    const [pid] = (await readFile(join(this.#server.directory, 'data/postmaster.pid'), 'utf8')).split('\n')
    process.kill(Number(pid), 'SIGQUIT')
    await this.#server.stop()
  }

  /** Starts the server again on the same port. Resolves when it has recovered and accepts connections. */
  async start(): Promise<void> {
    this.#server = await launch(this.#server.directory, this.#port, this.#settings)
  }

  /** Ends the server after its standby has received everything. */
  async stop(): Promise<void> {
    await this.#server.stop()
  }

  /**
   * Starts a copy of this server as its standby. This server is restarted meanwhile. The standby is ended and removed
   * with the test.
   */
  async startStandby(t: Test): Promise<OwnPostgres> {
    await this.#server.stop()
    const directory = join(dirname(this.#server.directory), 'standby')
    await mkdir(directory)
    await cp(join(this.#server.directory, 'data'), join(directory, 'data'), { recursive: true })
    await chmod(join(directory, 'data'), 0o700)
    await chmod(directory, 0o711)
    await this.start()
    const standby = await follow(directory, this.url)
    t.teardown(() => standby.remove())
    return standby
  }

  /** Starts this server, which has ended, as a standby of another one. */
  async startAsStandbyOf(primary: OwnPostgres): Promise<void> {
    const standby = await follow(this.#server.directory, primary.url, this.#port)
    this.#server = standby.#server
    this.#settings = standby.#settings
  }

  async remove(): Promise<void> {
    await this.#server.stop()
    // The data may be in another folder, if PostgreSQL's user has no access to this one.
    await rm(this.#server.directory, { recursive: true, force: true })
  }
}

/** Starts the cluster in a folder as a standby. */
async function follow(directory: string, primaryUrl: string, port?: number): Promise<OwnPostgres> {
  await writeFile(join(directory, 'data/standby.signal'), '')
  const settings = { primary_conninfo: new URL('/postgres', primaryUrl).href }
  return new OwnPostgres(await launch(directory, port, settings), settings)
}

function launch(
  directory: string,
  port?: number,
  further: Record<string, string> = {}
): Promise<EmbeddedPostgres> {
  const settings = { fsync: 'off', full_page_writes: 'off', ...further }
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
