import { randomBytes } from 'node:crypto'
import postgres from 'postgres'
import { distribute } from '../../src/database/distribute.ts'
import { migrate } from '../../src/database/migrate.ts'

/** A database that exists on every node of a Citus cluster. */
export type ClusterDatabase = {
  /** Its URL on the coordinator. */
  url: string
  /** Its URLs on the workers. */
  workerUrls: string[]
  /** Drops it on every node. */
  drop(): Promise<void>
}

/**
 * Creates a database on a Citus cluster. It has the extension and knows the workers, but has no tables.
 *
 * @param coordinatorUrl a database of the coordinator to which the workers have been added. The tests connect to the
 * addresses that `pg_dist_node` has for them.
 */
export async function createClusterDatabase(
  coordinatorUrl: string,
  // Each shard is a table with its indexes: with Citus's default of 32, a test would take several times as long.
  shards = 4
): Promise<ClusterDatabase> {
  const name = `test_${randomBytes(8).toString('hex')}`
  const coordinator = postgres(coordinatorUrl, { max: 1, onnotice: () => {} })
  const nodes = await coordinator<{ nodename: string; nodeport: number; groupid: number }[]>`
    select nodename, nodeport, groupid from pg_dist_node where isactive order by groupid`
  await coordinator.end()
  const urlOn = ({ nodename, nodeport }: { nodename: string; nodeport: number }, database: string) => {
    const url = new URL(coordinatorUrl)
    url.hostname = nodename
    url.port = String(nodeport)
    url.pathname = `/${database}`
    return url.href
  }
  const run = async (url: string, ...statements: string[]) => {
    const sql = postgres(url, { max: 1, onnotice: () => {} })
    for (const statement of statements) await sql.unsafe(statement)
    await sql.end()
  }
  await Promise.all(
    nodes.map(async (node) => {
      await run(urlOn(node, 'postgres'), `create database ${name} template template0`)
      await run(urlOn(node, name), 'create extension citus')
    })
  )
  const [first, ...workers] = nodes
  if (first?.groupid !== 0 || workers.length === 0)
    throw new Error(
      'CITUS_URL must name the coordinator of a cluster with workers, which knows its own address'
    )
  await run(
    urlOn(first, name),
    `select citus_set_coordinator_host('${first.nodename}', ${first.nodeport})`,
    ...workers.map(({ nodename, nodeport }) => `select citus_add_node('${nodename}', ${nodeport})`),
    `alter database ${name} set citus.shard_count = ${shards}`
  )
  return {
    url: urlOn(first, name),
    workerUrls: workers.map((worker) => urlOn(worker, name)),
    drop: async () => {
      for (const node of nodes) await run(urlOn(node, 'postgres'), `drop database ${name} with (force)`)
    }
  }
}

/** Creates a database on a Citus cluster, with the tables of the service distributed. */
export async function createDistributedDatabase(coordinatorUrl: string): Promise<ClusterDatabase> {
  const database = await createClusterDatabase(coordinatorUrl)
  await migrate(database.url)
  await distribute(database.url)
  return database
}
