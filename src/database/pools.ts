import fp from 'fastify-plugin'
import { connectDatabase, type Sql } from './connect.ts'
import { WarmConnections } from './warm-connections.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** For the hot read, which nothing else may hold up. */
    hotReads: WarmConnections
    /** For other reads that answer in milliseconds. They wait for no lock, so nothing that might may hold their connections. */
    sql: Sql
    /** For writes that answer in milliseconds, unless they wait for others of the same user or segment. */
    writeSql: Sql
    /** For statements that may go over all users, or wait for one that does. */
    bulkSql: Sql
  }
}

/** Milliseconds that a statement over many users may take: ten million users are sampled in tens of seconds. */
export const BULK_STATEMENT_TIMEOUT = 600_000

/** Two do nearly all of it; the others are for when the disk is slow. */
const HOT_READ_CONNECTIONS = 8
const READ_CONNECTIONS = 6
/** Writes wait for the disk, and are committed in groups. */
const WRITE_CONNECTIONS = 16
const BULK_CONNECTIONS = 8
const BULK_IDLE_TIMEOUT_SECONDS = 60
const CLOSE_TIMEOUT_SECONDS = 5

/**
 * Statements that take a tenth of a millisecond must not be planned anew each time, which takes several, nor by a
 * bitmap, which the planner likes once many pages have changed and which reads the table.
 */
export const HOT_SETTINGS = { plan_cache_mode: 'force_generic_plan', enable_bitmapscan: 'off', jit: 'off' }
const HOT_OPTIONS = { statementTimeout: 5_000, lockTimeout: 4_000, settings: HOT_SETTINGS }

export const databasePlugin = fp<{ databaseUrl: string }>(
  async (app, { databaseUrl }) => {
    const hotReadObserver = app.metrics.watchPool('hot read', HOT_READ_CONNECTIONS)
    const connectHotRead = () =>
      connectDatabase(databaseUrl, {
        name: 'user-segments hot read',
        connections: 1,
        observer: hotReadObserver,
        ...HOT_OPTIONS
      })
    app.decorate('hotReads', new WarmConnections(HOT_READ_CONNECTIONS, connectHotRead))
    app.decorate(
      'sql',
      connectDatabase(databaseUrl, {
        name: 'user-segments',
        connections: READ_CONNECTIONS,
        observer: app.metrics.watchPool('read', READ_CONNECTIONS),
        ...HOT_OPTIONS
      })
    )
    app.decorate(
      'writeSql',
      connectDatabase(databaseUrl, {
        name: 'user-segments write',
        connections: WRITE_CONNECTIONS,
        observer: app.metrics.watchPool('write', WRITE_CONNECTIONS),
        ...HOT_OPTIONS
      })
    )
    app.decorate(
      'bulkSql',
      connectDatabase(databaseUrl, {
        name: 'user-segments bulk',
        connections: BULK_CONNECTIONS,
        observer: app.metrics.watchPool('bulk', BULK_CONNECTIONS),
        statementTimeout: BULK_STATEMENT_TIMEOUT,
        lockTimeout: 60_000,
        idleTimeout: BULK_IDLE_TIMEOUT_SECONDS
      })
    )
    app.addHook('onClose', async () => {
      await Promise.all(
        [app.hotReads, app.sql, app.writeSql, app.bulkSql].map((connections) =>
          connections.end({ timeout: CLOSE_TIMEOUT_SECONDS })
        )
      )
    })
  },
  { name: 'database' }
)
