import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'

/** A process of the service, and what it has written so far. */
export class ServerProcess {
  readonly process: ChildProcess
  stdout = ''
  stderr = ''

  constructor(process: ChildProcess) {
    this.process = process
    process.stdout?.on('data', (chunk) => {
      this.stdout += chunk
    })
    process.stderr?.on('data', (chunk) => {
      this.stderr += chunk
    })
  }

  /** The exit code; null if a signal ended the process. */
  async exitCode(): Promise<number | null> {
    if (this.process.exitCode === null && this.process.signalCode === null) await once(this.process, 'close')
    return this.process.exitCode
  }

  /** Resolves to the address of the service when it listens. */
  async address(): Promise<string> {
    for (;;) {
      const address = /Server listening at (http:[^"]+)/.exec(this.stdout)?.[1]
      if (address) return address
      if (this.process.exitCode !== null) throw new Error(`The service has ended: ${this.stderr}`)
      await Promise.race([once(this.process.stdout ?? this.process, 'data'), once(this.process, 'close')])
    }
  }
}

/** The options of Node.js for a process with an IPC channel, so that it ends when this one does. */
export const endWithParent = `--import=${new URL('end-with-parent.ts', import.meta.url)}`

/** Starts the service as `npm start` does. It is ended with the test. `openFiles` limits the files that it may open. */
export function startServerProcess(
  t: Test,
  environment: NodeJS.ProcessEnv,
  openFiles: number | 'unchanged' = 'unchanged'
): ServerProcess {
  const script = fileURLToPath(new URL('../../src/server.ts', import.meta.url))
  const limit = openFiles === 'unchanged' ? '' : `ulimit -n ${openFiles} && `
  const server = new ServerProcess(
    spawn('/bin/sh', ['-c', `${limit}exec "$0" "$@"`, process.execPath, endWithParent, script], {
      // Not in the project's folder, so that the developer's .env is not read.
      cwd: tmpdir(),
      env: { PATH: process.env.PATH, NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE, ...environment },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc']
    })
  )
  t.teardown(async () => {
    server.process.kill('SIGKILL')
    await server.exitCode()
  })
  return server
}
