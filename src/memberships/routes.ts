import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { emptyResponse, errorResponse, type Time } from '../../schemas/common.ts'
import {
  ActiveSegmentsSchema,
  ChangeUserSegmentsBodySchema,
  QueryUsersBodySchema,
  SegmentsOfUsersSchema,
  TimelineQuerySchema,
  TimelineSchema,
  UserParamsSchema,
  UserSegmentsQuerySchema
} from '../../schemas/memberships.ts'
import { retryIdempotent, retryWrite } from '../database/faults.ts'
import { normalizeTime } from '../database/times.ts'
import { commonBodyErrors, commonErrors, pageErrors } from '../http/common-responses.ts'
import {
  duplicateSlug,
  expiryPassed,
  invalidRequest,
  segmentsNotFound,
  userNotFound
} from '../http/errors.ts'
import { cutPage, decodeCursor, pageSize } from '../http/paging.ts'
import { batchActiveSegments } from './batch.ts'
import { changeUserSegments, selectSegmentsAt, selectSegmentsOfUsers, selectTimeline } from './queries.ts'

/** Fewer queries are larger and cheaper ones. One takes 1 to 3 ms while its pages are in memory. */
const READ_BATCHES = { enough: 2, maxWait: 5 }

/**
 * Each waits for the disk on one of 16 connections: with so many, the last one waits for three commits before its own.
 * More get no more done; they only wait.
 */
const MAX_CHANGES_IN_FLIGHT = 64

const positionParts = [/^\d{1,17}$/, /^[012]$/, /^\d{1,10}$/].map(
  (pattern) => (part: string) => pattern.test(part)
)

/** When a day begins, or the time itself: comparable as text. */
function startOf(dayOrTime: string | undefined): Time | null {
  if (dayOrTime === undefined) return null
  return normalizeTime(dayOrTime) ?? `${dayOrTime}T00:00:00.000000Z`
}

export const membershipRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const activeSegments = batchActiveSegments(app.hotReads, {
    ...READ_BATCHES,
    sizes: app.metrics.readBatchUsers
  })

  app.get(
    '/segments/user/:user_id',
    {
      config: { role: 'reader' },
      schema: {
        operationId: 'getUserSegments',
        summary: "Get a user's active segments",
        description:
          'Always the state of now: an answered write is seen by every read that starts after it. With `at`, that ' +
          'of a moment that is over.',
        tags: ['memberships'],
        params: UserParamsSchema,
        querystring: UserSegmentsQuerySchema,
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
      const { at } = request.query
      const segments =
        at === undefined
          ? await activeSegments.load(userId)
          : await retryIdempotent(() => selectSegmentsAt(app.sql, userId, at))
      if (segments === undefined) throw userNotFound(userId)
      if (segments === null) throw invalidRequest('query parameter (at) must not be a time to come')
      return reply.type('application/json; charset=utf-8').send(segments)
    }
  )

  app.get(
    '/segments/user/:user_id/history',
    {
      config: { role: 'reader' },
      schema: {
        operationId: 'getUserHistory',
        summary: "Get a user's history",
        description:
          'What happened to the user, oldest first, each entry with its cause and who caused it, a page at a time. ' +
          'What happens meanwhile comes at the end.',
        tags: ['memberships'],
        params: UserParamsSchema,
        querystring: TimelineQuerySchema,
        response: {
          200: TimelineSchema,
          ...commonErrors,
          400: pageErrors,
          404: errorResponse('The service has never seen this user.', {
            USER_NOT_FOUND: 'user with id (10) not found'
          })
        }
      }
    },
    async (request) => {
      const { user_id: userId } = request.params
      const { limit, cursor } = request.query
      const from = startOf(request.query.from)
      const to = startOf(request.query.to)
      if (from !== null && to !== null && from >= to)
        throw invalidRequest('query parameter (from) must be before query parameter (to)')
      const list = `history/${userId}`
      const [micros = '', rank = '', segmentId = ''] =
        cursor === undefined ? [] : decodeCursor(list, cursor, positionParts)
      const after = cursor === undefined ? null : { micros, rank, segment_id: segmentId }
      const size = pageSize(limit)
      const filter = { from, to, after, limit: size + 1 }
      const entries = await retryIdempotent(() => selectTimeline(app.sql, userId, filter))
      if (!entries) throw userNotFound(userId)
      const { rows, next_cursor } = cutPage(list, entries, size, (entry) => [
        entry.micros,
        entry.rank,
        entry.segment_id
      ])
      return { entries: rows, next_cursor }
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
          'the first such call on. Two calls for one user take effect one after the other.\n\n' +
          'With `expires_at` or `ttl_seconds` the memberships it adds end by themselves, to the moment. Of a segment ' +
          'the user has, the end is set anew: without either, it is permanent from now on.',
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
            EXPIRY_PASSED: 'body field (expires_at) must be a time to come',
            INVALID_JSON: 'the body is not valid JSON'
          }),
          404: errorResponse('A slug names no segment, or a deleted one. Nothing has changed.', {
            SEGMENTS_NOT_FOUND: 'some segments not found'
          })
        }
      }
    },
    async (request, reply) => {
      const { body, actor } = request
      const { segments_to_add = [], segments_to_delete = [], expires_at, ttl_seconds } = body
      if (expires_at !== undefined && ttl_seconds !== undefined)
        throw invalidRequest('body fields (expires_at, ttl_seconds): only one of them may be given')
      if ((expires_at ?? ttl_seconds) !== undefined && segments_to_add.length === 0)
        throw invalidRequest('body field (segments_to_add) must name what is to expire')
      const add = segments_to_add.map((slug) => slug.toUpperCase())
      const remove = segments_to_delete.map((slug) => slug.toUpperCase())
      const seen = new Set<string>()
      for (const slug of [...add, ...remove]) {
        if (seen.has(slug)) throw duplicateSlug(slug)
        seen.add(slug)
      }
      const { user_id: userId } = request.params
      const change = {
        add,
        remove,
        expiresAt: expires_at,
        timeToLive: ttl_seconds,
        actor: actor?.name ?? null
      }
      const outcome = await retryWrite(() => changeUserSegments(app.writeSql, userId, change))
      if (outcome === 'not_found') throw segmentsNotFound()
      if (outcome === 'expiry_passed') throw expiryPassed()
      return reply.send()
    }
  )
}
