/** The forms of SQL that the ordinary tests look for are refused by the Citus of this cluster, with these messages. */
import t from 'tap'
import { refusedForms } from '../support/citus-forms.ts'
import { createDatabase } from '../support/service.ts'

t.test('Citus refuses each form', async (t) => {
  const { sql } = await createDatabase(t)
  await sql`insert into users (id) values (1), (2)`
  await sql`insert into segments (slug) values ('A')`
  await sql`insert into memberships (user_id, segment_id) values (1, 1), (2, 1)`
  for (const { name, example, message } of refusedForms)
    await t.rejects(sql.unsafe(example), { message }, name)
})

t.test('Citus refuses a generic plan of a statement that is not a simple one on one shard', async (t) => {
  const { sql } = await createDatabase(t)
  const connection = await sql.reserve()
  await connection`set plan_cache_mode = force_generic_plan`
  const read = (ids: string[]) => connection`select id from users where id = any (${ids}::bigint[])`
  await t.rejects(read(['1']), { message: 'could not create distributed plan' })
  await connection`set plan_cache_mode = auto`
  t.same(await read(['1']), [])
  connection.release()
})
