import { once } from 'node:events'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { ConfigError } from '../../src/config-error.ts'
import { countConnections } from '../../src/http/connections.ts'
import { holdTable, waitForBlocked } from '../support/locks.ts'
import { openConnection } from '../support/raw-connection.ts'
import { insertMany, waitForStalled } from '../support/segment-users.ts'
import { startServerProcess } from '../support/server-process.ts'
import { createDatabase, createFolder, startService, waitUntil } from '../support/service.ts'

const localhost = { host: '127.0.0.1', port: 0 }

/** Waits until the service has no connection, whatever its clients do. */
function allClosed(app: FastifyInstance): Promise<number> {
  const count = () =>
    new Promise<number>((resolve, reject) =>
      app.server.getConnections((error, open) => (error ? reject(error) : resolve(open)))
    )
  return waitUntil(count, (open) => open === 0)
}

t.test('the number of connections follows from the limit of open files', async (t) => {
  t.equal(countConnections(512), 192)
  t.equal(countConnections(1_024), 448)
  t.equal(countConnections(1_048_576), 10_000)
  t.equal(countConnections(Number.POSITIVE_INFINITY), 10_000)
  t.throws(
    () => countConnections(128),
    new ConfigError('The limit of open files is 128, which is too low: raise it (ulimit -n) to 192 or more')
  )
})

t.test(
  'more idle connections than the process may open files neither end it nor keep others out',
  async (t) => {
    const database = await createDatabase(t)
    await database.sql`insert into users (id) values (1)`
    const environment = { DATABASE_URL: database.url, PORT: '0', REPORTS_DIR: await createFolder(t) }
    const server = startServerProcess(t, environment, 512)
    const address = await server.address()
    const regular = await openConnection(t, address)
    regular.socket.write('GET /api/v1/segments/user/1 HTTP/1.1\r\nhost: localhost\r\n\r\n')
    await waitUntil(
      async () => regular.statuses,
      ({ length }) => length === 1
    )

    const idle = await Promise.all(Array.from({ length: 600 }, () => openConnection(t, address)))
    // Each one on a new connection.
    const headers = { connection: 'close' }
    t.equal((await fetch(`${address}/api/v1/segments/user/1`, { headers })).status, 200)
    t.equal((await fetch(`${address}/metrics`, { headers })).status, 200)
    const order = await fetch(`${address}/api/v1/segments/user/1/csv?from=2023-08-01&to=2023-08-31`, {
      headers
    })
    const { link } = (await order.json()) as { link: string }
    await waitUntil(
      () => fetch(link, { headers }),
      ({ status }) => status === 200
    )
    t.ok(idle.filter(({ socket }) => socket.destroyed).length >= 400, 'idle connections were closed')
    regular.socket.write('GET /api/v1/segments/user/1 HTTP/1.1\r\nhost: localhost\r\n\r\n')
    await waitUntil(
      async () => regular.statuses,
      ({ length }) => length === 2
    )
    t.same(regular.statuses, [200, 200], 'a connection that has sent a request is kept')
    t.match(server.stdout, '"limit":192,"msg":"too many client connections: idle ones are closed"')
    server.process.kill('SIGTERM')
    t.equal(await server.exitCode(), 0)
    t.equal(server.stderr, '')
  }
)

t.test('a connection is closed after a refusal even if its client does not close it', async (t) => {
  const { app } = await startService(t)
  const address = await app.listen(localhost)
  const refused = await openConnection(t, address)
  refused.socket.write('NONSENSE\r\n\r\n')
  const incomplete = await openConnection(t, address)
  incomplete.socket.write('GET /health/live HTTP/1.1\r\nhost: local')
  await allClosed(app)
  t.same([refused.statuses, incomplete.statuses], [[400], [408]])
})

