import t from 'tap'
import type { Answer } from '../support/client.ts'
import { awaitServing, observe, serverName, startReplication, tokenOf } from '../support/replication.ts'
import { startService, waitUntil } from '../support/service.ts'
import { upload } from '../support/uploads.ts'

t.test('every write answers a token, by which a standby answers with that write', async (t) => {
  const { standby, service, log } = await startReplication(t)
  await service.createSegment('A')
  await service.changeSegments(1, ['A'])
  await awaitServing(service, log, 'token')

  /** Reads on the standby what a write has changed. */
  const readOnStandby = (write: Answer, url: string) =>
    waitUntil(
      () => observe(service, () => service.get(url, tokenOf(write))),
      ({ server }) => server === serverName(standby)
    )
  const segmentsOf = async (write: Answer, userId: number) =>
    (await readOnStandby(write, `/api/v1/segments/user/${userId}`)).answer.body
  const membershipIn = async (write: Answer, slug: string) =>
    (await readOnStandby(write, `/api/v1/segment/${slug}/users/1`)).answer.body

  t.same(await membershipIn(await service.createSegment('EMPTY'), 'EMPTY'), { member: false })
  t.match(await membershipIn(await service.createSegment('SHARE', 1), 'SHARE'), { member: true })
  const later = await service.createSegment('LATER', 1, { prefer: 'respond-async' })
  t.equal(later.status, 202)
  t.match(await membershipIn(later, 'LATER'), {}, 'known, and perhaps filled already')
  await waitUntil(
    () => service.getSegment('LATER'),
    (segment) => segment.json<{ members: number }>().members === 1
  )
  t.match(await membershipIn(await service.patchSegment('SHARE', { selection: 0 }), 'SHARE'), {
    member: false
  })
  const deleted = await service.deleteSegment('LATER')
  t.same(await segmentsOf(deleted, 1), ['A'])
  const changed = await service.changeSegments(1, ['EMPTY'], ['A'])
  t.same(await segmentsOf(changed, 1), ['EMPTY'])
  const repeated = await service.changeSegments(1, ['EMPTY'])
  t.match(repeated.headers['x-segments-token'], /^1-[\dA-F]+\/[\dA-F]+$/, 'a change that changes nothing')
  t.same(await segmentsOf(repeated, 1), ['EMPTY'])

  const added = await upload(service, 'segment/A/users', '1\n2\n')
  t.same(await segmentsOf(added, 2), ['A'])
  const removed = await upload(service, 'segment/A/users', '1\n2\n', { method: 'DELETE' })
  t.same(await segmentsOf(removed, 2), [])
  t.same(await segmentsOf(await upload(service, 'users', '3\n'), 3), [])
  const erased = await service.request({ method: 'DELETE', url: '/api/v1/users/3' })
  t.same(await segmentsOf(erased, 3), { message: 'user with id (3) not found', code: 'USER_NOT_FOUND' })

  const query = await waitUntil(
    () =>
      observe(service, () =>
        service.post('/api/v1/segments/users/query', { user_ids: [1, 3] }, tokenOf(changed, erased))
      ),
    ({ server }) => server === serverName(standby)
  )
  t.same(query.answer.body, { segments: { 1: ['EMPTY'] }, unknown: ['3'] }, 'a read that needs two writes')
})

