import type { Test } from 'tap'
import type { Sql } from '../../src/database/connect.ts'
import { createDatabase, type TestDatabase, type TestService } from './service.ts'

/** Adds user 1 to a new segment A for one period with the given start and end. */
export async function addPeriod(
  service: TestService,
  added: string,
  removed: string | null = null
): Promise<TestService> {
  await service.createSegment('A')
  await service.changeSegments(1)
  // As text, because the driver converts a timestamp to a Date, which has no microseconds.
  await service.sql`
    insert into memberships (user_id, segment_id, added_at, removed_at)
    select 1, id, ${added}::text::timestamptz, ${removed}::text::timestamptz from segments`
  return service
}

/**
 * A column's time, moved by an interval such as `-1 hour`. In an update of a distributed table, Citus accepts no sum of a
 * column with a time zone and an interval, because such a sum depends on settings of the session.
 */
export function moved(sql: Sql, column: string, by: string) {
  return sql`((${sql(column)} at time zone 'utc' + ${by}::interval) at time zone 'utc')`
}

/** A database with user 1 in that many segments, S1, S2 and so on, joined one second after the other from midnight. */
export async function createPeriods(t: Test, count: number): Promise<TestDatabase> {
  const database = await createDatabase(t)
  await database.sql`insert into users values (1)`
  await database.sql`insert into segments (id, slug) select n, 'S' || n from generate_series(1, ${count}::integer) n`
  await database.sql`
    insert into memberships (user_id, segment_id, added_at)
    select 1, id, '2023-08-01T00:00:00Z'::timestamptz + id * interval '1 second' from segments`
  return database
}
