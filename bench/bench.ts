/** What all parts of the benchmark use. */
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
  /** The database with the generated data, which parts may change. */
  database: string
  sql: Sql
  /** The folder of the reports. */
  directory: string
}

/** Measures one thing, and resolves with the rows of its results. */
export type Part = (bench: Bench) => Promise<Row[]>

/** The flags of `npm start`, which all servers run with. */
const startFlags = packageJson.scripts.start.match(/--\S+/g) ?? []

type Server = 'service' | 'plain' | 'bare' | 'unlogged'

/** Starts a server with a database. Returns its URL and its process id. */
export async function startServer(
  { server, database, directory }: Bench,
  name: Server,
  environment: { DATABASE_URL?: string; READ_DATABASE_URLS?: string } = {}
): Promise<{ address: string; pid: number }> {
  const { firstMessage, process: child } = await startProcess(`servers/${name}.ts`, directory, {
    DATABASE_URL: server.url(database),
    PORT: '0',
    LOG_LEVEL: 'info',
    NODE_OPTIONS: startFlags.join(' '),
    REPORTS_DIR: directory,
    ...environment
  })
  return { address: firstMessage, pid: child.pid ?? 0 }
}

/** The fields of a load that the options do not determine. Default of `users`: the number of generated users. */
type Request = Omit<Load, 'users' | 'slugs' | 'seconds'> & { users?: number }

/** Warms a server up with a load. The returned function measures the same load. */
export async function prepareLoad(
  { options }: Bench,
  run: (load: Load) => Promise<LoadResult>,
  request: Request
): Promise<() => Promise<LoadResult>> {
  const load = { users: options.users, slugs: ordinarySlugs, seconds: options.seconds, ...request }
  await run({ ...load, seconds: options.warmUp })
  return () => run(load)
}