t.test(
  'the rest of a body that nobody reads has ten seconds, whatever the request was answered',
  async (t) => {
    const { app } = await startService(t)
    const address = await app.listen(localhost)
    const answers: [string, number][] = [
      ['POST /%zz', 400],
      ['POST /nowhere', 404],
      ['POST /openapi.json', 405],
      ['GET /openapi.json', 200],
      ['POST /api/v1/segment', 408]
    ]
    const connections = await Promise.all(
      answers.map(async ([line]) => {
        const connection = await openConnection(t, address)
        const head = 'host: localhost\r\ncontent-type: application/json\r\ncontent-length: 9'
        connection.socket.write(`${line} HTTP/1.1\r\n${head}\r\n\r\n{`)
        return connection
      })
    )
    await allClosed(app)
    t.same(
      connections.map(({ statuses }) => statuses),
      answers.map(([, status]) => [status])
    )
  }
)

t.test('a connection keeps nothing of requests whose bodies nobody read', async (t) => {
  const { app } = await startService(t)
  const accepted = once(app.server, 'connection')
  const connection = await openConnection(t, await app.listen(localhost))
  const [socket] = await accepted
  const listeners = socket.listenerCount('close')
  for (let answers = 1; answers <= 12; answers++) {
    connection.socket.write('POST /nowhere HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n{')
    await waitUntil(
      async () => connection.statuses,
      ({ length }) => length === answers
    )
    connection.socket.write('}')
  }
  const count = () =>
    waitUntil(
      async () => socket.listenerCount('close'),
      (count) => count === listeners
    )
  await t.resolves(count())
})

t.test('an error of the connection is never written into an answer', async (t) => {
  const service = await startService(t)
  await service.changeSegments(1)
  const address = await service.app.listen(localhost)

  t.test('of a request that is not answered yet', async (t) => {
    const release = await holdTable(t, service.database, 'memberships')
    const connection = await openConnection(t, address)
    connection.socket.write('GET /api/v1/segments/user/1 HTTP/1.1\r\nhost: localhost\r\n\r\nNONSENSE\r\n\r\n')
    await waitForBlocked(service.database, 1)
    await release()
    await connection.ended()
    t.same(connection.statuses, [200, 400], 'each in its turn')
    t.match(connection.received, /\r\n\r\n\[\]HTTP\/1\.1 400 /, 'the answer is complete')
  })

  t.test('of a request that is not answered yet, when errors keep coming', async (t) => {
    const release = await holdTable(t, service.database, 'memberships')
    const warnings: Error[] = []
    const keepWarning = (warning: Error) => warnings.push(warning)
    process.on('warning', keepWarning)
    t.teardown(() => process.off('warning', keepWarning))
    const connection = await openConnection(t, address)
    connection.socket.write('GET /api/v1/segments/user/1 HTTP/1.1\r\nhost: localhost\r\n\r\n')
    await waitForBlocked(service.database, 1)
    for (let errors = 0; errors < 20; errors += 1) {
      const failed = once(service.app.server, 'clientError')
      connection.socket.write('NONSENSE\r\n\r\n')
      await failed
    }
    await release()
    await connection.ended()
    t.same(connection.statuses, [200, 400], 'one error is answered')
    t.same(warnings, [], 'one listener waits')
  })

  await insertMany(service.database)
  for (const [name, text, status] of [
    ['what follows is not HTTP', 'NONSENSE\r\n\r\n', 400],
    ['the next request does not arrive whole', 'GET /health/live HT', 408]
  ] as const)
    t.test(`of an answer under way, when ${name}`, async (t) => {
      const failed = once(service.app.server, 'clientError')
      const connection = await openConnection(t, address)
      connection.socket.pause()
      const request = 'GET /api/v1/segment/BIG/users.csv HTTP/1.1\r\nhost: localhost\r\n\r\n'
      connection.socket.write(request)
      await waitForStalled(service.database, 1)
      connection.socket.write(text)
      await failed
      connection.socket.resume()
      await connection.ended()
      t.same(connection.statuses, [200, status])
      t.match(connection.received, /\r\n0\r\n\r\nHTTP\/1\.1 4/, 'the answer is complete')
    })
})
