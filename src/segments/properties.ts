/** The properties of segments, and the record of their changes. */
import type { Time } from '../../schemas/common.ts'
import type { RecordedComposition } from '../../schemas/compositions.ts'
import type { SegmentChange } from '../../schemas/segments.ts'
import type { Sql } from '../database/connect.ts'
import { toTimestamp } from '../database/times.ts'

/** The properties of a segment, of which all but `from` can change. Null is the same as absent. */
export type SegmentProperties = {
  selection?: number | null | undefined
  from?: RecordedComposition | undefined
  description?: string | null | undefined
  enroll_new_users?: boolean | undefined
  group?: string | null | undefined
  holdout?: boolean | undefined
}

const NO_CHANGES = '{}'

const names = ['selection', 'from', 'description', 'enroll_new_users', 'group', 'holdout'] as const

/** The properties that differ, each with `from` and `to`, as JSON. Properties that are absent in `to` stay. */
export function describeChanges(from: SegmentProperties, to: SegmentProperties): string {
  const changed = names.filter((name) => to[name] !== undefined && to[name] !== (from[name] ?? null))
  return JSON.stringify(
    Object.fromEntries(changed.map((name) => [name, { from: from[name] ?? null, to: to[name] }]))
  )
}

/**
 * Records a change of a segment, in its history and in the change feed. A change of nothing leaves no trace.
 *
 * @param changes the result of {@link describeChanges}.
 * @param members how the members have changed.
 */
export async function recordChange(
  sql: Sql,
  segmentId: number,
  changes: string,
  { added, removed }: SegmentChange,
  at: Time,
  actor: string | null
): Promise<void> {
  if (changes !== NO_CHANGES)
    await sql`
      insert into changes (type, segment_id, changed_at, actor, changes)
      values ('segment_changed', ${segmentId}, ${toTimestamp(sql, at)}, ${actor}, ${changes}::text::jsonb)`
  if (changes !== NO_CHANGES || added + removed > 0)
    await sql`
      insert into segment_changes (segment_id, operation, changed_at, actor, changes, added, removed)
      values (
        ${segmentId}, 'changed', ${toTimestamp(sql, at)}, ${actor}, ${changes}::text::jsonb, ${added}, ${removed}
      )`
}
