import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { startServerProcess } from '../support/server-process.ts'
import { createDatabase, createFolder, waitUntil } from '../support/service.ts'

/** A process of the service whose log is no longer read. */
async function startUnread(t: Test) {
  const server = startServerProcess(t, {
    DATABASE_URL: (await createDatabase(t)).url,
    PORT: '0',
    REPORTS_DIR: await createFolder(t)
  })
  const address = await server.address()
  server.process.stdout?.pause()
  return { server, address }
}

t.test('a log that is not read delays no request, and is complete when it is read again', async (t) => {
  const { server, address } = await startUnread(t)
  // Far more than the system buffers for a reader.
  const padding = 'x'.repeat(8_000)
  for (let request = 0; request < 300; request += 1) {
    const answer = await fetch(`${address}/health/live?${padding}`, {
      headers: { 'x-request-id': `request-${request}` }
    })
    t.equal(answer.status, 400)
    await answer.body?.cancel()
  }
  server.process.kill('SIGTERM')
  await waitUntil(
    () => fetch(address).catch(() => 'closed'),
    (answer) => answer === 'closed'
  )
  server.process.stdout?.resume()
  t.equal(await server.exitCode(), 0)
  const ids = [...server.stdout.matchAll(/"request_id":"request-(\d+)"/g)].map(([, id]) => Number(id))
  t.same(
    ids,
    Array.from({ length: 300 }, (_, request) => request),
    'each line once, in order'
  )
  t.ok(server.stdout.endsWith('}\n'), 'including the last one')
})

t.test('a log that is never read again does not keep the process alive', async (t) => {
  const { server, address } = await startUnread(t)
  const padding = 'x'.repeat(8_000)
  for (let request = 0; request < 300; request += 1) {
    const answer = await fetch(`${address}/health/live?${padding}`)
    await answer.body?.cancel()
  }
  const exit = once(server.process, 'exit')
  server.process.kill('SIGTERM')
  t.same(await exit, [0, null])
  server.process.stdout?.destroy()
})

t.test('a log whose reader has ended does not end the process', async (t) => {
  const { server, address } = await startUnread(t)
  server.process.stdout?.destroy()
  for (let request = 0; request < 10; request += 1) {
    const answer = await fetch(`${address}/health/live`)
    t.equal(answer.status, 200)
    await answer.body?.cancel()
  }
  server.process.kill('SIGTERM')
  t.equal(await server.exitCode(), 0)
  t.equal(server.stderr, '')
})

function startWriter(t: Test, ...parameters: string[]): { writer: ChildProcess; stdout: Readable } {
  const script = fileURLToPath(new URL('../support/stdout-writer.ts', import.meta.url))
  const writer = fork(script, parameters, { silent: true })
  t.teardown(() => writer.kill('SIGKILL'))
  if (!writer.stdout) throw new Error('The writer has no stdout')
  return { writer, stdout: writer.stdout }
}

t.test('a line that a process writes just before it exits is read', async (t) => {
  const { stdout } = startWriter(t, 'suddenly')
  t.equal(await text(stdout), '{"line":0}\n')
})

t.test('lines beyond the buffer are dropped, counted and reported; all others are read', async (t) => {
  const { writer, stdout } = startWriter(t)
  const [{ written, lost }] = await once(writer, 'message')
  t.ok(lost > 0 && lost < written)
  const lines: { line?: number }[] = []
  for await (const line of createInterface(stdout)) {
    lines.push(JSON.parse(line))
    if (lines.length === written - lost) writer.send('go on')
  }
  const numbers = lines.flatMap(({ line }) => line ?? [])
  t.equal(numbers.length, written - lost + 1)
  t.same(numbers.slice(-2), [written - lost - 1, written], 'the newest were lost')
  t.match(lines.at(-2), { level: 40, msg: 'log lines lost', lines: lost })
})
