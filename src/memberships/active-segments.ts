import fp from 'fastify-plugin'
import type { UserId } from '../../schemas/common.ts'
import type { ActiveSegmentsText } from '../../schemas/memberships.ts'
import { createLookup, LOOKUP_BATCHES, type LookUp } from '../database/lookups.ts'
import { selectActiveSegments } from './queries.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Looks up a user's active segments, as JSON text; undefined for an unknown user. All routes share its batches. */
    lookUpActiveSegments: LookUp<UserId, ActiveSegmentsText>
  }
}

export const activeSegmentsPlugin = fp(
  async (app) => {
    const options = { ...LOOKUP_BATCHES, batchSizes: app.metrics.readBatchUsers }
    app.decorate(
      'lookUpActiveSegments',
      createLookup(app.reads, app.readServers, selectActiveSegments, options)
    )
  },
  { name: 'active-segments', dependencies: ['read-servers'] }
)
