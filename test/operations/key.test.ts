import t from 'tap'
import { roles } from '../../src/http/api-keys.ts'
import { configureKeys, makeKey } from '../support/keys.ts'
import { createDatabase, startService, startServiceOn } from '../support/service.ts'

const URL = '/api/v1/key'

t.test('a caller learns the name and the role of its key', async (t) => {
  const keys = roles.map((role) => makeKey(`${role}-1`, role))
  const service = await startService(t, { API_KEYS: configureKeys(...keys) })
  for (const [index, role] of roles.entries()) {
    const answer = await service.app.inject({ url: URL, headers: keys[index]?.headers ?? {} })
    t.same([answer.statusCode, answer.json()], [200, { name: `${role}-1`, role }])
    t.equal(answer.headers['cache-control'], 'no-store', 'a cache must not tell it to other callers')
  }
  t.match(await service.get(URL), { status: 401, code: 'UNAUTHENTICATED' })
})

t.test('without keys, every caller may do everything, whatever it sends', async (t) => {
  const service = await startService(t)
  const { headers } = makeKey('stranger', 'reader')
  for (const sent of [{}, headers]) {
    const answer = await service.app.inject({ url: URL, headers: sent })
    t.same([answer.statusCode, answer.json()], [200, { name: null, role: 'admin' }])
  }
})

t.test('it answers without the database', async (t) => {
  const { url, sql } = await createDatabase(t)
  const unreachable = { url: url.replace(/:\d+\//, ':1/'), sql }
  const service = await startServiceOn(t, unreachable)
  t.match(await service.get('/health/ready'), { status: 503 })
  t.match(await service.get(URL), { status: 200, body: { role: 'admin' } })
})
