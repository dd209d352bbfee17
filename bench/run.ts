/**
 * Measures the service against references: `npm run bench`, or `npm run bench -- --users 1000000 --only read`.
 * When it ends, even by Ctrl-C, everything that it started has ended, and the generated data is deleted unless it is kept.
 */
import { once } from 'node:events'
import { mkdir, rm } from 'node:fs/promises'
import { join, relative } from 'node:path'
import type { EmbeddedPostgres } from '../src/dev/embedded-postgres.ts'
import type { Bench, Part } from './bench.ts'
import { connect, copyData, dropCopy, provideData, settings, startServer, warmCaches } from './database.ts'
import { OptionError, type Options, readOptions, usage } from './options.ts'
import { batch } from './parts/batch.ts'
import { change } from './parts/change.ts'
import { citus } from './parts/citus.ts'
import { compositions } from './parts/compositions.ts'
import { cpu } from './parts/cpu.ts'
import { feed } from './parts/feed.ts'
import { growth } from './parts/growth.ts'
import { history } from './parts/history.ts'
import { importUsers } from './parts/import.ts'
import { isolation } from './parts/isolation.ts'
import { memory } from './parts/memory.ts'
import { overload } from './parts/overload.ts'
import { latency, read } from './parts/read.ts'
import { replacement } from './parts/replacement.ts'
import { report } from './parts/report.ts'
import { create, createAsync, deletion } from './parts/segments.ts'
import { smallReport } from './parts/small-report.ts'
import { endProcesses } from './processes.ts'
import { describeMachine, formatTable, type SizeResults, saveResults, writeMarkdown } from './results.ts'

/** In the order in which they run: parts that only read come before parts that change the data. */
const parts: Record<string, Part> = {
  read,
  latency,
  batch,
  growth,
  report,
  'small-report': smallReport,
  change,
  cpu,
  history,
  citus,
  create,
  'create-async': createAsync,
  compositions,
  delete: deletion,
  isolation,
  overload,
  memory,
  // Last, because they add many users.
  import: importUsers,
  replacement,
  feed
}

const interrupted = Promise.race(['SIGINT', 'SIGTERM', 'SIGHUP'].map((signal) => once(process, signal)))

process.exit(await main())

/** Resolves with the exit code when everything that was started has ended. */
async function main(): Promise<number> {
  try {
    const options = readOptions(process.argv.slice(2), Object.keys(parts))
    if (options === undefined) {
      console.log(usage.replace('PARTS', Object.keys(parts).join(', ')))
      return 0
    }
    return await measure(options)
  } catch (error) {
    console.error(error instanceof OptionError ? error.message : error)
    return 1
  }
}

async function measure(options: Options): Promise<number> {
  const { directory } = options
  const reports = join(directory, 'reports')
  await mkdir(reports, { recursive: true })
  const server = await startServer(directory)
  try {
    return await Promise.race([runParts(options, server, reports), interrupted.then(() => 130)])
  } finally {
    await endProcesses()
    if (options.keep) await dropCopy(server)
    await server.stop()
    await rm(reports, { recursive: true, force: true })
    // The server's folder is elsewhere if the OS user of PostgreSQL cannot enter this one.
    if (!options.keep)
      for (const folder of [server.directory, join(directory, 'postgres')])
        await rm(folder, { recursive: true, force: true })
  }
}

async function runParts(options: Options, server: EmbeddedPostgres, directory: string): Promise<number> {
  const { users, only = Object.keys(parts), keep, write } = options
  const data = await provideData(server, users)
  const database = keep ? await copyData(server, data) : data
  const sql = connect(server.url(database))
  await warmCaches(server.url(database))
  const [{ version }] = await sql<[{ version: string }]>`select split_part(version(), ' ', 2) as version`
  const machine = describeMachine(version, settings)
  const command = describeCommand(process.argv.slice(2))
  const bench: Bench = { options, server, database, sql, directory }
  const file = join(options.directory, 'results.json')
  const measured: SizeResults['parts'] = {}
  for (const [name, part] of Object.entries(parts).filter(([name]) => only.includes(name))) {
    console.log(name)
    measured[name] = { command, rows: await part(bench).finally(endProcesses) }
    // After each part, because a long run may be interrupted.
    const results = await saveResults(file, users, { machine, parts: measured })
    if (write) await writeMarkdown(users, results, Object.keys(parts))
  }
  console.log(`\n${formatTable(measured)}\n\nFigures: ${relative('', file)}`)
  return 0
}

/** The command without the options that matter only on this machine. */
function describeCommand(args: string[]): string {
  const kept = args.filter(
    (arg, index) => !/^--(directory|write|keep)\b/.test(arg) && args[index - 1] !== '--directory'
  )
  return ['npm run bench', ...(kept.length > 0 ? ['--', ...kept] : [])].join(' ')
}
