/**
 * Runs the tests on a PostgreSQL that it starts for them: `npm test`, or `npm test -- test/reports/reports.test.ts`.
 * When it returns, all processes it started have ended and all files it wrote are removed.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres from 'postgres'
import { migrate } from '../src/database/migrate.ts'
import { startEmbeddedPostgres } from '../src/dev/embedded-postgres.ts'

const folder = await mkdtemp(join(tmpdir(), 'user-segments-test-'))
// As root, PostgreSQL runs as another user, who needs access to the folder.
await chmod(folder, 0o711)
let exitCode = 1
try {
  const server = await startEmbeddedPostgres({
    directory: join(folder, 'postgres'),
    settings: { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: '300' }
  })
  try {
    const sql = postgres(server.url('postgres'), { max: 1 })
    await sql`create database template_segments`
    await migrate(server.url('template_segments'))
    await sql.end()

    const tap = spawn('tap', process.argv.slice(2), {
      stdio: 'inherit',
      shell: process.platform === 'win32',
      env: {
        ...process.env,
        TMPDIR: folder,
        TEST_DATABASE_URL: server.url(''),
        // Halves the time that each process of a test or of the service takes to start.
        NODE_COMPILE_CACHE: join(folder, 'compile-cache')
      }
    })
    // The terminal sends Ctrl-C to tap as well; this process stays to clean up.
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => tap.kill(signal))
    const [code] = await once(tap, 'exit')
    exitCode = code ?? 1
  } finally {
    await server.stop()
    // The data may be in another folder, if PostgreSQL's user has no access to this one.
    await rm(server.directory, { recursive: true, force: true })
  }
} finally {
  await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
}
process.exit(exitCode)
