import fp from 'fastify-plugin'
import {
  BULK_CONNECTIONS,
  BULK_LOCK_TIMEOUT_MS,
  BULK_STATEMENT_TIMEOUT_MS,
  CHANGE_CONNECTIONS,
  IDLE_CONNECTION_TIMEOUT_MS,
  LIST_CONNECTIONS,
  LOCK_TIMEOUT_MS,
  POOL_CLOSE_TIMEOUT_SECONDS,
  PROBE_CONNECTIONS,
  READ_CONNECTIONS,
  STATEMENT_TIMEOUT_MS,
  WRITE_CONNECTIONS
} from '../limits.ts'
import { connectDatabase, type Pool } from './connect.ts'
import { nameConnections } from './instance.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** For reads that take milliseconds and wait for no lock. */
    reads: Pool
    /** For writes that take milliseconds, unless they wait for another write of the same user or segment. */
    writes: Pool
    /**
     * For statements that may read all users, or wait for such statements: creating and changing segments, uploads,
     * downloads, background jobs.
     */
    bulk: Pool
    /** For reads that list segments or members, or count members. */
    lists: Pool
    /** For reads of the change feed. */
    changes: Pool
    /** For the readiness probe. */
    probes: Pool
  }
}

/**
 * Settings for statements that take a tenth of a millisecond. A generic plan avoids planning each time, which would
 * take several tenths. Once many pages have changed, the planner would prefer bitmap scans, which read the table.
 */
export const SHORT_STATEMENT_SETTINGS = {
  plan_cache_mode: 'force_generic_plan',
  enable_bitmapscan: 'off',
  jit: 'off'
}

export const databasePlugin = fp<{ databaseUrl: string }>(
  async (app, { databaseUrl }) => {
    const connect = (
      name: 'reads' | 'writes' | 'bulk' | 'lists' | 'changes' | 'probes',
      options: Omit<Parameters<typeof connectDatabase>[1], 'name' | 'observer'>
    ) => {
      const observer = app.metrics.watchPool(name, options.connections)
      app.decorate(name, connectDatabase(databaseUrl, { ...options, name: nameConnections(name), observer }))
    }
    const shortStatements = {
      lockTimeout: LOCK_TIMEOUT_MS,
      statementTimeout: STATEMENT_TIMEOUT_MS,
      settings: SHORT_STATEMENT_SETTINGS
    }
    connect('reads', { ...shortStatements, connections: READ_CONNECTIONS })
    connect('writes', { ...shortStatements, connections: WRITE_CONNECTIONS })
    connect('bulk', {
      connections: BULK_CONNECTIONS,
      lockTimeout: BULK_LOCK_TIMEOUT_MS,
      statementTimeout: BULK_STATEMENT_TIMEOUT_MS,
      idleTimeout: IDLE_CONNECTION_TIMEOUT_MS
    })
    const reads = { lockTimeout: LOCK_TIMEOUT_MS, statementTimeout: STATEMENT_TIMEOUT_MS }
    connect('lists', { ...reads, connections: LIST_CONNECTIONS, idleTimeout: IDLE_CONNECTION_TIMEOUT_MS })
    connect('changes', { ...reads, connections: CHANGE_CONNECTIONS, idleTimeout: IDLE_CONNECTION_TIMEOUT_MS })
    connect('probes', { ...reads, connections: PROBE_CONNECTIONS })
    app.addHook('onClose', async () => {
      const pools = [app.reads, app.writes, app.bulk, app.lists, app.changes, app.probes]
      await Promise.all(pools.map((pool) => pool.end({ timeout: POOL_CLOSE_TIMEOUT_SECONDS })))
    })
  },
  { name: 'database' }
)
