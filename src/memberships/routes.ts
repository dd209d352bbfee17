import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { changeCursorHeader } from '../../schemas/changes.ts'
import { emptyResponse, errorResponse, type Time } from '../../schemas/common.ts'
import { ConditionalHeadersSchema, conditionalResponses } from '../../schemas/conditional.ts'
import { IdempotencyKeyHeadersSchema } from '../../schemas/idempotency.ts'
import {
  ActiveSegmentsSchema,
  ChangeUserSegmentsBodySchema,
  LookupHeadersSchema,
  QueryUsersBodySchema,
  QueryUsersQuerySchema,
  SegmentsOfUsersSchema,
  TimelineQuerySchema,
  TimelineSchema,
  UserParamsSchema,
  UserSegmentsQuerySchema
} from '../../schemas/memberships.ts'
import { withNextLink } from '../../schemas/paging.ts'
import { WriteTokensHeadersSchema, withWriteToken } from '../../schemas/write-tokens.ts'
import type { Sql } from '../database/connect.ts'
import { retryIdempotent } from '../database/retry.ts'
import { selectMissingSlugs } from '../database/segment-slugs.ts'
import { startOf } from '../database/times.ts'
import {
  commonBodyErrors,
  commonErrors,
  conflictResponse,
  idempotencyErrors,
  pageErrors,
  unknownSegments,
  unknownUser
} from '../http/common-responses.ts'
import { sendTagged, sendTaggedObject } from '../http/conditional.ts'
import {
  type ApiError,
  duplicateSlug,
  expiryPassed,
  groupConflict,
  invalidJson,
  invalidRequest,
  invalidUtf8,
  segmentIsHoldout,
  segmentsNotFound,
  userNotFound
} from '../http/errors.ts'
import { writeOnce } from '../http/idempotency.ts'
import { cutPage, decodeCursor, linkNextPage } from '../http/paging.ts'
import { refuseDuplicates } from '../http/slugs.ts'
import { readTokens } from '../http/write-tokens.ts'
import { MAX_CHANGES_IN_FLIGHT } from '../limits.ts'
import {
  type ChangeRefusal,
  changeUserSegments,
  selectSegmentsAt,
  selectSegmentsOfUsers,
  selectTimeline,
  selectWithCursor
} from './queries.ts'

const positionParts = [/^\d{1,17}$/, /^[0-3]$/, /^\d{1,10}$/].map(
  (pattern) => (part: string) => pattern.test(part)
)

/** @param within the path of the object in the body. @throws {ApiError} if both fields are given. */
function checkExpiry(
  { expires_at, ttl_seconds }: { expires_at?: Time | undefined; ttl_seconds?: number | undefined },
  within: string
): void {
  if (expires_at !== undefined && ttl_seconds !== undefined)
    throw invalidRequest(
      `body fields (${within}expires_at, ${within}ttl_seconds): only one of them may be given`
    )
}

