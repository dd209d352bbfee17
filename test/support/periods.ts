import type { Test } from 'tap'
import { startService, type TestService } from './service.ts'

/** A service with the segment A and the user 1, who has one period in it, with the given start and end. */
export async function startServiceWithPeriod(
  t: Test,
  added: string,
  removed: string | null
): Promise<TestService> {
  const service = await startService(t)
  await service.createSegment('A')
  await service.changeSegments(1)
  // By way of text, as the driver makes a Date of a timestamp, which has no microseconds.
  await service.sql`
    insert into memberships (user_id, segment_id, added_at, removed_at)
    select 1, id, ${added}::text::timestamptz, ${removed}::text::timestamptz from segments`
  return service
}
