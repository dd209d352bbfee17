import t, { type Test } from 'tap'
import { type LogLines, matchLines } from '../support/log-lines.ts'
import { scrape } from '../support/metrics.ts'
import { startOwnPostgres } from '../support/own-postgres.ts'
import {
  awaitServing,
  observe,
  serveOn,
  serverName,
  startReplication,
  tokenOf
} from '../support/replication.ts'
import { type TestService, waitUntil } from '../support/service.ts'

/** Adds the user to the segment A or removes the user, in turn, and returns what a read must show afterwards. */
function alternate(service: TestService) {
  let isMember = false
  return async () => {
    isMember = !isMember
    const write = isMember
      ? await service.changeSegments(1, ['A'])
      : await service.changeSegments(1, [], ['A'])
    return { write, expected: isMember ? ['A'] : [] }
  }
}

const read = (service: TestService, headers = {}) =>
  observe(service, () => service.get('/api/v1/segments/user/1', headers))

/** Waits until a read without a token is answered by a server. */
async function untilReadBy(service: TestService, name: string) {
  return waitUntil(
    () => read(service),
    ({ server }) => server === name
  )
}

/** Starts a service whose standby answers every read, after a first change of user 1 in segment A. */
async function startReadStandby(t: Test) {
  const replication = await startReplication(t, { READ_STALENESS: '1h' })
  const { standby, service, log } = replication
  const name = serverName(standby)
  await service.createSegment('A')
  const change = alternate(service)
  await change()
  await awaitServing(service, log, 'all')
  await untilReadBy(service, name)
  log.clear()
  return { ...replication, name, change }
}

t.test('with remote_apply, a standby answers every read, and none is stale', async (t) => {
  const { primary, standby, service, log } = await startReplication(t)
  await service.createSegment('A')
  const change = alternate(service)
  await change()
  await awaitServing(service, log, 'token')
  t.equal((await read(service)).server, 'primary', 'replication is asynchronous')

  await primary.configure({ synchronous_standby_names: 'walreceiver' })
  await change()
  t.equal((await read(service)).server, 'primary', 'the standby has received the write, not replayed it')
  await primary.configure({ synchronous_commit: 'remote_apply' })
  await awaitServing(service, log, 'all')
  await untilReadBy(service, serverName(standby))
  const counts = new Map<string, number>()
  for (let i = 0; i < 100; i += 1) {
    const { expected } = await change()
    const { server, answer } = await read(service)
    if (answer.text !== JSON.stringify(expected)) t.fail(`${server} answered ${answer.text}`)
    counts.set(server, (counts.get(server) ?? 0) + 1)
  }
  const byStandby = counts.get(serverName(standby)) ?? 0
  t.ok(byStandby > 50, `${byStandby} of 100 reads by the standby`)

  t.test('on an idle primary whose log ends with a page', async (t) => {
    const FILE_HEADER = 40
    const { server } = await waitUntil(
      async () => {
        await primary.execute('select pg_switch_wal()')
        const { server } = await read(service)
        const [{ offset }] = await service.sql<[{ offset: number }]>`
          select ((pg_current_wal_insert_lsn() - '0/0') % 8192)::integer as offset`
        return { server, offset }
      },
      // Nothing has been written meanwhile.
      ({ server, offset }) => server === serverName(standby) && offset === FILE_HEADER
    )
    t.equal(server, serverName(standby))
  })

  t.test('at the moment when writes wait no longer', async (t) => {
    await standby.execute('select pg_wal_replay_pause()')
    await primary.configure({ synchronous_standby_names: '' })
    for (let i = 0; i < 5; i += 1) {
      const { expected } = await change()
      const { server, answer } = await read(service)
      t.same([server, answer.body], ['primary', expected])
    }
    await waitUntil(
      async () => log.of('read server serves').at(-1),
      (line) => line?.['reads'] === 'token'
    )
  })
})

t.test(
  'with READ_STALENESS, a standby answers every read while it is no more behind than that',
  async (t) => {
    const STALENESS = 1_000
    const { standby, service, log } = await startReplication(t, { READ_STALENESS: '1s' })
    await service.createSegment('A')
    const change = alternate(service)
    await change()
    await awaitServing(service, log, 'all')

    const idleUntil = performance.now() + 2 * STALENESS
    const servers = new Set<string>()
    while (performance.now() < idleUntil) servers.add((await read(service)).server)
    t.ok(servers.has(serverName(standby)), 'an idle primary does not make it stale')
    t.ok(servers.size === 1 || servers.has('primary'))

    await standby.execute('select pg_wal_replay_pause()')
    const { write, expected } = await change()
    const writtenAt = performance.now()
    t.same((await read(service, tokenOf(write))).answer.body, expected, 'a token is obeyed all the same')
    let lastStale = writtenAt
    await waitUntil(
      async () => {
        const begun = performance.now()
        const { answer } = await read(service)
        const isFresh = answer.text === JSON.stringify(expected)
        if (!isFresh) lastStale = begun
        return isFresh && begun - writtenAt > 2 * STALENESS
      },
      (isOver) => isOver
    )
    t.ok(
      lastStale - writtenAt <= STALENESS,
      `the last stale read began ${lastStale - writtenAt} ms after the write`
    )

    await standby.execute('select pg_wal_replay_resume()')
    t.same((await untilReadBy(service, serverName(standby))).answer.body, expected)
  }
)

