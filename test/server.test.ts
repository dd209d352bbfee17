import { once } from 'node:events'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { makeKey } from './support/keys.ts'
import { holdTable, waitForBlocked } from './support/locks.ts'
import { insertMany, openUsers, waitForStalled } from './support/segment-users.ts'
import { startServerProcess } from './support/server-process.ts'
import { createDatabase, createFolder, waitUntil } from './support/service.ts'
import { SlowUpload } from './support/uploads.ts'

async function startServer(t: Test, environment: NodeJS.ProcessEnv = {}) {
  const database = await createDatabase(t)
  const reportsDirectory = await createFolder(t)
  const server = startServerProcess(t, {
    DATABASE_URL: database.url,
    PORT: '0',
    REPORTS_DIR: reportsDirectory,
    ...environment
  })
  const address = await server.address()
  const change = (body: object) =>
    fetch(`${address}/api/v1/segments/user/1`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body)
    })
  return { server, database, reportsDirectory, address, change }
}

t.test(
  'SIGTERM during a request: readiness fails, the request is answered, the exit code is 0',
  async (t) => {
    const { server, database, address, change } = await startServer(t)
    await database.sql`insert into segments (slug) values ('A')`
    t.equal((await fetch(`${address}/health/ready`)).status, 200)

    const release = await holdTable(t, database, 'memberships')
    const answer = change({ segments_to_add: ['A'] })
    await waitForBlocked(database, 1)
    server.process.kill('SIGTERM')
    const readiness = await waitUntil(
      () => fetch(`${address}/health/ready`),
      ({ status }) => status === 503
    )
    t.same(await readiness.json(), { message: 'the service is shutting down', code: 'SHUTTING_DOWN' })
    await release()
    t.equal((await answer).status, 200)
    t.equal(await server.exitCode(), 0)
    t.equal(server.stderr, '')
    t.same(await database.sql`select user_id, slug from periods where active`, [{ user_id: '1', slug: 'A' }])
  }
)

t.test('SIGTERM during a report: the report is finished, the exit code is 0', async (t) => {
  const { server, database, reportsDirectory, address, change } = await startServer(t)
  t.equal((await change({})).status, 200)
  const release = await holdTable(t, database, 'memberships')
  const order = await fetch(`${address}/api/v1/segments/user/1/csv?from=2023-08-01&to=2023-08-31`)
  const { link } = (await order.json()) as { link: string }
  t.equal(new URL(link).origin, address)
  await waitForBlocked(database, 1)
  server.process.kill('SIGTERM')
  await waitUntil(
    () => fetch(`${address}/health/ready`),
    ({ status }) => status === 503
  )
  t.equal(((await (await fetch(link)).json()) as { code: string }).code, 'REPORT_PENDING', 'it still answers')
  await release()
  t.equal(await server.exitCode(), 0)
  const [name = ''] = await readdir(reportsDirectory)
  t.equal(await readFile(join(reportsDirectory, name), 'utf8'), 'user_id,segment_slug,operation,date\n')
})

t.test(
  'SIGTERM during an upload and a download, which may take an hour: both are aborted, the exit code is 0',
  async (t) => {
    const { server, database, address } = await startServer(t)
    await insertMany(database)
    const slow = new SlowUpload(address, 'segment/BIG/users')
    slow.send('1\n')
    const download = await openUsers(address)
    await waitForStalled(database, 1)
    server.process.kill('SIGTERM')
    t.match(await slow.answered(), /^HTTP\/1\.1 503 [\s\S]*SHUTTING_DOWN/)
    t.equal(await server.exitCode(), 0)
    // The client reads only now. If it had read before, it could have received the whole file.
    await t.rejects(text(download.response), 'the client sees that its file is incomplete')
    t.same(await database.sql`select from memberships where user_id = 1`, [])
  }
)

t.test('it serves for SHUTDOWN_DELAY seconds, and closes each connection after its answer', async (t) => {
  const { server, address, change } = await startServer(t, { SHUTDOWN_DELAY: '60s' })
  t.equal((await change({})).status, 200)
  server.process.kill('SIGTERM')
  await waitUntil(
    () => fetch(`${address}/health/ready`),
    ({ status }) => status === 503
  )
  const answer = await fetch(`${address}/api/v1/segments/user/1`)
  t.same([answer.status, await answer.json(), answer.headers.get('connection')], [200, [], 'close'])
})

