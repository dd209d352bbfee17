import fp from 'fastify-plugin'
import { connectDatabase, type Sql } from '../database/connect.ts'
import { BULK_STATEMENT_TIMEOUT } from '../database/pools.ts'
import type { StatementObserver } from '../database/statements.ts'
import { databaseUnavailable, tooManyImports } from '../http/errors.ts'
import { errorCode } from '../telemetry/request-log.ts'

declare module 'fastify' {
  interface FastifyInstance {
    importSessions: ImportSessions
  }
}

/** Imports at once, on an instance. Each takes a connection of its own. */
export const MAX_IMPORTS = 4

/** What is sorted and joined has as many rows as the upload. Beyond this it goes to the disk. */
const SETTINGS = { work_mem: '64MB', temp_buffers: '64MB', jit: 'off' }

/** The table that a session gathers its upload in is gone (undefined_table). */
const TABLE_LOST = '42P01'

/** A session of the database for each import, in which it has a temporary table. */
class ImportSessions {
  readonly #databaseUrl: string
  readonly #observer: StatementObserver
  #open = 0

  constructor(databaseUrl: string, observer: StatementObserver) {
    this.#databaseUrl = databaseUrl
    this.#observer = observer
  }

  /**
   * Does the work in a session of its own, which ends with it.
   *
   * @throws {ApiError} 503 where there are {@link MAX_IMPORTS} already, or the session was lost.
   */
  async run<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    if (this.#open >= MAX_IMPORTS) throw tooManyImports()
    this.#open += 1
    const sql = connectDatabase(this.#databaseUrl, {
      name: 'user-segments import',
      connections: 1,
      keepsSessions: true,
      observer: this.#observer,
      statementTimeout: BULK_STATEMENT_TIMEOUT,
      lockTimeout: 60_000,
      settings: SETTINGS
    })
    try {
      return await work(sql)
    } catch (error) {
      // postgres.js has connected again, between two statements.
      throw errorCode(error) === TABLE_LOST ? databaseUnavailable(error) : error
    } finally {
      this.#open -= 1
      await sql.end({ timeout: 0 })
    }
  }
}

export const importsPlugin = fp<{ databaseUrl: string }>(
  async (app, { databaseUrl }) => {
    const observer = app.metrics.watchPool('import', MAX_IMPORTS)
    app.decorate('importSessions', new ImportSessions(databaseUrl, observer))
  },
  { name: 'imports' }
)