/** The lines of the log about read servers. */
function serverLines(log: LogLines) {
  return log.lines.filter(({ msg }) => msg.startsWith('read server'))
}

t.test('a standby that is promoted is not read', async (t) => {
  const { standby, service, log, name, change } = await startReadStandby(t)
  await standby.execute('select pg_promote()')
  for (let i = 0; i < 20; i += 1) {
    const { write, expected } = await change()
    const answers = [await read(service), await read(service, tokenOf(write))]
    t.same(
      answers.map(({ server, answer }) => [server, answer.body]),
      [
        ['primary', expected],
        ['primary', expected]
      ]
    )
  }
  matchLines(t, serverLines(log), [
    { level: 40, msg: 'read server left out', server: name, reason: /neither/ }
  ])
  t.equal((await scrape(service)).value(`user_segments_read_server_up{server="${name}"}`), 0)
})

t.test('a standby that is gone is left out, and returns', async (t) => {
  const { primary, standby, service, log, name, change } = await startReadStandby(t)

  const answers: number[] = []
  let isOver = false
  const reading = Promise.all(
    Array.from({ length: 8 }, async () => {
      while (!isOver) answers.push((await service.getSegments(1)).status)
    })
  )
  await standby.stopImmediately()
  const { write, expected } = await change()
  t.same((await read(service, tokenOf(write))).answer.body, expected)
  await waitUntil(
    async () => (await scrape(service)).value(`user_segments_read_server_up{server="${name}"}`),
    (up) => up === 0
  )
  isOver = true
  await reading
  t.same([...new Set(answers)], [200], 'no read fails')
  t.equal((await service.get('/health/ready')).status, 200, 'the service is ready without it')

  await standby.start()
  await waitUntil(
    () => read(service),
    ({ server, answer }) => server === name && answer.text === JSON.stringify(expected)
  )
  matchLines(t, serverLines(log), [
    { level: 40, msg: 'read server left out', server: name },
    { level: 30, msg: 'read server serves', server: name }
  ])

  await t.test('without the primary, it answers what it has seen', async (t) => {
    await waitUntil(
      () => read(service, tokenOf(write)),
      ({ server }) => server === name
    )
    await primary.stopImmediately()
    const { server, answer } = await read(service, tokenOf(write))
    t.same([server, answer.body], [name, expected])
    await primary.start()
  })
})

t.test('reads go to several standbys in turn; servers with another history are never read', async (t) => {
  const other = await startOwnPostgres(t)
  const standbyOfOther = await other.startStandby(t)
  const { standby, service, log } = await startReplication(t)
  // The same standby by two names.
  const byName = standby.url.replace('127.0.0.1', 'localhost')
  const urls = [other.url, standbyOfOther.url, standby.url, byName].join()
  const second = await serveOn(t, service.database.url, { READ_DATABASE_URLS: urls })
  await service.createSegment('A')
  const change = alternate(service)
  const { write, expected } = await change()
  await awaitServing(service, log, 'token')
  await awaitServing(second.service, second.log, 'token')
  await waitUntil(
    async () => second.log.of('read server serves').length,
    (serving) => serving === 2
  )
  const servers = []
  for (let i = 0; i < 10; i += 1) {
    const { server, answer } = await read(second.service, tokenOf(write))
    t.same(answer.body, expected)
    servers.push(server)
  }
  t.equal(servers.filter((server) => server.startsWith('localhost')).length, 5, servers.join())
  const samples = await scrape(second.service)
  for (const foreign of [other, standbyOfOther]) {
    const name = serverName(foreign)
    t.equal(samples.value(`user_segments_membership_reads_total{server="${name}"}`), undefined)
    t.equal(samples.value(`user_segments_read_server_up{server="${name}"}`), 0)
    const lines = second.log.of('read server left out').filter(({ server }) => server === name)
    matchLines(t, lines, [{ reason: /neither/ }])
  }
})

t.test('after a failover, tokens of the new primary are seen on its standby', async (t) => {
  const first = await startOwnPostgres(t)
  const second = await first.startStandby(t)
  const hosts = `${new URL(first.url).host},${new URL(second.url).host}`
  const url = first.url.replace(new URL(first.url).host, hosts)
  const { service, log } = await serveOn(t, url, { READ_DATABASE_URLS: `${first.url},${second.url}` })
  await service.createSegment('A')
  const change = alternate(service)
  const before = await change()
  await awaitServing(service, log, 'token')
  await waitUntil(
    () => read(service, tokenOf(before.write)),
    ({ server }) => server === serverName(second)
  )
  await first.stop()
  await second.execute('select pg_promote()')
  await first.startAsStandbyOf(second)
  const after = await waitUntil(change, ({ write }) => write.status === 200)
  t.match(after.write.headers['x-segments-token'], /^2-/)
  const { answer } = await waitUntil(
    () => read(service, tokenOf(after.write)),
    ({ server }) => server === serverName(first)
  )
  t.same(answer.body, after.expected)
})
