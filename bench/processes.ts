/** The child processes of the benchmark. They end when this process ends. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { Sql } from 'postgres'
import type { Load, LoadResult } from './load.ts'

/** Milliseconds after which a process that does not end is killed: more than the service takes at most. */
const END_TIMEOUT = 30_000

/** The unit of times in /proc, on all architectures of Linux. */
const TICKS_PER_SECOND = 100

const running = new Set<ChildProcess>()

/** A child process, and the first message that it sent. */
export type BenchProcess = { process: ChildProcess; firstMessage: string }

/**
 * Starts a script of this folder. Of the environment of this process, it gets only PATH.
 *
 * @param directory its working directory, which must not have a developer's `.env`.
 */
export async function startProcess(
  script: string,
  directory: string,
  environment: Record<string, string> = {}
): Promise<BenchProcess> {
  const child = spawn(process.execPath, [fileURLToPath(new URL(script, import.meta.url))], {
    cwd: directory,
    env: { PATH: process.env.PATH, NODE_ENV: 'production', ...environment },
    // Logs are written, as in production, and discarded.
    stdio: ['ignore', 'ignore', 'inherit', 'ipc']
  })
  running.add(child)
  return { process: child, firstMessage: String(await nextMessage(child, script)) }
}

/** Resolves with the next message of a process, and rejects if the process ends instead. */
export async function nextMessage(child: ChildProcess, name: string): Promise<unknown> {
  const listening = new AbortController()
  const { signal } = listening
  try {
    return await Promise.race([
      once(child, 'message', { signal }).then(([message]) => message),
      once(child, 'exit', { signal }).then(([code]) => {
        throw new Error(`${name} has ended (${code})`)
      })
    ])
  } finally {
    listening.abort()
  }
}

/** The resident memory of a process in MB. Linux only. */
export async function readMemory(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s*(\d+)/m.exec(status)?.[1]) / 1024
}

type ProcessTimes = { parent: number; own: number; ended: number }

/** The parent of a process, and the seconds of CPU that it and its ended children have used. */
async function readTimes(pid: number | string): Promise<ProcessTimes> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  // The name of the program, in parentheses, may contain spaces.
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number)
  const [, parent = 0] = fields
  const [user = 0, system = 0, endedUser = 0, endedSystem = 0] = fields.slice(11, 15)
  return {
    parent,
    own: (user + system) / TICKS_PER_SECOND,
    ended: (endedUser + endedSystem) / TICKS_PER_SECOND
  }
}

/** The seconds of CPU that a process has used. Linux only. */
export async function readCpu(pid: number): Promise<number> {
  return (await readTimes(pid)).own
}

/** The seconds of CPU that all processes of the PostgreSQL server have used. Linux only. */
export async function readPostgresCpu(sql: Sql): Promise<number> {
  const [backend] = await sql<[{ pid: number }]>`select pg_backend_pid() as pid`
  const server = (await readTimes(backend.pid)).parent
  const { own, ended } = await readTimes(server)
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  // A process may end meanwhile.
  const all = await Promise.all(pids.map((pid) => readTimes(pid).catch(() => undefined)))
  return all.reduce((sum, times) => sum + (times?.parent === server ? times.own : 0), own + ended)
}

/** Ends all processes that were started, and waits for them. */
export async function endProcesses(): Promise<void> {
  await Promise.all(
    [...running].map(async (child) => {
      running.delete(child)
      if (child.exitCode !== null || child.signalCode !== null) return
      const timer = setTimeout(() => child.kill('SIGKILL'), END_TIMEOUT)
      child.kill('SIGTERM')
      await once(child, 'exit')
      clearTimeout(timer)
    })
  )
}

/** Starts a process that sends load. The returned function measures one load. */
export async function startLoad(
  directory: string,
  script = 'load.ts',
  environment: Record<string, string> = {}
): Promise<(load: Load) => Promise<LoadResult>> {
  const { process: child } = await startProcess(script, directory, environment)
  return async (load) => {
    child.send(load)
    return (await nextMessage(child, script)) as LoadResult
  }
}
