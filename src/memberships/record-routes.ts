import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { emptyResponse, errorResponse } from '../../schemas/common.ts'
import { ConditionalHeadersSchema, conditionalResponses } from '../../schemas/conditional.ts'
import { IdempotencyKeyHeadersSchema } from '../../schemas/idempotency.ts'
import {
  LookupHeadersSchema,
  MemberParamsSchema,
  MembershipStateSchema,
  UserMembershipsSchema,
  UserParamsSchema,
  UserSegmentsQuerySchema
} from '../../schemas/memberships.ts'
import { withWriteToken } from '../../schemas/write-tokens.ts'
import { retryIdempotent } from '../database/retry.ts'
import { commonBodyErrors, commonErrors, idempotencyErrors, unknownUser } from '../http/common-responses.ts'
import { sendTaggedObject } from '../http/conditional.ts'
import { invalidRequest, segmentNotFound, userNotFound } from '../http/errors.ts'
import { writeOnce } from '../http/idempotency.ts'
import { readTokens, trackWrites } from '../http/write-tokens.ts'
import { BULK_DEADLINE_MS } from '../limits.ts'
import { eraseUser, selectMembership, selectMemberships } from './record-queries.ts'

/** Why a user is in a segment, and the erasure of a user. */
export const recordRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/segments/user/:user_id/memberships',
    {
      config: { role: 'reader' },
      schema: {
        operationId: 'getUserMemberships',
        summary: "Get a user's memberships",
        description:
          'The segments the user is in, since when, until when and why. With `at`, what was recorded at that moment.',
        tags: ['segments'],
        headers: ConditionalHeadersSchema,
        params: UserParamsSchema,
        querystring: UserSegmentsQuerySchema,
        response: { ...conditionalResponses(UserMembershipsSchema), ...commonErrors, 404: unknownUser }
      }
    },
    async (request, reply) => {
      const { user_id: userId } = request.params
      const { at = null } = request.query
      const memberships = await retryIdempotent(() => selectMemberships(app.reads, userId, at))
      if (memberships === undefined) throw userNotFound(userId)
      if (memberships === null) throw invalidRequest('query parameter (at) must not be in the future')
      return sendTaggedObject(request, reply, { memberships })
    }
  )

  app.get(
    '/segment/:slug/users/:user_id',
    {
      config: { role: 'reader' },
      schema: {
        operationId: 'getSegmentUser',
        summary: 'Get whether a user is in a segment',
        description: 'And since when, until when and why. A deleted segment has no members.',
        tags: ['segments'],
        headers: LookupHeadersSchema,
        params: MemberParamsSchema,
        response: {
          ...conditionalResponses(MembershipStateSchema),
          ...commonErrors,
          404: errorResponse('SegmentOrUserNotFoundError', 'There is no such segment, or no such user.', {
            SEGMENT_NOT_FOUND: segmentNotFound('AVITO_VOICE_MESSAGES').message,
            USER_NOT_FOUND: userNotFound('10').message
          })
        }
      }
    },
    async (request, reply) => {
      const { user_id: userId } = request.params
      const slug = request.params.slug.toUpperCase()
      const membership = await app.readServers.read(readTokens(request.headers), (sql) =>
        selectMembership(sql, slug, userId)
      )
      if (membership === 'segment_not_found') throw segmentNotFound(slug)
      if (membership === 'user_not_found') throw userNotFound(userId)
      return sendTaggedObject(request, reply, membership)
    }
  )

  app.delete(
    '/users/:user_id',
    {
      // Waits for changes of many users that are in progress.
      config: { role: 'admin', deadline: BULK_DEADLINE_MS },
      schema: {
        operationId: 'eraseUser',
        summary: 'Erase a user',
        description:
          'Removes everything that names the user: memberships, history and reports, whose links then answer 404. This ' +
          'cannot be undone. A later change or upload that names the id makes the user known again.',
        tags: ['users'],
        headers: IdempotencyKeyHeadersSchema,
        params: UserParamsSchema,
        response: {
          204: withWriteToken(emptyResponse('The user is erased.')),
          ...commonErrors,
          ...commonBodyErrors,
          ...idempotencyErrors,
          404: unknownUser
        }
      }
    },
    async (request, reply) => {
      const { user_id: userId } = request.params
      const bulk = trackWrites(app.bulk, reply)
      await app.reportJobs.eraseReportsOf(userId, (deleteReports) =>
        writeOnce(request, reply, bulk, async (db) => {
          if (!(await eraseUser(db, userId, request.actor?.name ?? null, deleteReports)))
            throw userNotFound(userId)
          return { status: 204, body: null }
        })
      )
      return reply.send()
    }
  )
}
