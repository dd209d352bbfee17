import type pg from 'pg'
import { ConfigError } from '../config-error.ts'
import { HAS_CITUS } from './session-settings.ts'

/**
 * The tables with one user in each row, and the column of the user's id. They are distributed by it and co-located, so
 * each statement about one user needs one shard, and joins of these tables need no other node.
 *
 * Every unique key of such a table has to contain the column, and such a table can't have triggers.
 */
const DISTRIBUTED: Record<string, string> = {
  users: 'id',
  memberships: 'user_id',
  expiry_changes: 'user_id',
  assignment_exceptions: 'user_id',
  import_lines: 'user_id'
}

/**
 * The tables that are copied to every node, because statements join them with distributed tables, or are sent to any node.
 * All other tables are local to the coordinator.
 */
const REFERENCE = ['segments', 'exclusive_groups']

/** Whether the tables have been distributed. */
export async function isDistributed(client: pg.Client): Promise<boolean> {
  return (await hasCitus(client)) && (await listDistributed(client)).includes('users')
}

async function hasCitus(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<{ found: boolean }>(`select ${HAS_CITUS} as found`)
  return rows[0]?.found === true
}

/** Lists the tables of the service that are distributed or reference tables. */
async function listDistributed(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select relname as name
    from pg_dist_partition
    join pg_class on pg_class.oid = logicalrelid
    where relnamespace = current_schema()::regnamespace`
  )
  return rows.map(({ name }) => name)
}

/**
 * Distributes the tables that are not distributed yet, with their rows, in one transaction.
 *
 * @returns what was done, one line a table.
 * @throws {ConfigError} if the database is not on the coordinator of a Citus cluster with at least one node.
 */
export async function distributeTables(client: pg.Client): Promise<string[]> {
  await checkCluster(client)
  await client.query('begin')
  // The lock serializes concurrent calls.
  await client.query('lock table pgmigrations in share row exclusive mode')
  const done = await listDistributed(client)
  const lines: string[] = []
  for (const [table, column] of Object.entries(DISTRIBUTED)) {
    if (done.includes(table)) continue
    const colocateWith = table === 'users' ? 'none' : 'users'
    await client.query('select create_distributed_table($1, $2, colocate_with => $3)', [
      table,
      column,
      colocateWith
    ])
    // Citus copies the rows to the shards and keeps the originals, which no statement can see.
    await client.query('select truncate_local_data_after_distributing_table($1)', [table])
    lines.push(`${table}: distributed by ${column}`)
  }
  for (const table of REFERENCE) {
    if (done.includes(table)) continue
    await client.query('select create_reference_table($1)', [table])
    await client.query('select truncate_local_data_after_distributing_table($1)', [table])
    lines.push(`${table}: copied to every node`)
  }
  if (!done.includes('users')) await limitConnections(client)
  await client.query('commit')
  // Otherwise the nodes would plan without statistics until autovacuum analyzes the shards.
  if (lines.length > 0) await client.query(`analyze ${[...Object.keys(DISTRIBUTED), ...REFERENCE].join()}`)
  return lines
}

/**
 * Makes each statement use one connection to each worker. By default, one that needs every shard opens up to 16 and closes
 * them again: storing 2,000 lines of an upload took 840 ms instead of 30. It is a default of the database on all nodes,
 * which an operator may change.
 */
async function limitConnections(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ statement: string }>(`
    select format('alter database %I set citus.max_adaptive_executor_pool_size = 1', current_database()) as statement`)
  for (const { statement } of rows) await client.query(statement)
}

async function checkCluster(client: pg.Client): Promise<void> {
  if (!(await hasCitus(client)))
    throw new ConfigError('The database has no extension citus: use the coordinator of a Citus cluster')
  const { rows } = await client.query<{ isCoordinator: boolean; hasNodes: boolean }>(`
    select
      citus_is_coordinator() as "isCoordinator",
      exists (select from pg_dist_node where isactive and shouldhaveshards) as "hasNodes"`)
  if (!rows[0]?.isCoordinator) throw new ConfigError('The server is a Citus worker: use the coordinator')
  if (!rows[0].hasNodes)
    throw new ConfigError('The Citus cluster has no workers: add them with `select citus_add_node(…)`')
}
