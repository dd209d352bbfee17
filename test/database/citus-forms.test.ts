/** The SQL of the service against the forms that Citus refuses. `npm run test:citus` asks Citus itself. */
import t from 'tap'
import { refusedForms } from '../support/citus-forms.ts'
import { readStatements } from '../support/statements.ts'

t.test('no statement has a form that Citus refuses', async (t) => {
  const statements = await readStatements()
  for (const { name, pattern, message } of refusedForms)
    t.same(
      statements.filter(({ text }) => pattern.test(text)),
      [],
      `${name}: ${message}`
    )
})

t.test(
  'no statement relies on the order of a subquery: Citus returns one shard after the other',
  async (t) => {
    const endsInOrder =
      /\bfrom (?:users|memberships|expiry_changes|(?:\w+_)?periods|history)\b.*\border by (?:(?!\blimit\b)[^()])*\) \w+$/
    const statements = await readStatements()
    t.same(
      statements.filter(({ text }) => endsInOrder.test(text)),
      []
    )
    t.match('select id from (select id from users order by id) ordered', endsInOrder)
  }
)

t.test('the statements are read completely, with the parts that are defined elsewhere', async (t) => {
  const texts = (await readStatements()).map(({ text }) => text)
  t.ok(texts.length > 150, `${texts.length} statements`)
  for (const known of [
    /^with changed as \( insert into memberships .* from \( select id from \(.* select user_id as id from period_starts .* order by random\(\) limit \$ \) sampled order by id returning /,
    /^with chunks as \( insert into assignment_chunks .* random\(\) < \$/,
    /^update memberships set removed_at = case .* where user_id = p_user_id/,
    /^create view history as /
  ])
    t.ok(
      texts.some((text) => known.test(text)),
      String(known)
    )
})

t.test('each form is found in its example', async (t) => {
  for (const { name, pattern, example } of refusedForms) t.match(example, pattern, name)
})
