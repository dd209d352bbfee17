import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { errorResponse } from '../../schemas/common.ts'
import { GroupParamsSchema, OverlapsQuerySchema, OverlapsSchema } from '../../schemas/groups.ts'
import { retryIdempotent } from '../database/retry.ts'
import { commonErrors } from '../http/common-responses.ts'
import { signalAbandonment } from '../http/deadline.ts'
import { duplicateSlug, groupNotFound, segmentsNotFound } from '../http/errors.ts'
import { refuseDuplicates } from '../http/slugs.ts'
import { BULK_DEADLINE_MS, MAX_OVERLAPS } from '../limits.ts'
import { selectOverlaps } from './overlap-queries.ts'

/** How many users segments share: in an exclusive group none. */
export const overlapRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/groups/:slug/overlap',
    {
      config: { role: 'reader', maxInFlight: MAX_OVERLAPS, pausesRefusals: true, deadline: BULK_DEADLINE_MS },
      schema: {
        operationId: 'getOverlaps',
        summary: 'Count the users that segments share',
        description:
          'For each two segments the users who are in both, exactly and all at one moment. For the segments of a group ' +
          'it is 0 each time. With `segments` any segments are compared, such as those of two experiments.',
        tags: ['groups'],
        params: GroupParamsSchema,
        querystring: OverlapsQuerySchema,
        response: {
          200: OverlapsSchema,
          ...commonErrors,
          400: errorResponse('InvalidComparisonError', 'The request is not valid.', {
            INVALID_REQUEST: 'unknown query parameter (segment)',
            DUPLICATE_SLUG: duplicateSlug('AVITO_VOICE_MESSAGES').message
          }),
          404: errorResponse(
            'GroupOrSegmentsNotFoundError',
            'There is no such group, or a slug names no segment, or they are deleted.',
            {
              GROUP_NOT_FOUND: groupNotFound('CHECKOUT_TEST').message,
              SEGMENTS_NOT_FOUND: segmentsNotFound([]).message
            },
            {
              properties: {
                segments: Type.Optional(
                  Type.Array(Type.String(), {
                    description:
                      'The slugs that name no segment, or a deleted one. Absent if the group is missing.'
                  })
                )
              },
              example: { segments: ['AVITO_VOICE_MESSAGES'] }
            }
          )
        }
      }
    },
    async (request, reply) => {
      const group = request.params.slug.toUpperCase()
      const slugs = request.query.segments?.toUpperCase().split(',') ?? null
      refuseDuplicates(slugs ?? [])
      const bulk = app.bulk.within(signalAbandonment(reply))
      return retryIdempotent(() => selectOverlaps(bulk, group, slugs))
    }
  )
}
