import fp from 'fastify-plugin'
import { connectDatabase, type Sql } from '../database.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** For statements that answer in milliseconds: the hot paths. */
    sql: Sql
    /** For segments' creation, which may go over all users, so that it never holds the hot paths' connections. */
    bulkSql: Sql
  }
}

/** Milliseconds that a statement over many users may take: ten million users are sampled in tens of seconds. */
export const BULK_STATEMENT_TIMEOUT = 600_000

const CLOSE_TIMEOUT_SECONDS = 5

export const databasePlugin = fp<{ databaseUrl: string }>(
  async (app, { databaseUrl }) => {
    app.decorate(
      'sql',
      connectDatabase(databaseUrl, {
        name: 'user-segments',
        connections: 10,
        statementTimeout: 5_000,
        lockTimeout: 4_000
      })
    )
    app.decorate(
      'bulkSql',
      connectDatabase(databaseUrl, {
        name: 'user-segments bulk',
        connections: 4,
        statementTimeout: BULK_STATEMENT_TIMEOUT,
        lockTimeout: 60_000
      })
    )
    app.addHook('onClose', async () => {
      await Promise.all([app.sql, app.bulkSql].map((sql) => sql.end({ timeout: CLOSE_TIMEOUT_SECONDS })))
    })
  },
  { name: 'database' }
)
