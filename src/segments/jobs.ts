import fp from 'fastify-plugin'
import { BackgroundJob } from '../database/background-job.ts'
import {
  ASSIGNMENT_CHUNK_SIZE,
  CLOSING_BATCH_SIZE,
  POOL_CLOSE_TIMEOUT_SECONDS,
  SEGMENT_JOB_POLL_MS
} from '../limits.ts'
import { type ClosingPosition, closePeriods } from './deletion-queries.ts'
import { continueAssignment } from './filling-queries.ts'

declare module 'fastify' {
  interface FastifyInstance {
    backgroundJobs: {
      /** Fills segments that were created with `Prefer: respond-async`. */
      assignments: BackgroundJob
      /** Writes `removed_at` into the periods of deleted segments. The periods have ended without it. */
      closing: BackgroundJob
    }
  }
}

export const backgroundJobsPlugin = fp(
  async (app) => {
    let position: ClosingPosition | undefined
    const jobs = {
      assignments: new BackgroundJob({
        name: 'assignments',
        share: 0.25,
        poll: SEGMENT_JOB_POLL_MS,
        step: async () => {
          const step = await continueAssignment(app.bulk, ASSIGNMENT_CHUNK_SIZE)
          if (step?.error) app.log.error({ ...step }, 'assignment failed')
          return step !== undefined
        },
        log: app.log
      }),
      closing: new BackgroundJob({
        name: 'closing',
        share: 0.2,
        poll: SEGMENT_JOB_POLL_MS,
        step: async () => {
          position = await closePeriods(app.bulk, position, CLOSING_BATCH_SIZE)
          return position !== undefined
        },
        log: app.log
      })
    }
    app.decorate('backgroundJobs', jobs)
    // The jobs start with `listen`, not before: generating the documentation needs an app without a database.
    app.addHook('onListen', async () => {
      for (const job of Object.values(jobs)) job.start()
    })
    app.addHook('onClose', async () => {
      const stopped = Promise.all(Object.values(jobs).map((job) => job.stop()))
      // A step that takes longer is rolled back, and repeated by the next instance that runs.
      await app.bulk.end({ timeout: POOL_CLOSE_TIMEOUT_SECONDS })
      await stopped
    })
  },
  { name: 'background-jobs', dependencies: ['database'] }
)