t.test(
  'clients that disconnect or send nothing do not delay the shutdown, and are not logged as database faults',
  async (t) => {
    const { server, address } = await startServer(t)
    const { hostname, port } = new URL(address)
    const speak = async (text: string) => {
      const socket = connect(Number(port), hostname)
      await once(socket, 'connect')
      await new Promise((resolve) => socket.write(text, resolve))
      return socket
    }
    const post =
      'POST /api/v1/segments/user/1 HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{'
    for (const text of [post, 'GET /api/v1/segments/user/1 HTTP/1.1\r\nhost: localhost\r\n\r\n']) {
      const socket = await speak(text)
      socket.resetAndDestroy()
    }
    const silent = [await speak(''), await speak('GET /api/v1/seg')]
    t.teardown(() => {
      for (const socket of silent) socket.destroy()
    })
    t.equal((await fetch(`${address}/health/ready`)).status, 200)
    server.process.kill('SIGTERM')
    t.equal(await server.exitCode(), 0)
    t.notMatch(server.stdout, /DATABASE_UNAVAILABLE|killed by timeout/)
  }
)

t.test('SIGINT ends an idle service at once', async (t) => {
  const { server } = await startServer(t)
  server.process.kill('SIGINT')
  t.equal(await server.exitCode(), 0)
})

t.test('with an invalid configuration the service prints one line and does not start', async (t) => {
  const folder = await createFolder(t)
  const file = join(folder, 'file')
  await writeFile(file, '')
  const occupied = createServer().listen(0, '127.0.0.1')
  await once(occupied, 'listening')
  t.teardown(() => occupied.close())
  const { port } = occupied.address() as { port: number }

  const valid = {
    DATABASE_URL: 'postgres://127.0.0.1:1/none',
    PORT: '0',
    REPORTS_DIR: folder,
    LOG_LEVEL: 'error'
  }
  const cases = [
    [{ DATABASE_URL: '' }, /^DATABASE_URL is not set: it must be a URL such as postgres:.*\n$/],
    [
      { DATABASE_URL: 'postgres://u:secret%zz@host/db' },
      'DATABASE_URL is not valid: its parts must be URL-encoded\n'
    ],
    [{ DATABASE_URL: 'postgres://u:p@host:port/db' }, /^DATABASE_URL is not valid: .*\n$/],
    [{ PORT: 'http' }, 'PORT is not valid: it must be a port from 0 to 65535\n'],
    [{ REPORTS_DIR: file }, 'REPORTS_DIR is not valid: it must be a folder that can be written to\n'],
    [{ PORT: String(port) }, `Port ${port} on 127.0.0.1 is already in use: set PORT to another one\n`],
    [{ HOST: '192.0.2.1', AUTH: 'off' }, 'HOST is not valid: 192.0.2.1 is not an address of this machine\n'],
    [{ API_KEYS: 'billing:reader:sesame' }, /^API_KEYS is not valid: key 1 must be .*\n$/]
  ] as const
  // All at once, because each process only starts and ends.
  const servers = cases.map(([environment]) => startServerProcess(t, { ...valid, ...environment }))
  for (const [index, server] of servers.entries()) {
    t.equal(await server.exitCode(), 1)
    t.match(server.stderr, cases[index]?.[1])
    t.equal(server.stderr.split('\n').length, 2, 'one line')
    t.notMatch(server.stderr, /secret%|sesame/)
  }
})

t.test('the service starts without its database and says that it is not ready', async (t) => {
  const folder = await createFolder(t)
  const server = startServerProcess(t, {
    DATABASE_URL: 'postgres://127.0.0.1:1/none',
    PORT: '0',
    REPORTS_DIR: folder
  })
  const address = await server.address()
  t.equal((await fetch(`${address}/health/live`)).status, 200)
  t.equal((await fetch(`${address}/health/ready`)).status, 503)
  await waitUntil(
    async () => server.stdout,
    (log) => log.includes('jobs wait')
  )
  server.process.kill('SIGTERM')
  t.equal(await server.exitCode(), 0)
  const lines = server.stdout.split('\n').filter((line) => line.includes('jobs wait'))
  t.equal(lines.length, 1, 'one line for all background jobs')
  t.match(JSON.parse(lines[0] ?? ''), {
    reason: 'the database cannot be reached',
    code: 'ECONNREFUSED',
    msg: 'jobs wait for the database'
  })
})

