import { hostname } from 'node:os'
import t from 'tap'
import packageJson from '../../package.json' with { type: 'json' }
import { listMigrations } from '../../src/database/migrate.ts'
import { holdTable } from '../support/locks.ts'
import { startServerProcess } from '../support/server-process.ts'
import {
  createFolder,
  isDistributed,
  startService,
  startServiceOn,
  type TestService,
  waitUntil
} from '../support/service.ts'

const idle = { queued: 0, running: 0, failed: 0, oldest_queued_seconds: 0, oldest_running_seconds: 0 }

async function getSystem(service: TestService) {
  const { status, body } = await service.get('/api/v1/system')
  if (status !== 200) throw new Error(JSON.stringify(body))
  return body as {
    instances: { host: string; pid: number; connections: number }[] | null
    [field: string]: unknown
  }
}

t.test('an idle service shows its versions, its instance and its database', async (t) => {
  const service = await startService(t)
  const system = await getSystem(service)
  const [{ version }] = await service.sql<[{ version: string }]>`
    select current_setting('server_version') as version`
  const host = hostname().slice(-32)
  t.match(system, {
    version: packageJson.version,
    instance: { host, pid: process.pid, node: process.versions.node, state: 'serving' },
    database: { postgresql: version, read_servers: [] },
    migrations: { applied: await listMigrations(), missing: [] },
    fillings: idle,
    reports: idle,
    imports: { running: 0 },
    webhooks: { active: 0, paused_by_request: 0, paused_by_service: 0, max_lag_seconds: 0 },
    changes: { oldest_at: null, newest_at: null },
    segments: 0,
    groups: 0
  })
  if (!isDistributed) {
    const { bytes, citus } = system['database'] as { bytes: number; citus: null }
    t.equal(citus, null)
    t.ok(bytes > 2 ** 20, `${bytes} bytes`)
  }
  const [own] = system.instances ?? []
  t.match(own, { host, pid: process.pid })
  t.ok(own && own.connections > 0)
})

t.test('work in progress and what has failed', async (t) => {
  const service = await startService(t)
  await service.app.webhookPusher.close()
  await Promise.all(Object.values(service.app.backgroundJobs).map((job) => job.stop()))
  const { sql } = service
  for (const slug of ['A', 'B', 'C', 'D']) await service.createSegment(slug)
  await service.sql`insert into exclusive_groups (slug) values ('G')`
  await service.deleteSegment('D')
  await sql`
    insert into assignments (segment_id, status, target, requested_at)
    select id,
      case slug when 'A' then 'queued' when 'B' then 'running' else 'failed' end,
      case slug when 'B' then 1 end,
      now() - interval '1 hour'
    from segments`
  await sql`
    insert into reports (filename, from_date, to_date, status, finished_at)
    values ('x.csv', '2023-08-01', '2023-08-02', 'failed', now())`
  await sql`insert into imports (ended_at) values (null), (now())`
  await sql`
    insert into webhooks (url, secret, cursor, state, pause_reason, paused_at, lease_until)
    values
      ('https://a.example', 'x', 'x', 'active', null, null, now() - interval '5 minutes'),
      ('https://b.example', 'x', 'x', 'active', null, null, now()),
      ('https://c.example', 'x', 'x', 'paused', 'requested', now() - interval '1 day', now()),
      ('https://d.example', 'x', 'x', 'paused', 'failing', now() - interval '1 day', now()),
      ('https://e.example', 'x', 'x', 'paused', 'gone', now() - interval '1 day', now())`
  const system = await getSystem(service)
  t.match(system, {
    // The segment of the other one that has failed is deleted.
    fillings: { queued: 1, running: 1, failed: 1 },
    reports: { ...idle, failed: 1 },
    imports: { running: 1 },
    webhooks: { active: 2, paused_by_request: 1, paused_by_service: 2 },
    segments: 3,
    groups: 1
  })
  const { oldest_queued_seconds } = system['fillings'] as typeof idle
  t.ok(oldest_queued_seconds >= 3_600)
  const { max_lag_seconds } = system['webhooks'] as { max_lag_seconds: number }
  t.ok(max_lag_seconds >= 300 && max_lag_seconds < 86_400, 'the paused ones are not behind')
})

t.test('the oldest and the newest change that are kept', async (t) => {
  const service = await startService(t)
  await service.createSegment('OLD')
  await service.createSegment('NEW')
  const { body } = await service.get('/api/v1/changes?after=start')
  const { changes } = body as { changes: { time: string }[] }
  t.match(await getSystem(service), {
    changes: { oldest_at: changes[0]?.time, newest_at: changes.at(-1)?.time }
  })
  t.not(changes[0]?.time, changes.at(-1)?.time)
})

t.test('the instances are those that run, until they stop', async (t) => {
  const service = await startService(t)
  const other = startServerProcess(t, {
    PORT: '0',
    DATABASE_URL: service.database.url,
    REPORTS_DIR: await createFolder(t)
  })
  await other.address()
  const listPids = async () => (await getSystem(service)).instances?.map(({ pid }) => pid).toSorted()
  const both = [process.pid, other.process.pid].toSorted()
  t.same(await waitUntil(listPids, (pids) => pids?.length === 2), both)
  other.process.kill('SIGTERM')
  t.equal(await other.exitCode(), 0)
  t.same(await waitUntil(listPids, (pids) => pids?.length === 1), [process.pid])
})

t.test('the instances are not known if DATABASE_URL names the connections', async (t) => {
  const service = await startService(t)
  const url = new URL(service.database.url)
  url.searchParams.set('application_name', 'mine')
  const named = await startServiceOn(t, { url: url.href, sql: service.sql })
  t.equal((await getSystem(named)).instances, null)
})

t.test('migrations that this version needs, and those of a newer one', async (t) => {
  const service = await startService(t)
  await service.sql`update pgmigrations set name = '9999_later' where name = '0001_schema'`
  t.match(await getSystem(service), { migrations: { applied: ['9999_later'], missing: ['0001_schema'] } })
  await service.sql`drop table pgmigrations`
  t.match(await service.get('/api/v1/system'), { status: 503, code: 'SCHEMA_OUTDATED' })
})

t.test('while it shuts down, and while the database does not answer in time', async (t) => {
  const service = await startService(t)
  const release = await holdTable(t, service.database, 'imports')
  t.match(await service.get('/api/v1/system'), { status: 503, code: 'LOCK_TIMEOUT' })
  await release()
  void service.app.shutdown.begin(0, 0)
  t.match(await getSystem(service), { instance: { state: 'shutting_down' } })
})
