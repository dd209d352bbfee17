import type { Test } from 'tap'
import { readAllChanges } from './feed.ts'
import { dayFromNow, type TestService, waitUntil } from './service.ts'
import { upload } from './uploads.ts'

/** Uses every kind of statement of the service on an empty database, through HTTP, and checks the results. */
export async function checkService(t: Test, service: TestService): Promise<void> {
  const ok = async (answer: Promise<{ status: number; text: string }>, step: string) => {
    const { status, text } = await answer
    t.equal(status, 200, `${step}: ${text.slice(0, 200)}`)
  }
  t.same((await service.get('/health/ready')).body, { status: 'ready' })

  await ok(service.createSegment('istanbul_1'), 'create a segment')
  await ok(
    upload(
      service,
      'segment/ISTANBUL_1/users',
      Array.from({ length: 100 }, (_, id) => `${id + 1}\n`).join('')
    ),
    'upload'
  )
  await ok(service.createSegment('ALL', 1), 'create a share')
  await ok(
    service
      .post('/api/v1/segment', { slug: 'BACKGROUND', selection: 1 }, { prefer: 'respond-async' })
      .then(({ status, text }) => ({ status: status === 202 ? 200 : status, text })),
    'create a share in the background'
  )
  await waitUntil(
    () => service.getSegment('BACKGROUND'),
    ({ body }) => (body as { members: number }).members === 100
  )
  for (const slug of ['ISTANBUL_1', 'ALL'])
    t.match((await service.getSegment(slug)).body, { slug, members: 100 }, 'every known user is a member')
  await ok(service.patchSegment('ALL', { description: 'Новая Акция', selection: 0.5 }), 'change a share')
  t.match((await service.getSegment('ALL')).body, { members: 50 })
  for (const [text, slugs] of [
    ['istanbul', ['ISTANBUL_1']],
    ['акция', ['ALL']],
    ['НОВАЯ', ['ALL']],
    ['ı', []]
  ] as const) {
    const { body } = await service.get(`/api/v1/segments?q=${encodeURIComponent(text)}`)
    t.same(
      (body as { segments: { slug: string }[] }).segments.map(({ slug }) => slug),
      slugs,
      `q=${text}`
    )
  }

  await ok(service.changeSegments(1000, ['ISTANBUL_1']), 'add a new user')
  await ok(service.changeSegments(1000, [], ['ISTANBUL_1']), 'remove a user')
  t.same((await service.getSegments(1000)).body, [])
  t.equal((await service.querySegments([1, 1000])).status, 200)
  t.match((await service.get('/api/v1/segments/user/1000/history')).body, {
    entries: [{ operation: 'add' }, { operation: 'delete' }]
  })
  t.equal((await service.get('/api/v1/segment/ISTANBUL_1/users.csv')).text.split('\n').length, 102)
  t.equal(
    await countEntries(service, service.orderReport(1000, dayFromNow(0), dayFromNow(1))),
    2,
    'report of today'
  )
  t.equal(
    await countEntries(service, service.orderReport(1000, dayFromNow(-7), dayFromNow(0))),
    0,
    'report of last week'
  )
  await ok(service.deleteSegment('ALL'), 'delete a segment')
  const all = service.orderReportOfAll({ from: dayFromNow(0), to: dayFromNow(1) })
  t.equal(await countEntries(service, all), 402, 'report of all')
  const keyed = { segments_to_add: ['ISTANBUL_1', { slug: 'BACKGROUND', ttl_seconds: 3600 }] }
  for (const _ of [1, 2])
    await ok(
      service.post('/api/v1/segments/user/1001', keyed, { 'idempotency-key': 'smoke' }),
      'change a user with an idempotency key'
    )
  t.equal((await service.request({ method: 'DELETE', url: '/api/v1/users/1001' })).status, 204)
  t.match((await readAllChanges(service, 'start')).changes.at(-1), { type: 'user_erased', user_id: '1001' })
  t.equal((await service.get('/metrics')).status, 200)
  await checkGroups(t, service)
}

/** The statements for exclusive groups. */
async function checkGroups(t: Test, service: TestService): Promise<void> {
  const ok = { status: 200, body: '' }
  t.same(await service.post('/api/v1/groups', { slug: 'GROUP' }), ok)
  const share = { group: 'GROUP', selection: 0.5, enroll_new_users: true }
  t.same(await service.post('/api/v1/segment', { slug: 'ONE', ...share }), ok)
  t.same(await service.post('/api/v1/segment', { slug: 'OTHER', ...share, selection: 0.2 }), ok)
  t.match(await service.patchSegment('OTHER', { selection: 0.4 }), { status: 200 })
  t.match((await service.patchSegment('OTHER', { selection: 0.9 })).body, { code: 'GROUP_EXHAUSTED' })
  t.match((await service.patchSegment('ISTANBUL_1', { group: 'GROUP' })).body, { code: 'GROUP_CONFLICT' })
  const later = { slug: 'LATER', group: 'GROUP', selection: 0.05 }
  t.equal((await service.post('/api/v1/segment', later, { prefer: 'respond-async' })).status, 202)
  await waitUntil(
    () => service.getSegment('LATER'),
    ({ body }) => (body as { members: number }).members === 6
  )
  await upload(service, 'users', '3000\n3001\n')
  await service.changeSegments(3002)
  await service.changeSegments(3003, ['ONE'])
  t.equal((await service.changeSegments(3003, ['OTHER'])).code, 'GROUP_CONFLICT')
  t.same(await service.post('/api/v1/segments/user/3003', { segments_to_add: ['OTHER'], move: true }), ok)
  const rejected = await upload(service, 'segment/ONE/users', '3003\n3004\n', { query: '?on_error=skip' })
  t.match(rejected.body, { added: 1, rejected: { count: 1 } }, rejected.text)
  const flag = { context: { targetingKey: '3003' } }
  t.match((await service.post('/ofrep/v1/evaluate/flags/GROUP', flag)).body, { value: 'OTHER' })
  t.match((await service.get('/api/v1/groups/GROUP')).body, { users: 106, segments: { length: 3 } })
  t.match((await service.get('/api/v1/groups/GROUP/overlap')).body, { overlaps: { length: 3 } })
  t.match((await service.get('/api/v1/groups')).body, { groups: [{ slug: 'GROUP' }] })
  t.same(await service.request({ method: 'DELETE', url: '/api/v1/groups/GROUP' }), ok)
}

async function countEntries(service: TestService, order: ReturnType<TestService['orderReport']>) {
  const taken = await order
  const report = await waitUntil(
    () => service.fetchReport(taken),
    ({ code }) => code !== 'REPORT_PENDING'
  )
  return report.text.split('\n').length - 2
}
