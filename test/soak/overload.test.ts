/** More requests than the service can serve: the excess is refused, the rest is answered, and the service recovers. */

import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type Answer, connectClient } from '../support/client.ts'
import { Scrape } from '../support/metrics.ts'
import { type ServerProcess, startServerProcess } from '../support/server-process.ts'
import { createDatabase, createFolder } from '../support/service.ts'
import { isRefusal } from './faults/load.ts'
import { slowChanges } from './faults/slow-changes.ts'
import { sized, summarize } from './form.ts'

const OVERLOAD_MS = sized(8_000, 120_000)
/** The duration of a change: long enough that the database is the bottleneck, not the process. */
const CHANGE_SECONDS = 0.05
/** The number of changes that the service sends to the database concurrently. */
const WRITE_CONNECTIONS = 16
/** The maximum number of changes per second; a busy machine achieves fewer. */
const CAPACITY = WRITE_CONNECTIONS / CHANGE_SECONDS
/** Changes in flight that the service accepts, although most of them wait. */
const BEARABLE = 48
const TICK_MS = 10
const LOOK_MS = 200
/** The allowed growth of memory, for uncollected garbage, from the first third of the overload to the last. */
const MEMORY_GROWTH = 1.3

/** The responses to one kind of request. */
class Tally {
  served = 0
  refused = 0
  /** The longest response time, in milliseconds. */
  longest = 0
  /** The first violations. */
  readonly violations: string[] = []

  async judge(sent: Promise<Answer>): Promise<void> {
    const answer = await sent.catch((error: Error) => error)
    if (answer instanceof Error) {
      this.#complain(`not answered: ${answer.message}`)
      return
    }
    this.longest = Math.max(this.longest, answer.milliseconds)
    if (answer.status === 200) this.served += 1
    else if (isRefusal(answer)) this.refused += 1
    else this.#complain(`${answer.status} ${answer.text}`)
  }

  #complain(violation: string): void {
    if (this.violations.length < 10) this.violations.push(violation)
  }
}

/** The memory of a process, in MB. */
async function readMemory({ process: { pid } }: ServerProcess): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s*(\d+)/m.exec(status)?.[1]) / 1024
}

t.test(
  'twice as many changes arrive as the database can process',
  { skip: process.platform !== 'linux' && 'it reads /proc' },
  async (t) => {
    const database = await createDatabase(t)
    await database.sql`insert into segments (slug) values ('A')`
    await slowChanges(database, CHANGE_SECONDS)
    const server = startServerProcess(t, {
      DATABASE_URL: database.url,
      PORT: '0',
      OPEN_ROUTES: 'metrics',
      REPORTS_DIR: await createFolder(t)
    })
    const http = connectClient(await server.address())
    t.teardown(() => http.close())
    let users = 0
    const change = () => {
      users += 1
      return http.changeSegments(users, ['A'], [])
    }

    const sendBearable = async (t: Test) => {
      const tally = new Tally()
      await Promise.all(Array.from({ length: BEARABLE }, () => tally.judge(change())))
      t.same([tally.violations, tally.served], [[], BEARABLE], 'the possible throughput is reached')
    }

    await sendBearable(t)
    const changes = new Tally()
    const others = new Tally()
    const memory: number[] = []
    const waiting: number[] = []
    const judging: Promise<void>[] = []
    const started = performance.now()
    const end = started + OVERLOAD_MS
    const looking = (async () => {
      while (performance.now() < end) {
        await sleep(LOOK_MS)
        for (const path of ['/health/live', '/health/ready', '/api/v1/segments/user/1'])
          await others.judge(http.get(path))
        const { text } = await http.get('/metrics')
        waiting.push(
          new Scrape(text).value('user_segments_database_statements_waiting{pool="writes"}') ?? Infinity
        )
        memory.push(await readMemory(server))
      }
    })()
    while (performance.now() < end) {
      const due = (2 * CAPACITY * (performance.now() - started)) / 1000
      while (judging.length < due) judging.push(changes.judge(change()))
      await sleep(TICK_MS)
    }
    await looking
    await Promise.all(judging)

    t.same(changes.violations, [], 'each change is answered, with 200 or a refusal')
    t.equal(changes.served + changes.refused, judging.length)
    t.ok(changes.refused > 0 && changes.served > 0, 'some are refused, and some are not')
    t.same([others.violations, others.refused], [[], 0], 'requests below the limit are not refused')
    t.ok(Math.max(...waiting) <= 64, 'the number of requests that wait for the database is bounded')
    const third = Math.floor(memory.length / 3)
    const growth = Math.max(...memory.slice(-third)) / Math.max(...memory.slice(0, third))
    t.ok(growth < MEMORY_GROWTH, `memory is bounded (${memory.map(Math.round)} MB)`)

    await sendBearable(t)
    server.process.kill('SIGTERM')
    t.equal(await server.exitCode(), 0)
    t.equal(server.stderr, '')
    summarize(t, {
      'changes/s sent': 2 * CAPACITY,
      served: changes.served,
      'refused with 503': changes.refused,
      'waiting statements at most': Math.max(...waiting),
      'ms the longest answer': Math.round(changes.longest)
    })
  }
)
