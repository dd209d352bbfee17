import t, { type Test } from 'tap'
import { connectDatabase } from '../../src/database/connect.ts'
import { WarmConnections } from '../../src/database/warm-connections.ts'
import { createDatabase } from '../support/service.ts'
import { collectSockets } from '../support/sockets.ts'

function connectTo(url: string) {
  return connectDatabase(url, { name: 'test', connections: 1, statementTimeout: 60_000, lockTimeout: 60_000 })
}

/** Connections to these databases, one after the other, and then to the last one. */
function connectInTurn(t: Test, size: number, urls: string[]) {
  let made = 0
  const connections = new WarmConnections(size, () => connectTo(urls[made++] ?? urls.at(-1) ?? ''))
  t.teardown(() => connections.end({ timeout: 1 }))
  const backend = () =>
    connections.use(async (sql) => {
      const [row] = await sql<[{ pid: number }]>`select pg_backend_pid() as pid`
      return row.pid
    })
  return { connections, backend }
}

t.test('the one that was used last is taken first, and the others when it is in use', async (t) => {
  const { url } = await createDatabase(t)
  const { backend } = connectInTurn(t, 3, [url])
  const first = await backend()
  t.equal(await backend(), first)
  t.equal(new Set(await Promise.all([backend(), backend(), backend(), backend(), backend()])).size, 3)
})

t.test(
  'after a failure of the connection another one is taken, after one of the statement the same',
  async (t) => {
    const { url } = await createDatabase(t)
    const { connections, backend } = connectInTurn(t, 2, [url, 'postgres://127.0.0.1:1/none', url])
    await t.rejects(backend(), { code: 'ECONNREFUSED' })
    const pid = await backend()
    await t.rejects(
      connections.use((sql) => sql`select 1 / 0`),
      { code: '22012' }
    )
    t.equal(await backend(), pid)
  }
)

t.test('one that is lost in the moment in which it gets a statement holds nothing up later', async (t) => {
  const sockets = collectSockets(t)
  const { url } = await createDatabase(t)
  const { backend } = connectInTurn(t, 1, [url])
  await backend()
  const lost = new Promise((resolve, reject) => {
    // The socket's close comes at the end of this turn of the event loop, postgres.js would write in the next one.
    setImmediate(() => {
      sockets.at(-1)?.destroy()
      backend().then(resolve, reject)
    })
  })
  await t.rejects(lost, { code: 'CONNECTION_CLOSED' })
  t.type(await backend(), 'number')
})
