/** REPORTS_URL without an object storage that works. `npm run test:s3` runs the tests on one that does. */
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { connectClient } from '../support/client.ts'
import { startServerProcess } from '../support/server-process.ts'
import { createDatabase, createFolder, waitUntil } from '../support/service.ts'

const database = await createDatabase(t)
const credentials = { AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' }
const august = 'user-1_2023-08-01_2023-08-31.csv'

/** Starts an instance that says on stderr when it loads the client of object storages. */
async function startInstance(t: Test, environment: NodeJS.ProcessEnv) {
  const preload = join(await createFolder(t), 'preload.mjs')
  await writeFile(
    preload,
    `import { writeSync } from 'node:fs'
     import { registerHooks } from 'node:module'
     registerHooks({
       resolve(specifier, context, next) {
         if (specifier.startsWith('@aws-sdk/')) writeSync(2, 'loads ' + specifier + '\\n')
         return next(specifier, context)
       }
     })`
  )
  return startServerProcess(t, {
    DATABASE_URL: database.url,
    PORT: '0',
    NODE_OPTIONS: `--import=${preload}`,
    ...environment
  })
}

/** Answers every request as an object storage that refuses it. Returns its URL. */
async function startRefusal(t: Test, status: number, code: string): Promise<string> {
  const server = createServer((_request, response) => {
    response.writeHead(status, { 'content-type': 'application/xml' })
    response.end(`<Error><Code>${code}</Code><Message>refused</Message></Error>`)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

t.test('reports in a folder load no client of object storages', async (t) => {
  const instance = await startInstance(t, { REPORTS_DIR: await createFolder(t) })
  const client = connectClient(await instance.address())
  t.teardown(() => client.close())
  await client.changeSegments(1)
  t.equal((await client.orderReport(1, '2023-08-01', '2023-08-31')).status, 202)
  await waitUntil(
    () => client.getReport(august),
    ({ status }) => status === 200
  )
  t.equal(instance.stderr, '')
})

t.test('a storage that is down takes out nothing but reports', async (t) => {
  // Nothing listens on this port.
  const environment = { ...credentials, REPORTS_URL: 's3://bucket/prefix', S3_ENDPOINT: 'http://127.0.0.1:1' }
  const instance = await startInstance(t, environment)
  const client = connectClient(await instance.address())
  t.teardown(() => client.close())
  t.match(instance.stderr, /^loads @aws-sdk\/client-s3$/m)
  t.match(instance.stdout, /"msg":"the storage of the reports does not answer"/)
  t.notMatch(instance.stdout, /secret/)
  t.equal((await client.get('/health/ready')).status, 200)
  t.equal((await client.changeSegments(1)).status, 200)

  t.equal((await client.orderReport(1, '2023-08-01', '2023-08-30')).status, 202)
  await waitUntil(
    async () => instance.stdout,
    (log) => log.includes('report failed')
  )
  t.match(await client.getReportStatus('user-1_2023-08-01_2023-08-30.csv'), {
    body: { status: 'queued', error: 'the report could not be stored' }
  })

  const unavailable = {
    status: 503,
    body: {
      message: 'the storage of the reports cannot answer now, try again later',
      code: 'STORAGE_UNAVAILABLE'
    }
  }
  const [{ ready }] = await database.sql<[{ ready: boolean }]>`
    select exists (select from reports where filename = ${august} and status = 'ready') as ready`
  t.ok(ready)
  const download = await client.getReport(august)
  t.match(download, unavailable)
  t.equal(download.headers['retry-after'], '1')
  t.match(await client.orderReport(1, '2023-08-01', '2023-08-31'), unavailable, 'the file may be lost')
})

t.test('a storage that refuses the settings stops the start with one line', async (t) => {
  for (const [status, code, setting] of [
    [403, 'SignatureDoesNotMatch', 'AWS_SECRET_ACCESS_KEY'],
    [403, 'InvalidAccessKeyId', 'AWS_ACCESS_KEY_ID'],
    [403, 'AccessDenied', 'REPORTS_URL'],
    [404, 'NoSuchBucket', 'REPORTS_URL'],
    [301, 'PermanentRedirect', 'AWS_REGION']
  ] as const)
    await t.test(code, async (t) => {
      const instance = startServerProcess(t, {
        ...credentials,
        DATABASE_URL: database.url,
        REPORTS_URL: 's3://bucket',
        S3_ENDPOINT: await startRefusal(t, status, code)
      })
      t.equal(await instance.exitCode(), 1)
      t.equal(
        instance.stderr,
        `${setting} is not valid: the storage of the reports answers ${status} (${code})\n`
      )
    })
})