t.test('the image starts the service as `npm start` does', async (t) => {
  const { scripts } = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8'))
  const dockerfile = await readFile(new URL('../Dockerfile', import.meta.url), 'utf8')
  const [command = '[]'] = dockerfile.match(/(?<=^CMD ).*/m) ?? []
  t.equal(`exec ${JSON.parse(command).join(' ')}`, scripts.start)
})

t.test('the image refuses to start without API_KEYS or AUTH=off', async (t) => {
  const dockerfile = await readFile(new URL('../Dockerfile', import.meta.url), 'utf8')
  const [settings = ''] = dockerfile.match(/(?<=^ENV ).*/m) ?? []
  const { NODE_ENV, HOST } = Object.fromEntries(settings.split(' ').map((setting) => setting.split('=')))
  t.equal(HOST, '0.0.0.0')
  const image = {
    NODE_ENV,
    HOST,
    DATABASE_URL: 'postgres://127.0.0.1:1/none',
    PORT: '0',
    REPORTS_DIR: await createFolder(t)
  }
  const refused = startServerProcess(t, image)
  t.equal(await refused.exitCode(), 1)
  t.match(refused.stderr, /^API_KEYS is not set: .*; AUTH=off allows access without keys\n$/)

  for (const [environment, status, warnings] of [
    [{ API_KEYS: makeKey('analyst', 'reader').setting }, 401, 0],
    [{ AUTH: 'off' }, 503, 1]
  ] as const) {
    const server = startServerProcess(t, { ...image, ...environment })
    const { port } = new URL(await server.address())
    t.equal((await fetch(`http://127.0.0.1:${port}/health/live`)).status, 200, 'probes need no key')
    t.equal((await fetch(`http://127.0.0.1:${port}/api/v1/segments/user/1`)).status, status)
    t.equal(server.stdout.split('authentication is off').length - 1, warnings)
  }
})

t.test(
  'the compose files turn authentication off, and publish their ports on this machine only',
  async (t) => {
    for (const name of ['compose.yaml', 'compose.citus.yaml']) {
      const compose = await readFile(new URL(`../${name}`, import.meta.url), 'utf8')
      t.match(compose, /^ {6}AUTH: "off"$/m)
      const ports = [...compose.matchAll(/^ {4}ports:\n((?: {6}- .*\n)+)/gm)].flatMap(([, list = '']) =>
        list.trim().split('\n')
      )
      t.ok(ports.length > 0)
      for (const port of ports) t.match(port, /- "127\.0\.0\.1:/)
    }
  }
)

t.test('the cluster of the compose file is distributed before the service starts', async (t) => {
  type Service = { image: string; command?: string[]; depends_on?: Record<string, { condition: string }> }
  const read = async (path: string) => readFile(new URL(`../${path}`, import.meta.url), 'utf8')
  const { services }: { services: Record<string, Service> } = parse(await read('compose.citus.yaml'), {
    merge: true
  })
  const order = ['service', 'distribute', 'migrate', 'cluster']
  for (const [n, name] of order.entries()) {
    const next = order[n + 1]
    if (next) t.same(services[name]?.depends_on, { [next]: { condition: 'service_completed_successfully' } })
  }
  const nodes = ['coordinator', 'worker-1', 'worker-2']
  t.same(
    services['cluster']?.depends_on,
    Object.fromEntries(nodes.map((node) => [node, { condition: 'service_healthy' }]))
  )
  for (const node of nodes) t.match(services['cluster']?.command?.join('\n'), `'${node}', 5432`)
  const scripts = ['migrate', 'distribute'].map((name) => services[name]?.command?.at(-1) ?? '')
  for (const script of scripts) t.match(await read(script), 'import.meta.main')
  const workflow = await read('.github/workflows/ci.yml')
  const images = new Set([...nodes, 'cluster'].map((node) => services[node]?.image))
  t.same([...images], workflow.match(/citusdata\/citus:.+/g), 'the tests run on the same version')
})