export const membershipRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/segments/user/:user_id',
    {
      config: { role: 'reader' },
      schema: {
        operationId: 'getUserSegments',
        summary: "Get a user's active segments",
        description:
          'The state now: a read sees every write that was answered before the read began. With `at`, the state at ' +
          'an earlier moment.',
        tags: ['segments'],
        headers: LookupHeadersSchema,
        params: UserParamsSchema,
        querystring: UserSegmentsQuerySchema,
        response: {
          ...conditionalResponses(ActiveSegmentsSchema),
          ...commonErrors,
          404: unknownUser
        }
      }
    },
    async (request, reply) => {
      const { user_id: userId } = request.params
      const { at } = request.query
      const segments =
        at === undefined
          ? await app.lookUpActiveSegments(userId, readTokens(request.headers))
          : await retryIdempotent(() => selectSegmentsAt(app.reads, userId, at))
      if (segments === undefined) throw userNotFound(userId)
      if (segments === null) throw invalidRequest('query parameter (at) must not be in the future')
      return sendTagged(request, reply, segments)
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
          'The additions and removals of the user, and the changes of an expiry, oldest first, each with its cause and ' +
          'its actor, one page at a time. New entries come at the end; older ones never change. The interval includes ' +
          '`from` and excludes `to`.',
        tags: ['segments'],
        headers: ConditionalHeadersSchema,
        params: UserParamsSchema,
        querystring: TimelineQuerySchema,
        response: {
          ...conditionalResponses(withNextLink(TimelineSchema)),
          ...commonErrors,
          400: pageErrors,
          404: unknownUser
        }
      }
    },
    async (request, reply) => {
      const { user_id: userId } = request.params
      const { limit: size, cursor } = request.query
      const from = startOf(request.query.from)
      const to = startOf(request.query.to)
      if (from !== null && to !== null && from >= to)
        throw invalidRequest('query parameter (from) must be before query parameter (to)')
      const list = `history/${userId}`
      const [micros = '', rank = '', segmentId = ''] =
        cursor === undefined ? [] : decodeCursor(list, cursor, positionParts)
      const after = cursor === undefined ? null : { micros, rank, segment_id: segmentId }
      const filter = { from, to, after, limit: size + 1 }
      const entries = await retryIdempotent(() => selectTimeline(app.reads, userId, filter))
      if (!entries) throw userNotFound(userId)
      const { rows, next_cursor } = cutPage(list, entries, size, (entry) => [
        entry.micros,
        entry.rank,
        entry.segment_id
      ])
      linkNextPage(request, reply, next_cursor)
      return sendTaggedObject(request, reply, { entries: rows, next_cursor })
    }
  )

  app.post(
    '/segments/users/query',
    {
      config: { role: 'reader' },
      schema: {
        operationId: 'getSegmentsOfUsers',
        summary: 'Get the active segments of many users',
        description:
          'For 1 to 1,000 users, all at one moment. A user who appears more than once in the request appears once ' +
          'in the answer.',
        tags: ['segments'],
        headers: WriteTokensHeadersSchema,
        querystring: QueryUsersQuerySchema,
        body: QueryUsersBodySchema,
        response: {
          200: {
            ...SegmentsOfUsersSchema,
            headers: {
              'x-segments-cursor': changeCursorHeader(
                'With `cursor=true`: the cursor of the change feed for this moment.'
              )
            }
          },
          ...commonErrors,
          ...commonBodyErrors
        }
      }
    },
    async (request, reply) => {
      const userIds = [...new Set(request.body.user_ids.map(String))]
      reply.type('application/json; charset=utf-8')
      if (request.query.cursor) {
        const { segments, cursor } = await retryIdempotent(() => selectWithCursor(app.reads, userIds))
        return reply.header('x-segments-cursor', cursor).send(segments)
      }
      return reply.send(
        await app.readServers.read(readTokens(request.headers), (sql) => selectSegmentsOfUsers(sql, userIds))
      )
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
          'Adds the user to segments and removes the user from others, all or nothing. The first such call makes ' +
          'the user known. Two calls for one user take effect one after the other.\n\n' +
          'With `expires_at` or `ttl_seconds` the memberships in `segments_to_add` expire at exactly that moment. An ' +
          'element of `segments_to_add` may be an object with an expiry of its own. For a segment the user is already ' +
          'in, the expiry is set again, which the history records: without an expiry, the membership becomes permanent.\n\n' +
          'A user is in at most one segment of an exclusive group. To add the user to another one of the group, delete the ' +
          'first one in the same request, or send `move`.',
        tags: ['segments'],
        headers: IdempotencyKeyHeadersSchema,
        params: UserParamsSchema,
        body: ChangeUserSegmentsBodySchema,
        response: {
          200: withWriteToken(
            emptyResponse('The user is in the segments to add and not in the segments to delete.')
          ),
          ...commonErrors,
          ...commonBodyErrors,
          ...idempotencyErrors,
          400: errorResponse('InvalidChangeError', 'The request is not valid.', {
            INVALID_REQUEST: 'unknown body field (segment_to_add)',
            DUPLICATE_SLUG: duplicateSlug('AVITO_VOICE_MESSAGES').message,
            EXPIRY_PASSED: expiryPassed().message,
            INVALID_JSON: invalidJson().message,
            INVALID_UTF8: invalidUtf8().message
          }),
          404: unknownSegments,
          409: conflictResponse(
            'UserSegmentsConflictError',
            'The user would be in two segments of an exclusive group. Or a segment to add is a holdout. Nothing has changed.',
            {
              GROUP_CONFLICT: groupConflict('10', 'PROMO_5', 'PROMO_10', 'PROMOTIONS').message,
              SEGMENT_IS_HOLDOUT: segmentIsHoldout('PROMO_5').message
            },
            {
              properties: {
                segment: Type.Optional(
                  Type.String({ description: 'With `GROUP_CONFLICT`: the segment to add.' })
                ),
                other_segment: Type.Optional(
                  Type.String({
                    description:
                      'With `GROUP_CONFLICT`: the segment that has the user, or is to be added too.'
                  })
                ),
                group: Type.Optional(
                  Type.String({ description: 'With `GROUP_CONFLICT`: the group of both.' })
                )
              },
              example: { segment: 'PROMO_5', other_segment: 'PROMO_10', group: 'PROMOTIONS' }
            }
          )
        }
      }
    },
    async (request, reply) => {
      const { body, actor } = request
      const { segments_to_add = [], segments_to_delete = [], expires_at, ttl_seconds } = body
      checkExpiry({ expires_at, ttl_seconds }, '')
      if ((expires_at ?? ttl_seconds) !== undefined && segments_to_add.length === 0)
        throw invalidRequest('body field (segments_to_add) must name what is to expire')
      const add = segments_to_add.map((segment, index) => {
        const named = typeof segment === 'string' ? { slug: segment } : segment
        checkExpiry(named, `segments_to_add[${index}].`)
        const hasExpiry = (named.expires_at ?? named.ttl_seconds) !== undefined
        const { expires_at, ttl_seconds } = hasExpiry ? named : body
        return { slug: named.slug.toUpperCase(), expiresAt: expires_at, timeToLive: ttl_seconds }
      })
      const remove = segments_to_delete.map((slug) => slug.toUpperCase())
      const slugs = [...add.map(({ slug }) => slug), ...remove]
      refuseDuplicates(slugs)
      const { user_id: userId } = request.params
      const refuse = async (db: Sql, refusal: ChangeRefusal): Promise<ApiError> => {
        if (refusal.reason === 'not_found') return segmentsNotFound(await selectMissingSlugs(db, slugs))
        if (refusal.reason === 'expiry_passed') return expiryPassed()
        if (refusal.reason === 'holdout') return segmentIsHoldout(refusal.segment)
        return groupConflict(userId, refusal.segment, refusal.other, refusal.group)
      }
      const change = { add, remove, move: body.move ?? false, actor: actor?.name ?? null }
      await writeOnce(request, reply, app.writes, async (db) => {
        const outcome = await changeUserSegments(db, userId, change)
        if ('reason' in outcome) throw await refuse(db, outcome)
        return { body: null, token: outcome.token }
      })
      return reply.send()
    }
  )
}
