import t from 'tap'
import { parseHistory, replay } from '../support/history.ts'
import { countBlocked } from '../support/locks.ts'
import { dayFromNow, shareService, startServiceOn, type TestService, waitUntil } from '../support/service.ts'

async function activeSlugs(service: TestService, userId: number): Promise<string[]> {
  const { body } = await service.getSegments(userId)
  return (body as string[]).toSorted()
}

const emptyService = await shareService(t)

t.test(
  "when 64 clients change one user's segments at once, the history agrees with the active segments",
  async (t) => {
    const first = await emptyService()
    const instances = [first, await startServiceOn(t, first.database)]
    const slugs = ['A', 'B', 'C', 'D', 'E']
    for (const slug of slugs) await first.createSegment(slug)

    const clients = Array.from({ length: 64 }, async (_, client) => {
      const service = instances[client % 2] ?? first
      for (let call = 0; call < 10; call += 1) {
        const add = slugs[(client + call) % 5] ?? ''
        const remove = slugs[(client * 3 + call * 2 + 1) % 5] ?? ''
        const answer = await service.changeSegments(1, [add], add === remove ? [] : [remove])
        if (answer.status !== 200) throw new Error(JSON.stringify(answer))
      }
    })
    await Promise.all(clients)

    const { body } = await first.makeReport(1, '1970-01-01', dayFromNow(1))
    const history = parseHistory(String(body))
    t.ok(history.length > 100, `${history.length} entries`)
    t.same(replay(history), await activeSlugs(first, 1))
    const overlaps = await first.sql`
    select a.* from memberships a join memberships b using (user_id, segment_id)
    where a.added_at < b.added_at and (a.removed_at is null or a.removed_at > b.added_at)`
    t.same(overlaps, [])
  }
)

t.test('opposite changes of two segments never leave a user in both', async (t) => {
  const service = await emptyService()
  await service.createSegment('A')
  await service.createSegment('B')
  for (let round = 0; round < 100; round += 1) {
    const user = 1 + (round % 7)
    await Promise.all([
      service.changeSegments(user, ['A'], ['B']),
      service.changeSegments(user, ['B'], ['A']),
      service.changeSegments(user, ['A'], ['B']),
      service.changeSegments(user, ['B'], ['A'])
    ])
    t.equal((await activeSlugs(service, user)).length, 1, `round ${round}`)
  }
  for (let user = 1; user <= 7; user += 1) {
    const active = new Set<string>()
    for (const [, slug = '', operation] of await service.history(user)) {
      if (operation === 'add') active.add(slug)
      else active.delete(slug)
      t.ok(active.size <= 1, 'never in both during the history')
    }
  }
})

t.test('if a segment is deleted while users join, every membership ends at the deletion', async (t) => {
  const service = await emptyService()
  for (let round = 0; round < 20; round += 1) {
    const slug = `BRIEF_${round}`
    await service.createSegment(slug)
    const entering = Array.from({ length: 20 }, (_, n) => service.changeSegments(1 + n, [slug]))
    const [deleted, ...entered] = await Promise.all([service.deleteSegment(slug), ...entering])
    t.equal(deleted.status, 200)
    t.ok(entered.every(({ status }) => status === 200 || status === 404))
    const [counts] = await service.sql`
      select
        count(*)::integer as periods,
        count(*) filter (where active)::integer as active,
        count(*) filter (where periods.ended_at is distinct from deleted_at or added_at > deleted_at)::integer as wrong
      from periods
      join period_starts using (user_id, segment_id, added_at)
      where periods.slug = ${slug}`
    const answered = entered.filter(({ status }) => status === 200).length
    t.same(counts, { periods: answered, active: 0, wrong: 0 })
  }
})

t.test('a change ignores a segment that it has not locked', async (t) => {
  const service = await emptyService()
  await service.createSegment('OLD')
  const holder = await service.sql.reserve()
  await holder`select pg_advisory_lock(1, id) from segments where slug = 'OLD'`
  const change = service.changeSegments(1, ['OLD', 'NEW'])
  await waitUntil(
    () => countBlocked(service.database),
    (blocked) => blocked === 1
  )
  await service.createSegment('NEW')
  await holder`select pg_advisory_unlock(1, id) from segments where slug = 'OLD'`
  holder.release()
  t.equal((await change).status, 404)
  t.equal((await service.getSegments(1)).status, 404, 'nothing has changed')
  t.equal((await service.changeSegments(1, ['OLD', 'NEW'])).status, 200)
})
