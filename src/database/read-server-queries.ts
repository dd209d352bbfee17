import type { Sql } from './pool.ts'
import {
  type Position,
  parseOffset,
  parseToken,
  type Replayed,
  WRITE_TOKEN,
  type WriteToken
} from './write-tokens.ts'

/** The primary as seen by one check. */
export type PrimaryState = {
  /** The same for a primary and its standbys, and for no other server. */
  cluster: string
  /** Everything that was committed before the check is before this position. */
  position: Position
  /** The names of the standbys that each write waits for until they have replayed it. */
  synchronous: string[]
  /** The start times of all servers of the Citus cluster; empty without Citus. */
  nodes: string[]
}

/** A server that reads may go to, as seen by one statement. */
export type ServerState = {
  /** Identifies the process of the server: when it was started, to the microsecond. */
  startedAt: string
  /** Undefined if the server is not a standby. */
  replayed: Replayed | undefined
}

/**
 * Reads the position of the primary: everything that was committed before is before it.
 *
 * @throws {PostgresError} if the server is not a primary.
 */
export async function selectPosition(sql: Sql): Promise<Position> {
  const [{ token }] = await sql<[{ token: WriteToken }]>`
    select ${sql.unsafe(WRITE_TOKEN)} as token`
  const position = parseToken(token)
  if (!('offset' in position)) throw new Error('a read has got a transaction id')
  return position
}

/**
 * Reads the state of the primary. Without the right to read `pg_stat_replication`, which the role `pg_monitor` has, no
 * standby is known to be synchronous.
 */
export async function selectPrimaryState(sql: Sql): Promise<PrimaryState> {
  const position = await selectPosition(sql)
  const [row] = await sql<[{ cluster: string; synchronous: string[]; has_citus: boolean }]>`
    select
      (select system_identifier::text from pg_control_system()) as cluster,
      (
        select coalesce(json_agg(application_name), '[]')
        from pg_stat_replication
        where current_setting('synchronous_commit') = 'remote_apply'
          and state = 'streaming'
          and sync_state in ('sync', 'quorum')
      ) as synchronous,
      exists (select from pg_extension where extname = 'citus') as has_citus`
  return {
    cluster: row.cluster,
    position,
    synchronous: row.synchronous,
    nodes: row.has_citus ? await selectNodes(sql) : []
  }
}

/** Asks every node of the Citus cluster, the coordinator included, when it was started. */
async function selectNodes(sql: Sql): Promise<string[]> {
  const rows = await sql<{ result: string }[]>`
    select result
    from run_command_on_all_nodes('select extract(epoch from pg_postmaster_start_time())')
    where success`
  return rows.map(({ result }) => result)
}

/**
 * Reads how far a server is. What a later statement reads on the same connection contains at least that.
 *
 * @param transactions the ids to look up.
 */
export async function selectServerState(sql: Sql, transactions: string[]): Promise<ServerState> {
  // PostgreSQL refuses to look up an id that the standby has not heard of yet. The status of a transaction is null if it
  // ended so long ago that its status is no longer kept.
  const [row] = await sql<
    [
      {
        started_at: string
        timeline: number | null
        replayed: string | null
        segment_size: string
        committed: string[]
      }
    ]
  >`
    select
      extract(epoch from pg_postmaster_start_time())::text as started_at,
      case when pg_is_in_recovery() then coalesce(
        (select received_tli from pg_stat_wal_receiver),
        (select timeline_id from pg_control_checkpoint())
      ) end as timeline,
      pg_last_wal_replay_lsn()::text as replayed,
      pg_size_bytes(current_setting('wal_segment_size'))::text as segment_size,
      (
        select coalesce(json_agg(id), '[]')
        from unnest(${transactions}::text[]) as asked (id)
        where case
          when id::xid8 < pg_snapshot_xmax(pg_current_snapshot())
            then coalesce(pg_xact_status(id::xid8), 'committed') = 'committed'
          else false
        end
      ) as committed`
  const { started_at: startedAt, timeline, replayed } = row
  if (timeline === null || replayed === null) return { startedAt, replayed: undefined }
  return {
    startedAt,
    replayed: {
      timeline,
      offset: parseOffset(replayed),
      segmentSize: BigInt(row.segment_size),
      committed: new Set(row.committed)
    }
  }
}

/** What a server says of itself that changes only with a restart or a new connection to its primary. */
export type Identity = {
  /** See {@link PrimaryState}. */
  cluster: string
  /**
   * The name by which a standby is known to its primary. It is undefined if the standby is not connected, or if the role
   * may not read it: the role `pg_monitor` may.
   */
  name: string | undefined
}

export async function selectIdentity(sql: Sql): Promise<Identity> {
  const [{ cluster, conninfo }] = await sql<[{ cluster: string; conninfo: string | null }]>`
    select
      (select system_identifier::text from pg_control_system()) as cluster,
      (select conninfo from pg_stat_wal_receiver) as conninfo`
  const named = /(?:^| )application_name=('(?:\\.|[^'\\])*'|\S+)/.exec(conninfo ?? '')
  const fallback = /(?:^| )fallback_application_name=('(?:\\.|[^'\\])*'|\S+)/.exec(conninfo ?? '')
  const name = (named ?? fallback)?.[1]?.replace(/^'|'$/g, '').replace(/\\(.)/g, '$1')
  return { cluster, name }
}
