/**
 * Runs the tests of reports in an object storage: `npm run test:s3`, or one of them by
 * `npm run test:s3 -- test/s3/faults.ts`. They run on the storage at S3_ENDPOINT, with the credentials in the environment.
 * If it is unset, they run on `versitygw`, which has to be in PATH:
 *
 *     go install github.com/versity/versitygw/cmd/versitygw@v1.8.0
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function canConnect(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

/** Starts the storage, and sets the variables that name it. It ends with this process. */
async function startStorage(): Promise<void> {
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'user-segments-s3-'))
  const [objects, metadata] = [join(folder, 'objects'), join(folder, 'metadata')]
  for (const name of [objects, metadata]) mkdirSync(name)
  process.env.S3_ENDPOINT = `http://127.0.0.1:${port}`
  process.env.AWS_ACCESS_KEY_ID = 'test'
  process.env.AWS_SECRET_ACCESS_KEY = 'secret'
  const storage = spawn(
    'versitygw',
    // Not all file systems have the extended attributes in which it keeps metadata by default.
    ['--port', `127.0.0.1:${port}`, '--quiet', '--keep-alive', 'posix', '--sidecar', metadata, objects],
    {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: {
        PATH: process.env.PATH,
        ROOT_ACCESS_KEY_ID: process.env.AWS_ACCESS_KEY_ID,
        ROOT_SECRET_ACCESS_KEY: process.env.AWS_SECRET_ACCESS_KEY
      }
    }
  )
  storage.on('error', ({ message }) => {
    console.error(`${message}: see test/s3/run.ts`)
    process.exit(1)
  })
  process.on('exit', () => {
    storage.kill()
    rmSync(folder, { recursive: true, force: true })
  })
  while (!(await canConnect(port))) await sleep(50)
}

if (!process.env.S3_ENDPOINT) await startStorage()
const files = process.argv.slice(2)
process.argv.splice(
  2,
  files.length,
  '--disable-coverage',
  '--jobs=1',
  ...(files.length > 0 ? files : ['storage', 'faults', 'crashes'].map((name) => `test/s3/${name}.ts`))
)
await import('../run.ts')
