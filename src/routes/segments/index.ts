import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { emptyResponse, errorResponse } from '../../../schemas/common.ts'
import { CreateSegmentBodySchema, SegmentParamsSchema } from '../../../schemas/segments.ts'
import { segmentAlreadyExists, segmentNotFound } from '../../errors.ts'
import { BULK_STATEMENT_TIMEOUT } from '../../plugins/database.ts'
import { commonBodyErrors, commonErrors } from '../common-errors.ts'
import { deleteSegment, insertSegment } from './queries.ts'

export const segmentRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.post(
    '/segment',
    {
      // An assignment answers when its users are in the segment, which takes as long as there are users.
      config: { deadline: BULK_STATEMENT_TIMEOUT + 10_000 },
      schema: {
        operationId: 'createSegment',
        summary: 'Create a segment',
        description:
          'With `selection`, that share of the known users, chosen at random, is in the segment before the ' +
          'answer. The segment and its members appear together or not at all. A slug is never used again, ' +
          'not even when its segment is deleted.',
        tags: ['segments'],
        body: CreateSegmentBodySchema,
        response: {
          200: emptyResponse('The segment exists.'),
          ...commonErrors,
          ...commonBodyErrors,
          409: errorResponse('The slug is taken, maybe by a deleted segment.', {
            SEGMENT_ALREADY_EXISTS: 'segment with slug (AVITO_VOICE_MESSAGES) already exists'
          })
        }
      }
    },
    async (request, reply) => {
      const slug = request.body.slug.toUpperCase()
      // Never on the hot paths' connections: it waits for whoever else is creating a segment of that slug.
      if (!(await insertSegment(app.bulkSql, slug, request.body.selection))) throw segmentAlreadyExists(slug)
      return reply.send()
    }
  )

  app.delete(
    '/segment/:slug',
    {
      schema: {
        operationId: 'deleteSegment',
        summary: 'Delete a segment',
        description: 'Every membership in it ends at the time of deletion. Its history stays.',
        tags: ['segments'],
        params: SegmentParamsSchema,
        response: {
          200: emptyResponse('The segment is deleted.'),
          ...commonErrors,
          ...commonBodyErrors,
          404: errorResponse('There is no such segment, or it is deleted already.', {
            SEGMENT_NOT_FOUND: 'segment with slug (AVITO_VOICE_MESSAGES) is not found for delete'
          })
        }
      }
    },
    async (request, reply) => {
      const slug = request.params.slug.toUpperCase()
      if (!(await deleteSegment(app.sql, slug))) throw segmentNotFound(slug)
      return reply.send()
    }
  )
}
