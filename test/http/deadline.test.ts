import t from 'tap'
import { countBlocked, holdTable } from '../support/locks.ts'
import { startService, waitUntil } from '../support/service.ts'

const overdue = {
  statusCode: 503,
  retryAfter: '1',
  body: { message: 'the request could not be answered in time, try again later', code: 'DEADLINE_EXCEEDED' }
}

/** The number of changes that are written at once. */
const WRITE_CONNECTIONS = 16

t.test('a probe that waits for a lock is answered with 503 before the lock timeout', async (t) => {
  const service = await startService(t)
  const release = await holdTable(t, service.database, 'pgmigrations')
  const { statusCode, headers, ...answer } = await service.app.inject('/health/ready')
  t.same({ statusCode, retryAfter: headers['retry-after'], body: answer.json() }, overdue)
  await release()
  t.equal((await service.app.inject('/health/ready')).statusCode, 200)
})

t.test('a change that waits behind others that wait for a lock is answered with 503 in time', async (t) => {
  const service = await startService(t)
  await service.createSegment('A')
  await service.changeSegments(1)
  const release = await holdTable(t, service.database, 'memberships')
  // Each one is cancelled after four seconds, so the third one on a connection starts after eight.
  const changes = Array.from({ length: 3 * WRITE_CONNECTIONS }, async () => {
    const { statusCode, headers, ...answer } = await service.app.inject({
      method: 'POST',
      url: '/api/v1/segments/user/1',
      body: { segments_to_add: ['A'] }
    })
    return { statusCode, retryAfter: headers['retry-after'], body: answer.json() }
  })
  const answers = await Promise.all(changes.slice(-WRITE_CONNECTIONS))
  for (const answer of answers) t.same(answer, overdue)
  for (const answer of await Promise.all(changes))
    t.match(answer, {
      statusCode: 503,
      retryAfter: '1',
      body: { code: /^(LOCK_TIMEOUT|DATABASE_UNAVAILABLE|DEADLINE_EXCEEDED)$/ }
    })

  await release()
  await waitUntil(
    () => countBlocked(service.database),
    (blocked) => blocked === 0
  )
  t.equal((await service.changeSegments(1)).status, 200, 'then other requests are answered again')
})
