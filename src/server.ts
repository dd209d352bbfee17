import closeWithGrace from 'close-with-grace'
import { buildApp } from './app.ts'
import { ConfigError, loadEnvironment, readConfig, toSeconds, wantsTracing } from './config.ts'
import { stdoutLog } from './telemetry/stdout-log.ts'

/** Milliseconds for requests in flight and reports in progress when the process is told to end. */
const DRAIN_TIMEOUT_MS = 20_000
/** Milliseconds after which, beyond SHUTDOWN_DELAY, the process ends whatever is unfinished: below the 30 s that orchestrators wait. */
const SHUTDOWN_TIMEOUT_MS = 28_000
/** Milliseconds for the last lines of the log to be read. */
const LOG_TIMEOUT_MS = 2_000

/** What the operator can mend, by the code of the error that `listen` failed with. */
function describeListenError(error: unknown, host: string, port: number): string | undefined {
  switch (error instanceof Error && 'code' in error && error.code) {
    case 'EADDRINUSE':
      return `Port ${port} on ${host} is already in use: set PORT to another one`
    case 'EACCES':
      return `Port ${port} on ${host} may not be used by this user: set PORT to another one`
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `HOST is not valid: ${host} is no address of this machine`
    default:
      return undefined
  }
}

/** Serves until the process is told to end. Returns the address it listens on. */
async function serve(): Promise<string> {
  const environment = loadEnvironment()
  const config = readConfig(environment)
  const app = await buildApp(config, { tracing: wantsTracing(environment) })
  const delay = toSeconds(config.SHUTDOWN_DELAY) * 1000
  closeWithGrace({ delay: delay + SHUTDOWN_TIMEOUT_MS, logger: app.log }, async ({ err, signal }) => {
    if (err) app.log.fatal({ err }, 'unexpected error, shutting down')
    else app.log.info({ signal }, 'shutting down')
    // Still listening: readiness answers that it fails, and reports that finish now can be fetched.
    await Promise.all([
      app.shutdown.begin(delay, DRAIN_TIMEOUT_MS),
      app.reportJobs.close(delay + DRAIN_TIMEOUT_MS)
    ])
    await app.close()
    await stdoutLog.flush(LOG_TIMEOUT_MS)
  })
  try {
    return await app.listen({ host: config.HOST, port: config.PORT })
  } catch (error) {
    const reason = describeListenError(error, config.HOST, config.PORT)
    throw reason === undefined ? error : new ConfigError(reason, { cause: error })
  }
}

/** The URL that the service listens on. */
export const address = await serve().catch((error: unknown) => {
  if (!(error instanceof ConfigError)) throw error
  console.error(error.message)
  process.exit(1)
})
