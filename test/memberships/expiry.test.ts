import t from 'tap'
import { moved } from '../support/periods.ts'
import { shareService, type TestService } from '../support/service.ts'

type Entry = { slug: string; operation: string; time: string; cause: string; expires_at: string | null }

const ok = { status: 200, body: '' }
const invalid = (message: string) => ({ status: 400, body: { message, code: 'INVALID_REQUEST' } })

const change = (service: TestService, body: object) => service.post('/api/v1/segments/user/1', body)

const emptyService = await shareService(t)

async function beginWith(...slugs: string[]): Promise<TestService> {
  const service = await emptyService()
  for (const slug of slugs) await service.createSegment(slug)
  return service
}

/** Moves the user's history into the past, as if that much time had passed. */
async function pass(service: TestService, interval: string): Promise<void> {
  const earlier = (column: string) => moved(service.sql, column, `-${interval}`)
  await service.sql`
    update memberships
    set added_at = ${earlier('added_at')},
      removed_at = ${earlier('removed_at')},
      expires_at = ${earlier('expires_at')},
      initial_expires_at = ${earlier('initial_expires_at')}`
  await service.sql`
    update expiry_changes
    set set_at = ${earlier('set_at')}, expires_at = ${earlier('expires_at')}`
}

async function timeline(service: TestService): Promise<Entry[]> {
  const { body } = await service.get('/api/v1/segments/user/1/history')
  return (body as { entries: Entry[] }).entries
}

const outline = (entries: Entry[]) => entries.map(({ slug, operation, cause }) => [slug, operation, cause])

t.test('a membership ends at its expiry, without a write', async (t) => {
  const service = await beginWith('TRIAL', 'KEPT')
  t.same(await change(service, { segments_to_add: ['TRIAL'], ttl_seconds: 60 }), ok)
  t.same(await change(service, { segments_to_add: ['KEPT'] }), ok)
  t.same((await service.getSegments(1)).body, ['TRIAL', 'KEPT'])
  t.same(outline(await timeline(service)), [
    ['TRIAL', 'add', 'request'],
    ['KEPT', 'add', 'request']
  ])
  const [trial] = await timeline(service)
  const lifetime = Date.parse(String(trial?.expires_at)) - Date.parse(String(trial?.time))
  t.equal(lifetime, 60_000, 'from the time at which the change took effect')
  t.equal((await service.history(1)).length, 2, 'an expiry in the future is in no report')
  t.match((await service.getSegment('TRIAL')).body, { members: 1 })

  await pass(service, '61 seconds')
  t.same((await service.getSegments(1)).body, ['KEPT'])
  t.match(await service.post('/api/v1/segments/users/query', { user_ids: [1] }), {
    body: { segments: { 1: ['KEPT'] } }
  })
  t.match((await service.getSegment('TRIAL')).body, { members: 0 })
  t.same((await service.get('/api/v1/segment/TRIAL/users')).body, { users: [], next_cursor: null })
  const entries = await timeline(service)
  t.same(outline(entries), [
    ['TRIAL', 'add', 'request'],
    ['KEPT', 'add', 'request'],
    ['TRIAL', 'delete', 'expiry']
  ])
  const [added, , ended] = entries
  t.equal(added?.expires_at, ended?.time, 'to the microsecond')
  t.match((await service.history(1)).at(-1), ['1', 'TRIAL', 'delete', String(ended?.time)])
  t.same(
    await service.sql`select from memberships where removed_at is not null`,
    [],
    'nothing has been written'
  )
})

t.test('an expiry is exact to the millisecond', async (t) => {
  const service = await beginWith('TRIAL')
  const [{ expiry }] = await service.sql<
    [{ expiry: Date }]
  >`select clock_timestamp() + interval '1 second' as expiry`
  await change(service, { segments_to_add: ['TRIAL'], expires_at: expiry.toISOString() })
  let last = ''
  for (;;) {
    const [{ before }] = await service.sql<[{ before: Date }]>`select clock_timestamp() as before`
    const { body } = await service.getSegments(1)
    const [{ after }] = await service.sql<[{ after: Date }]>`select clock_timestamp() as after`
    last = JSON.stringify(body)
    if (after < expiry) t.equal(last, '["TRIAL"]')
    if (before >= expiry) break
  }
  t.equal(last, '[]')
})

t.test('adding a segment that the user is in replaces its expiry', async (t) => {
  const service = await beginWith('A')
  const expiry = async () => (await timeline(service)).at(-1)?.expires_at
  await change(service, { segments_to_add: ['A'] })
  t.equal(await expiry(), null)
  await change(service, { segments_to_add: ['A'], expires_at: '2100-01-01T01:00:00+01:00' })
  t.equal(await expiry(), '2100-01-01T00:00:00.000000Z')
  await change(service, { segments_to_add: ['A'], expires_at: '2099-01-01T00:00:00.123456Z' })
  t.equal(await expiry(), '2099-01-01T00:00:00.123456Z')
  await change(service, { segments_to_add: [], segments_to_delete: [] })
  t.equal(
    await expiry(),
    '2099-01-01T00:00:00.123456Z',
    'a request that does not name the segment leaves the expiry unchanged'
  )
  await change(service, { segments_to_add: ['A'] })
  t.equal(await expiry(), null, 'permanent again')
  t.same((await service.history(1)).length, 1, 'still one period')
})

