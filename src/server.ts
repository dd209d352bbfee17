import closeWithGrace from 'close-with-grace'
import { buildApp } from './app.ts'
import { loadEnvironment, readConfig, toSeconds, wantsTracing } from './config.ts'
import { ConfigError } from './config-error.ts'
import { DRAIN_TIMEOUT_MS, LOG_FLUSH_TIMEOUT_MS, SHUTDOWN_TIMEOUT_MS } from './limits.ts'
import { stdoutLog } from './telemetry/stdout-log.ts'

/** Explains errors of `listen` that the operator can fix. */
function describeListenError(error: unknown, host: string, port: number): string | undefined {
  switch (error instanceof Error && 'code' in error && error.code) {
    case 'EADDRINUSE':
      return `Port ${port} on ${host} is already in use: set PORT to another one`
    case 'EACCES':
      return `Port ${port} on ${host} is not permitted for this user: set PORT to another one`
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `HOST is not valid: ${host} is not an address of this machine`
    default:
      return undefined
  }
}

/**
 * Ends the process with the exit code 0, without waiting for its threads: `process.exit` waits for those that a folder
 * that does not answer holds up. Replacing the program is the only way to end them that leaves that exit code.
 */
function endWithoutThreads(): void {
  process.execve?.(process.execPath, [process.execPath, '--eval', ''], {})
}

/** Serves until the process receives a signal to end or fails. Returns the URL that the service listens on. */
async function serve(): Promise<string> {
  const environment = loadEnvironment()
  const config = readConfig(environment)
  const app = await buildApp(config, { tracing: wantsTracing(environment) })
  const delay = toSeconds(config.SHUTDOWN_DELAY) * 1000
  closeWithGrace({ delay: delay + SHUTDOWN_TIMEOUT_MS, logger: app.log }, async ({ err, signal }) => {
    if (err) app.log.fatal({ err }, 'unexpected error, shutting down')
    else app.log.info({ signal }, 'shutting down')
    // The service still listens meanwhile: probes see readiness fail, and reports that finish now can be downloaded.
    const [, canExit] = await Promise.all([
      app.shutdown.begin(delay, DRAIN_TIMEOUT_MS),
      app.reportJobs.close(delay + DRAIN_TIMEOUT_MS),
      app.webhookPusher.close()
    ])
    await app.close()
    await stdoutLog.flush(LOG_FLUSH_TIMEOUT_MS)
    if (!canExit) endWithoutThreads()
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
