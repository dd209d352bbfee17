import { readFile } from 'node:fs/promises'
import t from 'tap'
import { MAX_USERS } from '../../client/src/lookups.ts'
import { readSlug, readUserId } from '../../client/src/names.ts'
import { MAX_TOKENS } from '../../client/src/write-tokens.ts'
import { generateContract } from '../../client/write-contract.ts'
import { QueryUsersBodySchema } from '../../schemas/memberships.ts'
import { WriteTokensHeadersSchema } from '../../schemas/write-tokens.ts'

t.test('the types of the client are those of the OpenAPI document', async (t) => {
  const committed = await readFile(new URL('../../client/src/contract.ts', import.meta.url), 'utf8')
  t.ok(committed === (await generateContract()), 'run `npm run openapi`, and commit client/src/contract.ts')
})

t.test('the client has the bounds of the service', async (t) => {
  t.equal(MAX_USERS, QueryUsersBodySchema.properties.user_ids.maxItems)
  const tokens = new RegExp(WriteTokensHeadersSchema.properties['x-segments-token'].pattern ?? '')
  t.match(Array(MAX_TOKENS).fill('1-1').join(), tokens)
  t.notMatch(
    Array(MAX_TOKENS + 1)
      .fill('1-1')
      .join(),
    tokens
  )
})

t.test('the client refuses ids and slugs that the service would refuse', async (t) => {
  for (const id of [1, '1', 1n, 2 ** 53 - 1, 2n ** 63n - 1n, '9223372036854775807']) {
    t.equal(readUserId(id), String(id))
  }
  for (const id of [0, -1, 1.5, 2 ** 53, Number.NaN, '', '01', '1 ', '1/x', '..', 2n ** 63n, 0n]) {
    t.throws(() => readUserId(id), TypeError, String(id))
  }
  for (const slug of ['A', 'a.b-c_d', '0', 'A'.repeat(128)]) t.equal(readSlug(slug), slug)
  for (const slug of ['', '.', '..', 'a/b', 'a?b', 'ä', '_A', 'A'.repeat(129)]) {
    t.throws(() => readSlug(slug), TypeError, slug)
  }
})
