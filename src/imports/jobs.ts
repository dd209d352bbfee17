import fp from 'fastify-plugin'
import { BackgroundJob } from '../database/background-job.ts'
import type { Pool } from '../database/connect.ts'
import { retryIdempotent } from '../database/retry.ts'
import { tooManyImports } from '../http/errors.ts'
import {
  IMPORT_LIFETIME_MS,
  IMPORT_SWEEP_MS,
  IMPORT_SWEEP_SIZE,
  MAX_IMPORTS,
  MAX_IMPORTS_PER_CALLER
} from '../limits.ts'
import { beginImport, endImport, sweepImports } from './line-queries.ts'

declare module 'fastify' {
  interface FastifyInstance {
    imports: Imports
  }
}

/** Limits the imports in progress on this instance, and has their lines removed afterwards. */
class Imports {
  readonly #pool: Pool
  readonly #sweeper: BackgroundJob
  /** Who runs each import. */
  readonly #running: string[] = []

  constructor(pool: Pool, sweeper: BackgroundJob) {
    this.#pool = pool
    this.#sweeper = sweeper
  }

  /**
   * Runs an import.
   *
   * @param caller the name of the key; without keys, the address.
   * @throws {ApiError} 503 if {@link MAX_IMPORTS} are already in progress, or {@link MAX_IMPORTS_PER_CALLER} of the caller.
   */
  async run<T>(caller: string, work: (importId: string) => Promise<T>): Promise<T> {
    const ofCaller = this.#running.filter((name) => name === caller).length
    if (this.#running.length >= MAX_IMPORTS || ofCaller >= MAX_IMPORTS_PER_CALLER) throw tooManyImports()
    this.#running.push(caller)
    try {
      const importId = await beginImport(this.#pool)
      try {
        return await work(importId)
      } finally {
        // The answer doesn't wait for this. If it fails, the import is swept when it is too old.
        retryIdempotent(() => endImport(this.#pool, importId)).then(
          () => this.#sweeper.wake(),
          () => {}
        )
      }
    } finally {
      this.#running.splice(this.#running.indexOf(caller), 1)
    }
  }
}

export const importsPlugin = fp(
  async (app) => {
    const sweeper = new BackgroundJob({
      name: 'imports',
      share: 0.5,
      poll: IMPORT_SWEEP_MS,
      step: () => sweepImports(app.bulk, IMPORT_LIFETIME_MS / 1000, IMPORT_SWEEP_SIZE),
      log: app.log
    })
    app.decorate('imports', new Imports(app.bulk, sweeper))
    app.addHook('onListen', async () => sweeper.start())
    app.addHook('onClose', () => sweeper.stop())
  },
  { name: 'imports', dependencies: ['database'] }
)