t.test('a standby that has not seen a token is waited for a moment; then the primary is asked', async (t) => {
  const { standby, service, log } = await startReplication(t)
  await service.createSegment('A')
  await service.createSegment('B')
  const first = await service.changeSegments(1, ['A'])
  await awaitServing(service, log, 'token')
  await waitUntil(
    () => observe(service, () => service.get('/api/v1/segments/user/1', tokenOf(first))),
    ({ server }) => server === serverName(standby)
  )

  await standby.execute('select pg_wal_replay_pause()')
  const second = await service.changeSegments(1, ['B'])
  const context = { context: { targetingKey: '1' } }
  const onPrimary = Array.from({ length: 5 }, () => 'primary')
  const bothIn = async (...writes: Answer[]) => {
    const headers = tokenOf(...writes)
    const lookups = [
      () => service.get('/api/v1/segments/user/1', headers),
      () => service.post('/api/v1/segments/users/query', { user_ids: [1] }, headers),
      () => service.get('/api/v1/segment/B/users/1', headers),
      () => service.post('/ofrep/v1/evaluate/flags/B', context, headers),
      () => service.post('/ofrep/v1/evaluate/flags', context, headers)
    ]
    const answers = []
    for (const lookUp of lookups) answers.push(await observe(service, lookUp))
    t.match(answers[0]?.answer.body, ['A', 'B'])
    t.match(answers[1]?.answer.body, { segments: { 1: ['A', 'B'] } })
    t.match(answers[2]?.answer.body, { member: true })
    t.match(answers[3]?.answer.body, { value: true })
    t.match(answers[4]?.answer.body, { flags: [{ value: true }, { value: true }] })
    return answers.map(({ server }) => server)
  }
  t.same(await bothIn(second), onPrimary)
  t.same(await bothIn(first, second), onPrimary, 'each of several tokens matters')
  t.same(await bothIn(), onPrimary, 'without a token, no read is stale')
  t.same(
    await observe(service, () => service.get('/api/v1/segments/user/1', tokenOf(first))).then(
      ({ server, answer }) => [server, answer.body]
    ),
    [serverName(standby), ['A']],
    'the standby still answers a read that needs no more than it has'
  )
  const evaluated = await observe(service, () =>
    service.post('/ofrep/v1/evaluate/flags', context, tokenOf(first))
  )
  t.equal(evaluated.server, serverName(standby))
  t.match(evaluated.answer.body, { flags: [{ value: true }, { value: false }] })
  // Lookups of the same moment share a query.
  const mixed = await Promise.all(
    [first, second, first, second].map((write) => service.get('/api/v1/segments/user/1', tokenOf(write)))
  )
  t.same(
    mixed.map(({ body }) => body),
    [['A'], ['A', 'B'], ['A'], ['A', 'B']]
  )

  // The standby has seen a later transaction, so it knows that this one is in progress.
  await standby.execute('select pg_wal_replay_resume()')
  await service.sql.begin(async (sql) => {
    const [{ xid }] = await sql<[{ xid: string }]>`select pg_current_xact_id()::text as xid`
    const later = await service.changeSegments(2, ['A'])
    await waitUntil(
      () => observe(service, () => service.get('/api/v1/segments/user/2', tokenOf(later))),
      ({ server }) => server === serverName(standby)
    )
    const open = { 'x-segments-token': `1-${xid}` }
    t.equal((await observe(service, () => service.get('/api/v1/segments/user/2', open))).server, 'primary')
  })

  const future = { 'x-segments-token': '1-999999999' }
  t.same(
    (await service.get('/api/v1/segments/user/1', future)).body,
    ['A', 'B'],
    'an id that does not exist yet'
  )
  const newer = { 'x-segments-token': `2-${second.headers['x-segments-token']?.toString().slice(2)}` }
  t.same((await service.get('/api/v1/segments/user/1', newer)).body, ['A', 'B'], 'an id of a later timeline')

  await waitUntil(
    () => observe(service, () => service.get('/api/v1/segments/user/1', tokenOf(second))),
    ({ server, answer }) => {
      t.same(answer.body, ['A', 'B'])
      return server === serverName(standby)
    }
  )
  t.same((await service.get('/api/v1/segments/user/1', newer)).body, ['A', 'B'])
  t.equal(
    (await observe(service, () => service.get('/api/v1/segments/user/1', newer))).server,
    'primary',
    'an id of a later timeline is not that of this one'
  )
})

t.test('a standby that is about to see a token answers', async (t) => {
  const { standby, service, log } = await startReplication(t)
  await service.createSegment('A')
  await awaitServing(service, log, 'token')
  let added = false
  // On a busy machine, a single wait may be too short. Without any wait, three in a row would hardly happen.
  let inARow = 0
  await waitUntil(
    async () => {
      await standby.execute('select pg_wal_replay_pause()')
      added = !added
      const write = await (added ? service.changeSegments(1, ['A']) : service.changeSegments(1, [], ['A']))
      const { server, answer } = await observe(service, async () => {
        const answering = service.get('/api/v1/segments/user/1', tokenOf(write))
        await standby.execute('select pg_wal_replay_resume()')
        return answering
      })
      if (answer.text !== JSON.stringify(added ? ['A'] : [])) t.fail(answer.text)
      inARow = server === serverName(standby) ? inARow + 1 : 0
      return inARow
    },
    (times) => times === 3
  )
  t.equal(inARow, 3)
})

t.test('without read servers, tokens are answered and accepted too', async (t) => {
  const service = await startService(t)
  const refused = await service.deleteSegment('A')
  t.same([refused.status, refused.headers['x-segments-token']], [404, undefined])
  const created = await service.createSegment('A')
  t.match(created.headers['x-segments-token'], /^1-\d+$/)
  const changed = await service.changeSegments(1, ['A'])
  t.same((await service.get('/api/v1/segments/user/1', tokenOf(created, changed))).body, ['A'])
  const unknown = await upload(service, 'segment/A/users', 'x\n')
  t.same([unknown.status, unknown.headers['x-segments-token']], [400, undefined])
  for (const token of ['', 'x', '1', '1-', '1-x', '1-1;drop', '1-1,', Array(17).fill('1-1').join()]) {
    const answer = await service.get('/api/v1/segments/user/1', { 'x-segments-token': token })
    t.match(answer, { status: 400, code: 'INVALID_REQUEST' }, token)
    t.match(answer.body, { message: /^header \(x-segments-token\) must be up to 16 values/ })
  }
})