t.test('adding it after its expiry begins a new period', async (t) => {
  const service = await beginWith('A')
  await change(service, { segments_to_add: ['A'], ttl_seconds: 60 })
  await pass(service, '1 hour')
  await change(service, { segments_to_add: ['A'], ttl_seconds: 60 })
  t.same(outline(await timeline(service)), [
    ['A', 'add', 'request'],
    ['A', 'delete', 'expiry'],
    ['A', 'add', 'request']
  ])
  t.same((await service.getSegments(1)).body, ['A'])
  await pass(service, '1 hour')
  await change(service, { segments_to_delete: ['A'] })
  t.same(
    outline(await timeline(service)).slice(3),
    [['A', 'delete', 'expiry']],
    'not by the request, because it had expired'
  )
})

t.test('a membership ends at the earliest of removal, expiry and deletion of the segment', async (t) => {
  const service = await beginWith('A', 'B')
  await change(service, { segments_to_add: ['A', 'B'], ttl_seconds: 600 })
  await change(service, { segments_to_delete: ['A'] })
  await service.deleteSegment('B')
  await pass(service, '1 hour')
  const anHourEarlier = (column: string) => moved(service.sql, column, '-1 hour')
  await service.sql`
    update segments set deleted_at = ${anHourEarlier('deleted_at')}, created_at = ${anHourEarlier('created_at')}`
  t.same(
    outline(await timeline(service))
      .slice(2)
      .sort(),
    [
      ['A', 'delete', 'request'],
      ['B', 'delete', 'segment_deleted']
    ]
  )
})

t.test('invalid expiries are refused, and change nothing', async (t) => {
  const service = await beginWith('A')
  const time = 'body field (expires_at) must be a time as in RFC 3339, such as 2026-11-23T08:51:00Z'
  const seconds = 'body field (ttl_seconds) must be an integer from 1 to 315360000'
  const passed = {
    status: 400,
    body: { message: 'body field (expires_at) must be in the future', code: 'EXPIRY_PASSED' }
  }
  const both = 'body fields (expires_at, ttl_seconds): only one of them may be given'
  const cases: [object, object][] = [
    [{ expires_at: '2020-01-01T00:00:00Z' }, passed],
    [{ expires_at: new Date().toISOString() }, passed],
    [{ expires_at: '0001-01-01T00:00:00-23:59' }, passed],
    [{ expires_at: '0001-01-01T00:00:00+00:01' }, invalid(time)],
    [{ expires_at: '9999-12-31T23:59:59-00:01' }, invalid(time)],
    [{ expires_at: '2100-02-30T00:00:00Z' }, invalid(time)],
    [{ expires_at: '2100-01-01' }, invalid(time)],
    [{ expires_at: '2100-01-01T00:00:00' }, invalid(time)],
    [{ expires_at: '2100-01-01T24:00:00Z' }, invalid(time)],
    [{ expires_at: '2100-01-01T23:59:60Z' }, invalid(time)],
    [{ expires_at: '2100-01-01T00:00:00+25:00' }, invalid(time)],
    [{ expires_at: '0000-01-01T00:00:00Z' }, invalid(time)],
    [{ expires_at: 'infinity' }, invalid(time)],
    [{ expires_at: false }, {}],
    [{ expires_at: 4102444800 }, {}],
    [{ ttl_seconds: 0 }, invalid(seconds)],
    [{ ttl_seconds: 1.5 }, {}],
    [{ ttl_seconds: 315_360_001 }, invalid(seconds)],
    [{ ttl_seconds: '60' }, {}],
    [{ ttl_seconds: 60, expires_at: '2100-01-01T00:00:00Z' }, invalid(both)]
  ]
  for (const [fields, refusal] of cases) {
    const answer = await change(service, { segments_to_add: ['A'], ...fields })
    t.match(answer, { status: 400, ...refusal }, JSON.stringify(fields))
  }
  t.same(
    await change(service, { segments_to_delete: ['A'], ttl_seconds: 60 }),
    invalid('body field (segments_to_add) must name what is to expire')
  )
  t.equal((await service.getSegments(1)).status, 404)
  t.same(await change(service, { segments_to_add: ['A'], ttl_seconds: 315_360_000 }), ok)
})

t.test('the latest possible time, and the largest offsets', async (t) => {
  const service = await beginWith('A')
  for (const [given, kept] of [
    ['9999-12-31T23:59:59.999999999Z', '9999-12-31T23:59:59.999999Z'],
    ['9999-12-31T00:00:00-23:59', '9999-12-31T23:59:00.000000Z'],
    ['2100-01-02T00:00:00.0000009+23:59', '2100-01-01T00:01:00.000000Z']
  ] as const) {
    t.same(await change(service, { segments_to_add: ['A'], expires_at: given }), ok)
    t.same((await timeline(service)).at(-1)?.expires_at, kept)
    t.match((await service.get('/api/v1/segment/A/users')).body, { users: [{ expires_at: kept }] })
  }
  const url = '/api/v1/segments/user/1'
  for (const time of ['2023-08-01T00:00:00%2B23:59', '2023-08-01T00:00:00-16:00']) {
    t.same(await service.get(`${url}?at=${time}`), { status: 200, body: [] })
    t.match(await service.get(`${url}/history?from=${time}`), { body: { entries: [{ slug: 'A' }] } })
    t.match(await service.get(`${url}/history?to=${time}`), { body: { entries: [] } })
  }
})
