import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { emptyResponse, errorResponse } from '../../../schemas/common.ts'
import {
  ActiveSegmentsSchema,
  ChangeUserSegmentsBodySchema,
  QueryUsersBodySchema,
  SegmentsOfUsersSchema,
  UserParamsSchema
} from '../../../schemas/memberships.ts'
import { retryIdempotent, retryWrite } from '../../database.ts'
import { duplicateSlug, segmentsNotFound, userNotFound } from '../../errors.ts'
import { commonBodyErrors, commonErrors } from '../common-errors.ts'
import { batchActiveSegments } from './batch.ts'
import { changeUserSegments, selectSegmentsOfUsers } from './queries.ts'

/** Fewer queries are larger and cheaper ones. One takes 1 to 3 ms while its pages are in memory. */
const READ_BATCHES = { enough: 2, maxWait: 5 }

/**
 * Each waits for the disk on one of 16 connections: with so many, the last one waits for three commits before its own.
 * More get no more done; they only wait.
 */
const MAX_CHANGES_IN_FLIGHT = 64

export const membershipRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const activeSegments = batchActiveSegments(app.sql, { ...READ_BATCHES, sizes: app.metrics.readBatchUsers })

  app.get(
    '/segments/user/:user_id',
    {
      config: { role: 'reader' },
      schema: {
        operationId: 'getUserSegments',
        summary: "Get a user's active segments",
        description: 'Always the state of now: an answered write is seen by every read that starts after it.',
        tags: ['memberships'],
        params: UserParamsSchema,
        response: {
          200: ActiveSegmentsSchema,
          ...commonErrors,
          404: errorResponse('The service has never seen this user.', {
            USER_NOT_FOUND: 'user with id (10) not found'
          })
        }
      }
    },
    async (request, reply) => {
      const { user_id: userId } = request.params
      const segments = await activeSegments.load(userId)
      if (segments === undefined) throw userNotFound(userId)
      return reply.type('application/json; charset=utf-8').send(segments)
    }
  )

  app.post(
    '/segments/users/query',
    {
      config: { role: 'reader' },
      schema: {
        operationId: 'queryUsersSegments',
        summary: 'Get the active segments of many users',
        description:
          'For callers that show a page of users: 1 to 1,000 of them, all as they are at one moment. A user who ' +
          'is asked for twice is answered once.',
        tags: ['memberships'],
        body: QueryUsersBodySchema,
        response: { 200: SegmentsOfUsersSchema, ...commonErrors, ...commonBodyErrors }
      }
    },
    async (request, reply) => {
      const userIds = [...new Set(request.body.user_ids.map(String))]
      const segments = await retryIdempotent(() => selectSegmentsOfUsers(app.sql, userIds))
      return reply.type('application/json; charset=utf-8').send(segments)
    }
  )

  app.post(
    '/segments/user/:user_id',
    {
      config: { role: 'editor', maxInFlight: MAX_CHANGES_IN_FLIGHT },
      schema: {
        operationId: 'changeUserSegments',
        summary: "Change a user's segments",
        description:
          'Puts the user into segments and takes the user out of others, all or nothing. The user is known from ' +
          'the first such call on. Two calls for one user take effect one after the other.',
        tags: ['memberships'],
        params: UserParamsSchema,
        body: ChangeUserSegmentsBodySchema,
        response: {
          200: emptyResponse('The user is in the segments to add and out of the segments to delete.'),
          ...commonErrors,
          ...commonBodyErrors,
          400: errorResponse('The request is not valid.', {
            INVALID_REQUEST: 'unknown body field (segment_to_add)',
            DUPLICATE_SLUG: 'segment with slug (VOICE_MSG) stands more than once in the request',
            INVALID_JSON: 'the body is not valid JSON'
          }),
          404: errorResponse('A slug names no segment, or a deleted one. Nothing has changed.', {
            SEGMENTS_NOT_FOUND: 'some segments not found'
          })
        }
      }
    },
    async (request, reply) => {
      const { segments_to_add = [], segments_to_delete = [] } = request.body
      const add = segments_to_add.map((slug) => slug.toUpperCase())
      const remove = segments_to_delete.map((slug) => slug.toUpperCase())
      const seen = new Set<string>()
      for (const slug of [...add, ...remove]) {
        if (seen.has(slug)) throw duplicateSlug(slug)
        seen.add(slug)
      }
      const { user_id: userId } = request.params
      const changed = await retryWrite(() => changeUserSegments(app.writeSql, userId, add, remove))
      if (!changed) throw segmentsNotFound()
      return reply.send()
    }
  )
}
