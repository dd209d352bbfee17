/** What every part of the benchmark works with. */
import type { Sql } from 'postgres'
import packageJson from '../package.json' with { type: 'json' }
import type { EmbeddedPostgres } from '../src/dev/embedded-postgres.ts'
import type { Row } from './compare.ts'
import { ordinarySlugs } from './generate.ts'
import type { Load, LoadResult } from './load.ts'
import type { Options } from './options.ts'
import { startProcess } from './processes.ts'

export type Bench = {
  options: Options
  server: EmbeddedPostgres
  /** The generated data, which parts may change. */
  database: string
  sql: Sql
  /** For reports. */
  directory: string
}

/** Measures one thing, and ends in the lines of its results. */
export type Part = (bench: Bench) => Promise<Row[]>

/** The flags of `npm start`, for all servers. */
const startFlags = packageJson.scripts.start.match(/--\S+/g) ?? []

type Server = 'service' | 'plain' | 'bare'

/** Starts a server on a database. Returns its URL and its process id. */
export async function startServer(
  { server, database, directory }: Bench,
  name: Server,
  otherDatabase = database
): Promise<{ address: string; pid: number }> {
  const { greeting, process: child } = await startProcess(`servers/${name}.ts`, directory, {
    DATABASE_URL: server.url(otherDatabase),
    PORT: '0',
    LOG_LEVEL: 'info',
    NODE_OPTIONS: startFlags.join(' '),
    REPORTS_DIR: directory
  })
  return { address: greeting, pid: child.pid ?? 0 }
}

/** By default, of all the users. */
type Request = Omit<Load, 'users' | 'slugs' | 'seconds'> & { users?: number }

/** A measurement of one load, after a warm-up by the same load. */
export async function prepareLoad(
  { options }: Bench,
  run: (load: Load) => Promise<LoadResult>,
  request: Request
): Promise<() => Promise<LoadResult>> {
  const load = { users: options.users, slugs: ordinarySlugs, seconds: options.seconds, ...request }
  await run({ ...load, seconds: options.warmUp })
  return () => run(load)
}
