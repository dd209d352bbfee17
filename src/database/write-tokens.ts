/**
 * The tokens of writes, by which a server can say whether it has seen a write. A token is `timeline-transaction`, such as
 * `1-748`, or, if the transaction had nothing to write, `timeline-position`, such as `1-0/3420038`: the position of the
 * write-ahead log, before which everything is that the transaction saw.
 *
 * The timeline, a hexadecimal number, increases with each failover. Without it, a standby that has followed the old
 * primary for longer than the new one could take another transaction for the write, as the new primary gives the same
 * ids again.
 */
import type { Sql } from './pool.ts'

/** The token of a write. The schema of the header checks its form. */
export type WriteToken = string

/**
 * The SQL expression of the token of the current transaction, on the primary. It must be evaluated after the
 * transaction has written.
 *
 * A transaction that writes nothing gets no id: each id costs a record of the log, and ids are used up.
 */
export const WRITE_TOKEN = `
  ltrim(left(pg_walfile_name(pg_current_wal_insert_lsn()), 8), '0') || '-' ||
  coalesce(pg_current_xact_id_if_assigned()::text, pg_current_wal_insert_lsn()::text)`

/** {@link WRITE_TOKEN} as a part of a statement. */
export function writeToken(sql: Sql) {
  return sql.unsafe<WriteToken[]>(WRITE_TOKEN)
}

/** A position of the write-ahead log. */
export type Position = { timeline: number; offset: bigint }

/** How far a server has replayed the log, and which transactions are committed on it. */
export type Replayed = Position & {
  /** Bytes of a file of the log. */
  segmentSize: bigint
  /** The ids of those transactions that were asked for and are committed. */
  committed: ReadonlySet<string>
}

/** Parses a position as PostgreSQL writes it, such as `0/3420038`, to bytes. */
export function parseOffset(text: string): bigint {
  const [high = '', low = ''] = text.split('/')
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`)
}

type ParsedToken = { timeline: number; transaction: string } | Position

export function parseToken(token: WriteToken): ParsedToken {
  const [timeline = '', rest = ''] = token.split('-')
  const parsed = { timeline: Number.parseInt(timeline, 16) }
  return rest.includes('/') ? { ...parsed, offset: parseOffset(rest) } : { ...parsed, transaction: rest }
}

/** Bytes of a page of the log, of the header of a page, and of that of the first page of a file. */
const PAGE = 8192n
const PAGE_HEADER = 24n
const FILE_HEADER = 40n

/**
 * Whether a server has replayed everything before a position.
 *
 * At the end of a page, the primary's position is that of the next record, after the header of the next page, while a
 * standby has only replayed up to the end of the page. An idle primary may be there for hours.
 */
export function hasReached(replayed: Replayed, { timeline, offset }: Position): boolean {
  if (replayed.timeline < timeline) return false
  if (replayed.offset >= offset) return true
  const header = replayed.offset % replayed.segmentSize === 0n ? FILE_HEADER : PAGE_HEADER
  return replayed.offset % PAGE === 0n && offset - replayed.offset === header
}

/** Whether a server has seen the write of a token. */
export function hasSeen(replayed: Replayed, token: WriteToken): boolean {
  const parsed = parseToken(token)
  if ('offset' in parsed) return hasReached(replayed, parsed)
  return replayed.timeline >= parsed.timeline && replayed.committed.has(parsed.transaction)
}
