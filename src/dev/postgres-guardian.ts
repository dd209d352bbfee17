/**
 * Runs PostgreSQL for a parent process that may die at any moment, even by SIGKILL: it stops PostgreSQL when the IPC
 * channel to the parent closes, for whatever reason. It is started detached, so it is in a separate session, which a
 * terminal's Ctrl-C does not reach. Its only argument is a {@link GuardianOrder} as JSON. It sends PostgreSQL's process id
 * to the parent, and ends when PostgreSQL ends. PostgreSQL writes to the same stdout and stderr.
 */
import { spawn } from 'node:child_process'

export type Account = { uid: number; gid: number }
export type GuardianOrder = { command: string; args: string[]; account: Account | undefined }

/** The signals that stop PostgreSQL, each harsher than the one before, with the delay of each in ms. */
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
// Once only: PostgreSQL treats a repeated signal as a new request, and the steps above have begun already.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => process.connected && process.disconnect())
}

postgres.once('error', (error) => {
  console.error(`PostgreSQL cannot be started: ${error.message}`)
  process.exit(1)
})
postgres.once('exit', (code) => process.exit(code ?? 1))
// Without a callback, this would throw if the channel has just closed.
process.send?.(postgres.pid ?? 0, undefined, undefined, () => {})
