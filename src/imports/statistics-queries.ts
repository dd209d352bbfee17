/** The statistics by which PostgreSQL plans the joins of uploads. */
import type { Pool } from '../database/connect.ts'

/** By how many bytes a table may grow before its statistics count as outdated: about ten thousand memberships. */
const SMALL_GROWTH = 1_000_000

/**
 * Renews the statistics of memberships if the table has doubled since they were made. PostgreSQL does so itself, but up to a
 * minute later. Until then it expects a single member in a segment that has just been uploaded, and may compare each member
 * with each line of the next upload.
 *
 * A role that does not own the table may not: PostgreSQL then answers with a warning. On Citus, it is for the workers to do.
 */
export async function renewStatistics(pool: Pool): Promise<void> {
  const [{ is_outdated }] = await pool<[{ is_outdated: boolean }]>`
    select pg_relation_size(oid) > ${SMALL_GROWTH} + 2 * relpages * current_setting('block_size')::bigint as is_outdated
    from pg_class
    where oid = 'memberships'::regclass`
  if (is_outdated) await pool`analyze memberships`
}
