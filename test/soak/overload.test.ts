/** More comes than the service can do: what is too much is refused, the rest is answered, and nothing stays of it. */
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type HttpAnswer, HttpClient } from '../support/http-client.ts'
import { Scrape } from '../support/metrics.ts'
import { type ServerProcess, startServerProcess } from '../support/server-process.ts'
import { createDatabase, createFolder, type TestDatabase } from '../support/service.ts'
import { isRefusal } from './faults/load.ts'
import { sized, summarize } from './form.ts'

const OVERLOAD_MS = sized(8_000, 120_000)
/** How long a change takes: so long that the database is what bounds them, not a process. */
const CHANGE_SECONDS = 0.05
/** As many changes as the service sends to the database at once. */
const WRITE_CONNECTIONS = 16
/** Changes a second: at the most, as a busy machine does fewer. */
const CAPACITY = WRITE_CONNECTIONS / CHANGE_SECONDS
/** Changes at once that the service takes, though most of them wait. */
const BEARABLE = 48
const TICK_MS = 10
const LOOK_MS = 200
/** How much the memory may grow from the first third of the overload to its last, for what V8 has not yet collected. */
const MEMORY_GROWTH = 1.3

/** The answers of one kind of request. */
class Tally {
  served = 0
  refused = 0
  /** Milliseconds. */
  longest = 0
  /** What must not have happened; the first ones. */
  readonly violations: string[] = []

  async judge(sent: Promise<HttpAnswer>): Promise<void> {
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

async function slowChanges({ sql }: TestDatabase): Promise<void> {
  await sql`alter function change_user_segments(bigint, text[], text[], timestamptz, integer, text) rename to change_at_once`
  await sql.unsafe(`
    create function change_user_segments(
            p_user_id bigint, p_add text[], p_delete text[], p_expires_at timestamptz, p_ttl integer, p_actor text
          )
    returns boolean
    language plpgsql
    as $$
    begin
      perform pg_sleep(${CHANGE_SECONDS});
      return change_at_once(p_user_id, p_add, p_delete, p_expires_at, p_ttl, p_actor);
    end;
    $$`)
}

/** What a process has in memory, in MB. */
async function readMemory({ process: { pid } }: ServerProcess): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s*(\d+)/m.exec(status)?.[1]) / 1024
}

t.test(
  'twice as many changes come as the database can do',
  { skip: process.platform !== 'linux' && 'it reads /proc' },
  async (t) => {
    const database = await createDatabase(t)
    await database.sql`insert into segments (slug) values ('A')`
    await slowChanges(database)
    const server = startServerProcess(t, {
      DATABASE_URL: database.url,
      PORT: '0',
      OPEN_ROUTES: 'metrics',
      REPORTS_DIR: await createFolder(t)
    })
    const http = new HttpClient(await server.address())
    t.teardown(() => http.close())
    let users = 0
    const change = () => {
      users += 1
      return http.changeSegments(users, ['A'], [])
    }

    const sendBearable = async (t: Test) => {
      const tally = new Tally()
      await Promise.all(Array.from({ length: BEARABLE }, () => tally.judge(change())))
      t.same([tally.violations, tally.served], [[], BEARABLE], 'what can be done is done')
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
          new Scrape(text).value('user_segments_database_statements_waiting{pool="write"}') ?? Infinity
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
    t.same([others.violations, others.refused], [[], 0], 'what is not too much is not refused')
    t.ok(Math.max(...waiting) <= 64, 'what waits for the database is bounded')
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
      'waiting statements at the most': Math.max(...waiting),
      'ms the longest answer': Math.round(changes.longest)
    })
  }
)
