import { h } from 'preact'
import type { Segment } from '../../client/src/index.ts'
import { Tag } from '../components/values.ts'
import { t } from '../texts.ts'

/** What is out of the ordinary with a segment: deleted, being filled, not filled. */
export function SegmentState({
  segment: { deleted_at, assignment }
}: {
  segment: Pick<Segment, 'deleted_at' | 'assignment'>
}) {
  if (deleted_at !== null) return h(Tag, { kind: 'bad', children: t.segments.deleted })
  if (assignment?.status === 'queued' || assignment?.status === 'running') {
    return h(Tag, { kind: 'accent', children: t.segments.filling })
  }
  if (assignment?.status === 'failed') return h(Tag, { kind: 'bad', children: t.segments.failed })
  return null
}
