import { moved } from '../../support/periods.ts'
import { parseTime, writeTime } from './moment.ts'
import { settleFillings } from './settle.ts'
import type { World } from './world.ts'

/**
 * Lets days pass: moves everything that has happened so far into the past.
 *
 * @param toMidnight moves it further, so that the last change of a membership was at midnight, to the microsecond.
 */
export async function letTimePass(
  world: World,
  { days, toMidnight }: { days: number; toMidnight: boolean }
): Promise<void> {
  await settleFillings(world)
  await world.followers.catchUp(world.service)
  const passed = await world.rewrite(async (sql) => {
    const [{ microseconds }] = await sql<[{ microseconds: string }]>`
      select
        ${days}::bigint * 86400000000
          + case when ${toMidnight} then coalesce((extract(epoch from last) * 1000000)::bigint % 86400000000, 0) else 0 end
          as microseconds
      from (select max(greatest(added_at, removed_at)) as last from memberships) changes`
    const columns = await sql<{ table: string; column: string }[]>`
      select table_name as "table", column_name as "column"
      from information_schema.columns
      join information_schema.tables using (table_schema, table_name)
      where table_schema = 'public'
        and table_type = 'BASE TABLE'
        and data_type = 'timestamp with time zone'
        -- Cursors of the change feed name its rows by their time.
        and table_name not like 'changes%'`
    // In two moves, far back and forth again: with one move, a period could collide with another one's unique key.
    for (const by of [`-24000 hours -${microseconds} microseconds`, '24000 hours'])
      for (const [table, times] of Map.groupBy(columns, (column) => column.table))
        await sql`
          update ${sql(table)}
          set ${times.map(({ column }, n) => sql`${n === 0 ? sql`` : sql`,`} ${sql(column)} = ${moved(sql, column, by)}`)}`
    await sql`
      update segments
      set composition = jsonb_set(
        composition,
        '{at}',
        to_jsonb(
          to_char(
            (composition ->> 'at')::timestamp - ${microseconds}::bigint * interval '1 microsecond',
            'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
          )
        )
      )
      where composition is not null`
    return BigInt(microseconds)
  })
  world.model.moveBack(passed)
  world.followers.moveExpiries((time) => writeTime(parseTime(time) - passed))
  world.model.expire(await world.now())
}
