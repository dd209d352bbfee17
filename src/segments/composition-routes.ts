import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { CountComposedBodySchema } from '../../schemas/compositions.ts'
import { UserCountSchema } from '../../schemas/segments.ts'
import { retryIdempotent } from '../database/retry.ts'
import { commonBodyErrors, commonErrors, invalidSlugs, unknownSegments } from '../http/common-responses.ts'
import { signalAbandonment } from '../http/deadline.ts'
import { MAX_LISTS_IN_FLIGHT } from '../limits.ts'
import { readComposition } from './composition-rules.ts'
import { countUsersOf, findPopulation, readMoment } from './populations.ts'

/** Counts users by their segments, before a segment is created from them. */
export const compositionRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.post(
    '/segments/count',
    {
      config: { role: 'reader', maxInFlight: MAX_LISTS_IN_FLIGHT, pausesRefusals: true },
      schema: {
        operationId: 'countComposedUsers',
        summary: 'Count users by their segments',
        description:
          'The number of users of whom a segment that is created with the same `from` samples its share. Nothing changes.',
        tags: ['segments'],
        body: CountComposedBodySchema,
        response: {
          200: UserCountSchema,
          ...commonErrors,
          ...commonBodyErrors,
          400: invalidSlugs,
          404: unknownSegments
        }
      }
    },
    async (request, reply) => {
      const composition = readComposition(request.body.from)
      const lists = app.lists.within(signalAbandonment(reply))
      const users = await retryIdempotent(async () => {
        const { moment } = await readMoment(lists, composition.at)
        return countUsersOf(lists, await findPopulation(lists, { ...composition, at: moment }))
      })
      return { users }
    }
  )
}
