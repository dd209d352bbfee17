import closeWithGrace from 'close-with-grace'
import { buildApp } from './app.ts'
import { ConfigError, readConfig } from './config.ts'

/** Milliseconds for requests in flight and reports in progress when the process is told to end. */
const DRAIN_TIMEOUT_MS = 20_000
/** Milliseconds after which the process ends whatever is unfinished: below the 30 s that orchestrators wait. */
const SHUTDOWN_TIMEOUT_MS = 28_000

/** Ends the process for a reason the operator can mend. */
function refuseToStart(reason: string): never {
  console.error(reason)
  process.exit(1)
}

/** Why it could not listen, in one line; undefined where the fault is ours. */
function describeListenError(error: unknown, host: string, port: number): string | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'EADDRINUSE') return `Port ${port} on ${host} is already in use: set PORT to another one`
  if (code === 'EACCES')
    return `Port ${port} on ${host} may not be used by this user: set PORT to another one`
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
    return `HOST is not valid: ${host} is no address of this machine`
  return undefined
}

try {
  const config = readConfig(process.env)
  const app = await buildApp(config)
  closeWithGrace({ delay: SHUTDOWN_TIMEOUT_MS, logger: app.log }, async ({ err, signal }) => {
    if (err) app.log.fatal({ err }, 'unexpected error, shutting down')
    else app.log.info({ signal }, 'shutting down')
    // Still listening: readiness answers that it fails, and reports that finish now can be fetched.
    await Promise.all([app.shutdown.begin(DRAIN_TIMEOUT_MS), app.reportJobs.close(DRAIN_TIMEOUT_MS)])
    await app.close()
  })
  try {
    await app.listen({ host: config.HOST, port: config.PORT })
  } catch (error) {
    const reason = describeListenError(error, config.HOST, config.PORT)
    if (reason === undefined) throw error
    refuseToStart(reason)
  }
} catch (error) {
  if (error instanceof ConfigError) refuseToStart(error.message)
  throw error
}
