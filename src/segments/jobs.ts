import fp from 'fastify-plugin'
import { BackgroundJob } from '../database/background-job.ts'
import { connectDatabase } from '../database/connect.ts'
import { BULK_STATEMENT_TIMEOUT } from '../database/pools.ts'
import { type ClosingPosition, closePeriods, continueAssignment } from './queries.ts'

declare module 'fastify' {
  interface FastifyInstance {
    backgroundJobs: {
      /** Puts the users into segments whose creation was answered before they were in. */
      assignments: BackgroundJob
      /** Writes their end into the periods of deleted segments, which are over without it. */
      closing: BackgroundJob
    }
  }
}

/** Milliseconds after which an instance looks for work that it wasn't told of. */
const POLL_MS = 5_000
/** One for each job. */
const CONNECTIONS = 2
/** Users who are put in by one step: adding users to the same segment by request waits for it. */
const ASSIGNMENT_CHUNK_SIZE = 2_000
/** Periods that are closed by one step. */
const CLOSING_BATCH_SIZE = 500

export const backgroundJobsPlugin = fp<{ databaseUrl: string }>(
  async (app, { databaseUrl }) => {
    const sql = connectDatabase(databaseUrl, {
      name: 'user-segments background',
      connections: CONNECTIONS,
      observer: app.metrics.watchPool('background', CONNECTIONS),
      statementTimeout: BULK_STATEMENT_TIMEOUT,
      lockTimeout: 60_000
    })
    let position: ClosingPosition | undefined
    const jobs = {
      assignments: new BackgroundJob({
        name: 'assignments',
        share: 0.25,
        poll: POLL_MS,
        step: async () => {
          const step = await continueAssignment(sql, ASSIGNMENT_CHUNK_SIZE)
          if (step?.error) app.log.error({ ...step }, 'assignment failed')
          return step !== undefined
        },
        log: app.log
      }),
      closing: new BackgroundJob({
        name: 'closing',
        share: 0.2,
        poll: POLL_MS,
        step: async () => {
          position = await closePeriods(sql, position, CLOSING_BATCH_SIZE)
          return position !== undefined
        },
        log: app.log
      })
    }
    app.decorate('backgroundJobs', jobs)
    // Not before: an app that only answers for its documentation needs no database.
    app.addHook('onListen', async () => {
      for (const job of Object.values(jobs)) job.start()
    })
    app.addHook('onClose', async () => {
      const stopped = Promise.all(Object.values(jobs).map((job) => job.stop()))
      // A step that takes longer is rolled back, and done again by whoever runs next.
      await sql.end({ timeout: 5 })
      await stopped
    })
  },
  { name: 'background-jobs' }
)
