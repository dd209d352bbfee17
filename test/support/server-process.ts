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

  /** The exit code; null where a signal ended the process. */
  async exitCode(): Promise<number | null> {
    if (this.process.exitCode === null && this.process.signalCode === null) await once(this.process, 'close')
    return this.process.exitCode
  }

  /** Where the service listens, once it does. */
  async address(): Promise<string> {
    for (;;) {
      const address = /Server listening at (http:[^"]+)/.exec(this.stdout)?.[1]
      if (address) return address
      if (this.process.exitCode !== null) throw new Error(`The service has ended: ${this.stderr}`)
      await Promise.race([once(this.process.stdout ?? this.process, 'data'), once(this.process, 'close')])
    }
  }
}

/** Starts the service as `npm start` does. It is ended with the test. */
export function startServerProcess(t: Test, environment: NodeJS.ProcessEnv): ServerProcess {
  const server = new ServerProcess(
    spawn(process.execPath, [fileURLToPath(new URL('../../src/server.ts', import.meta.url))], {
      // Away from the developer's .env.
      cwd: tmpdir(),
      env: { PATH: process.env.PATH, ...environment },
      stdio: ['ignore', 'pipe', 'pipe']
    })
  )
  t.teardown(async () => {
    server.process.kill('SIGKILL')
    await server.exitCode()
  })
  return server
}
