import type { Test } from 'tap'
import { keepPartitions } from '../../src/changes/upkeep.ts'
import { emptyExpiredSlot } from '../../src/database/idempotency-keys.ts'
import { readAllChanges } from './feed.ts'
import { dayFromNow, type TestDatabase, type TestService } from './service.ts'

/** The days of the partitions of the log of changes, as in their names; `default` for the last one. */
export async function listPartitions({ sql }: TestDatabase): Promise<string[]> {
  const rows = await sql<{ day: string }[]>`
    select substr(child.relname, length('changes_') + 1) as day
    from pg_inherits
    join pg_class child on child.oid = inhrelid
    join pg_class parent on parent.oid = inhparent
    where parent.relname = 'changes'
    order by 1`
  return rows.map(({ day }) => day)
}

/** A day as in the name of its partition. */
export function partitionOf(day: string): string {
  return day.replaceAll('-', '')
}

/** Does what the background jobs of the service do with partitions, with the rights of the service, and checks it. */
export async function checkUpkeep(t: Test, service: TestService): Promise<void> {
  const { app, database, sql } = service
  while (await keepPartitions(app.bulk, 1));
  const week = [1, 2, 3, 4, 5, 6, 7].map((days) => partitionOf(dayFromNow(days)))
  t.same(await listPartitions(database), [...week, 'default'], 'partitions are made')

  const [table] = await sql<[{ schema: string }]>`
    select relnamespace::regnamespace::text as schema from pg_class where relname = 'changes'`
  const { schema } = table
  await sql.unsafe(`
    create table ${schema}.changes_20200101 partition of ${schema}.changes
    for values from ('2020-01-01') to ('2020-01-02')`)
  while (await keepPartitions(app.bulk, 0));
  t.same(await listPartitions(database), [...week, 'default'], 'partitions are dropped')
  t.not((await readAllChanges(service, 'start')).changes.length, 0)

  await sql.unsafe(`
    insert into ${schema}.idempotency_keys (slot, id, stored_at, fingerprint, token, status, headers)
    select (floor(extract(epoch from now()) / 86400)::bigint + 1) % 3, sha256('x'), now() - interval '2 days', sha256('x'), '', 200, '{}'`)
  await emptyExpiredSlot(app.bulk)
  const [left] = await sql.unsafe(
    `select count(*)::integer as keys from ${schema}.idempotency_keys where id = sha256('x')`
  )
  t.equal(left?.['keys'], 0, 'slots of idempotency keys are emptied')
}
