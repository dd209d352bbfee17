/**
 * Runs PostgreSQL for a process that may die at any moment, SIGKILL included: when the IPC channel to that
 * process closes, however that came about, PostgreSQL is stopped. Started detached, it is in a session of its
 * own, which a terminal's Ctrl-C does not reach. Its only argument is a {@link GuardianOrder} as JSON. It
 * sends PostgreSQL's process id and ends with PostgreSQL, whose output goes where its own goes.
 */
import { spawn } from 'node:child_process'

export type Account = { uid: number; gid: number }
export type GuardianOrder = { command: string; args: string[]; account: Account | undefined }

/** How long PostgreSQL may take for each harsher way of stopping, in ms. */
const STOP_STEPS = [
  ['SIGINT', 0],
  ['SIGQUIT', 10_000],
  ['SIGKILL', 15_000]
] as const

const { command, args, account } = JSON.parse(process.argv[2] ?? '{}') as GuardianOrder
const postgres = spawn(command, args, { ...account, stdio: ['ignore', 'inherit', 'inherit'] })

function stopPostgres(): void {
  for (const [signal, delay] of STOP_STEPS) setTimeout(() => postgres.kill(signal), delay)
}

process.once('disconnect', stopPostgres)
// Once only: PostgreSQL takes a repeated request for a new one, and the steps above are under way already.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => process.connected && process.disconnect())
}

postgres.once('error', (error) => {
  console.error(`PostgreSQL cannot be run: ${error.message}`)
  process.exit(1)
})
postgres.once('exit', (code) => process.exit(code ?? 1))
// The callback is there because without one a channel that has just closed would throw here.
process.send?.(postgres.pid ?? 0, undefined, undefined, () => {})
