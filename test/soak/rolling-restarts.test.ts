/** Instances are restarted one after the other, behind a load balancer and under load. No request is lost. */
import t from 'tap'
import { Balancer } from '../support/balancer.ts'
import { startServerProcess } from '../support/server-process.ts'
import { createDatabase, createFolder } from '../support/service.ts'
import { sized, summarize } from './form.ts'

const RESTARTS = sized(4, 50)
const CLIENTS = 16

t.test('rolling restarts', async (t) => {
  const database = await createDatabase(t)
  const folder = await createFolder(t)
  const balancer = await Balancer.start(t)
  const startInstance = async () => {
    const instance = startServerProcess(t, {
      DATABASE_URL: database.url,
      PORT: '0',
      REPORTS_DIR: folder,
      LOG_LEVEL: 'info',
      SHUTDOWN_DELAY: '1s'
    })
    const address = await instance.address()
    await balancer.add(address)
    return { instance, address }
  }
  const [steady, ...rest] = await Promise.all([startInstance(), startInstance()])
  let [restarted] = rest
  t.ok(steady && restarted)
  await database.sql`insert into segments (slug) values ('A')`

  let ended = false
  let answered = 0
  const lost: string[] = []
  const send = async (path: string, body?: object): Promise<unknown> => {
    const headers = { 'content-type': 'application/json' }
    const init = body ? { method: 'POST', headers, body: JSON.stringify(body) } : {}
    const answer = await fetch(balancer.address + path, init)
    const text = await answer.text()
    if (answer.status === 200) answered += 1
    else lost.push(`${path}: ${answer.status} ${text}`)
    return text === '' ? undefined : JSON.parse(text)
  }
  const clients = Array.from({ length: CLIENTS }, async (_, n) => {
    const path = `/api/v1/segments/user/${n + 1}`
    for (let round = 0; !ended; round += 1) {
      const isIn = round % 2 === 0
      await send(path, isIn ? { segments_to_add: ['A'] } : { segments_to_delete: ['A'] })
      const segments = await send(path)
      if (JSON.stringify(segments) !== (isIn ? '["A"]' : '[]'))
        lost.push(`${path}: ${segments} in round ${round}`)
    }
  })

  for (let restart = 0; restart < RESTARTS && restarted; restart += 1) {
    const { instance, address } = restarted
    instance.process.kill('SIGTERM')
    const next = startInstance()
    t.equal(await instance.exitCode(), 0)
    balancer.remove(address)
    restarted = await next
  }
  ended = true
  await Promise.all(clients)
  t.same(lost, [])
  t.ok(answered > RESTARTS * CLIENTS)
  summarize(t, { restarts: RESTARTS, 'requests answered': answered, lost: lost.length })
})
