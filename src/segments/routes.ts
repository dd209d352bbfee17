import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { emptyResponse, errorResponse } from '../../schemas/common.ts'
import { IdempotencyKeyHeadersSchema } from '../../schemas/idempotency.ts'
import { withNextLink } from '../../schemas/paging.ts'
import {
  ChangeSegmentBodySchema,
  CreateSegmentBodySchema,
  CreateSegmentHeadersSchema,
  ListSegmentsQuerySchema,
  SegmentChangeSchema,
  SegmentHistoryQuerySchema,
  SegmentHistorySchema,
  SegmentPageSchema,
  SegmentParamsSchema,
  SegmentSchema
} from '../../schemas/segments.ts'
import { withWriteToken } from '../../schemas/write-tokens.ts'
import { retryIdempotent } from '../database/retry.ts'
import {
  commonBodyErrors,
  commonErrors,
  conflictResponse,
  idempotencyErrors,
  invalidSlugs,
  pageErrors,
  unknownSegment,
  unknownSegmentOrGroup,
  unknownSegmentsOrGroup
} from '../http/common-responses.ts'
import { signalAbandonment } from '../http/deadline.ts'
import {
  groupAlreadyExists,
  groupExhausted,
  groupFull,
  groupOverlap,
  holdoutWithoutGroup,
  invalidRequest,
  segmentAlreadyExists,
  segmentBeingFilled,
  segmentNotFound,
  segmentNotFoundForDelete
} from '../http/errors.ts'
import { writeOnce } from '../http/idempotency.ts'
import { cutPage, decodeCursor, linkNextPage } from '../http/paging.ts'
import { isSlug } from '../http/slugs.ts'
import { trackWrites } from '../http/write-tokens.ts'
import { BULK_DEADLINE_MS, MAX_GROUP_SEGMENTS, MAX_LISTS_IN_FLIGHT } from '../limits.ts'
import { enrollsComposed, readComposition } from './composition-rules.ts'
import { createSegment } from './creation-queries.ts'
import { deleteSegment } from './deletion-queries.ts'
import { selectGroupDeletion } from './group-queries.ts'
import { deletedAt } from './group-routes.ts'
import { fixComposition } from './populations.ts'
import { selectDeletion, selectSegment, selectSegmentHistory, selectSegments } from './queries.ts'
import { changeSegment } from './share-queries.ts'

const SLUG = 'AVITO_VOICE_MESSAGES'
const GROUP = 'CHECKOUT_TEST'

const groupRefusals = {
  GROUP_EXHAUSTED: groupExhausted(GROUP, 100, 40).message,
  GROUP_FULL: groupFull(GROUP, MAX_GROUP_SEGMENTS).message
}

const freeUsers = Type.Optional(
  Type.Integer({
    description:
      'With `GROUP_EXHAUSTED`: how many users could be sampled. Absent if the shares of new users would exceed 1.'
  })
)

const isPosition = (text: string) => /^\d{1,18}$/.test(text)

const enrollsWithoutSelection = () => invalidRequest('body field (enroll_new_users) needs a selection')

/** Whether a `Prefer` header contains `respond-async` (RFC 7240, 4.1). */
function prefersAsync(prefer: string | undefined): boolean {
  // A quoted value may contain commas. One without an end reaches to the end of the header: looking for the end of each
  // quote in vain would take seconds for a long header.
  const preferences = (prefer ?? '').replace(/"(\\.|[^"\\])*"?/g, '').split(',')
  return preferences.some(
    (preference) => preference.split(/[;=]/)[0]?.trim().toLowerCase() === 'respond-async'
  )
}

export const segmentRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.post(
    '/segment',
    {
      // The answer waits until all users are in the segment; the time grows with their number.
      config: { role: 'admin', deadline: BULK_DEADLINE_MS },
      schema: {
        operationId: 'createSegment',
        summary: 'Create a segment',
        description:
          'With `selection`, that share of the known users, sampled at random, is in the segment before the ' +
          'answer. The segment and its members appear together or not at all. A slug is never reused, not even ' +
          'after its segment is deleted.\n\n' +
          'With the header `Prefer: respond-async` the service answers at once, samples among the users who are ' +
          'known now, and adds them in the background. Users whom another request adds or removes meanwhile stay as ' +
          'that request left them.\n\n' +
          'With `from`, the share is one of the users who are, or were at a moment, in these segments.\n\n' +
          'With `enroll_new_users`, each user who is first seen later joins with the probability `selection`.\n\n' +
          'In an exclusive `group`, the share of all known users is sampled from those who are in no segment of the group. ' +
          'One draw enrolls a new user into at most one of its segments. With `Prefer: respond-async`, all users are added ' +
          'at one moment.',
        tags: ['segments'],
        headers: CreateSegmentHeadersSchema,
        body: CreateSegmentBodySchema,
        response: {
          200: withWriteToken(emptyResponse('The segment exists.')),
          202: withWriteToken({
            ...emptyResponse('The segment exists. Its users are being added in the background.'),
            headers: {
              Location: {
                type: 'string',
                description: 'Where to read the progress.',
                examples: ['/api/v1/segment/AVITO_VOICE_MESSAGES']
              },
              'Preference-Applied': {
                type: 'string',
                description: 'The preference that was followed.',
                examples: ['respond-async']
              }
            }
          }),
          ...commonErrors,
          ...commonBodyErrors,
          ...idempotencyErrors,
          400: invalidSlugs,
          404: unknownSegmentsOrGroup,
          409: conflictResponse(
            'SegmentNotCreatedError',
            'The slug is taken by a segment or a group, possibly a deleted one. Or too few users are free in the group.',
            {
              SEGMENT_ALREADY_EXISTS: segmentAlreadyExists(SLUG).message,
              GROUP_ALREADY_EXISTS: groupAlreadyExists(SLUG).message,
              ...groupRefusals
            },
            {
              properties: { ...deletedAt.properties, free_users: freeUsers },
              example: { ...deletedAt.example, free_users: 40 }
            }
          )
        }
      }
    },
    async (request, reply) => {
      const { body, actor } = request
      if (body.enroll_new_users && body.from !== undefined) throw enrollsComposed()
      if (body.enroll_new_users && body.selection === undefined) throw enrollsWithoutSelection()
      if (body.holdout && body.group === undefined) throw holdoutWithoutGroup()
      const { from, group, ...properties } = body
      const composition = from && readComposition(from)
      const slug = body.slug.toUpperCase()
      const later = prefersAsync(request.headers.prefer)
      const accepted = {
        status: 202,
        headers: { location: `/api/v1/segment/${slug}`, 'preference-applied': 'respond-async' }
      }
      // Uses the bulk pool, because it may wait for another request that creates a segment with the same slug.
      const bulk = app.bulk.within(signalAbandonment(reply))
      const composed = composition && (await retryIdempotent(() => fixComposition(bulk, composition)))
      const segment = {
        ...(composed && { selection: 1, ...composed }),
        ...properties,
        slug,
        ...(group !== undefined && { group: group.toUpperCase() })
      }
      await writeOnce(request, reply, bulk, async (db) => {
        const token = await createSegment(db, segment, later, actor?.name ?? null)
        if (token === undefined) {
          const group = await selectGroupDeletion(db, slug)
          if (!group) throw segmentAlreadyExists(slug, await selectDeletion(db, slug))
          throw groupAlreadyExists(slug, group.deleted_at === null ? {} : { deleted_at: group.deleted_at })
        }
        return { ...(later ? accepted : {}), body: null, token }
      })
      if (later) app.backgroundJobs.assignments.wake()
      return reply.send()
    }
  )

  app.get(
    '/segment/:slug',
    {
      config: { role: 'reader' },
      schema: {
        operationId: 'getSegment',
        summary: 'Get a segment',
        description:
          'Its properties, its number of members, and the progress of adding them. It may be deleted.',
        tags: ['segments'],
        params: SegmentParamsSchema,
        response: {
          200: SegmentSchema,
          ...commonErrors,
          404: unknownSegment
        }
      }
    },
    async (request, reply) => {
      const slug = request.params.slug.toUpperCase()
      const lists = app.lists.within(signalAbandonment(reply))
      const segment = await retryIdempotent(() => selectSegment(lists, slug))
      if (!segment) throw segmentNotFound(slug)
      return segment
    }
  )

  app.get(
    '/segment/:slug/history',
    {
      config: { role: 'reader' },
      schema: {
        operationId: 'getSegmentHistory',
        summary: "Get a segment's history",
        description:
          'Who created, changed, filled and deleted the segment, and when, oldest first, one page at a time.',
        tags: ['segments'],
        params: SegmentParamsSchema,
        querystring: SegmentHistoryQuerySchema,
        response: {
          200: withNextLink(SegmentHistorySchema),
          ...commonErrors,
          400: pageErrors,
          404: unknownSegment
        }
      }
    },
    async (request, reply) => {
      const slug = request.params.slug.toUpperCase()
      const { limit: size, cursor } = request.query
      const list = `record/${slug}`
      const [after = '0'] = cursor === undefined ? [] : decodeCursor(list, cursor, [isPosition])
      const entries = await retryIdempotent(() => selectSegmentHistory(app.reads, slug, after, size + 1))
      if (!entries) throw segmentNotFound(slug)
      const { rows, next_cursor } = cutPage(list, entries, size, ({ id }) => [id])
      linkNextPage(request, reply, next_cursor)
      return { entries: rows, next_cursor }
    }
  )

  app.get(
    '/segments',
    {
      config: { role: 'reader', maxInFlight: MAX_LISTS_IN_FLIGHT, pausesRefusals: true },
      schema: {
        operationId: 'listSegments',
        summary: 'List segments',
        description:
          'Segments ordered by slug, with their numbers of members, one page at a time. A page is shorter than ' +
          '`limit` if counting the members takes longer than three seconds.',
        tags: ['segments'],
        querystring: ListSegmentsQuerySchema,
        response: { 200: withNextLink(SegmentPageSchema), ...commonErrors, 400: pageErrors }
      }
    },
    async (request, reply) => {
      const { limit: size, cursor, q: text = '', include_deleted: includeDeleted } = request.query
      const [after = ''] = cursor === undefined ? [] : decodeCursor('segments', cursor, [isSlug])
      const filter = { after, text, includeDeleted, limit: size }
      const lists = app.lists.within(signalAbandonment(reply))
      const { segments, hasMore } = await retryIdempotent(() => selectSegments(lists, filter))
      const { rows, next_cursor } = cutPage('segments', segments, size, ({ slug }) => [slug], hasMore)
      linkNextPage(request, reply, next_cursor)
      return { segments: rows, next_cursor }
    }
  )

  app.patch(
    '/segment/:slug',
    {
      config: { role: 'admin', deadline: BULK_DEADLINE_MS },
      schema: {
        operationId: 'changeSegment',
        summary: 'Change a segment',
        description:
          'With `selection` the share of the users changes at once, all or nothing: afterwards there are exactly ' +
          'ceil(selection × number of known users) sampled members. If there are too few, users who are not in the ' +
          'segment are sampled and join; explicitly removed users are never sampled again. If there are too many, ' +
          'sampled members leave at random. Explicitly added members stay and do not count. Nobody leaves when the ' +
          'share is raised. Other changes of the users of this segment wait meanwhile.\n\n' +
          'With `group` the segment enters an exclusive group, if no user would be in two of its segments, or leaves its ' +
          'group. In a group, users are sampled who are in none of its segments.',
        tags: ['segments'],
        headers: IdempotencyKeyHeadersSchema,
        params: SegmentParamsSchema,
        body: ChangeSegmentBodySchema,
        response: {
          200: withWriteToken(SegmentChangeSchema),
          ...commonErrors,
          ...commonBodyErrors,
          ...idempotencyErrors,
          404: unknownSegmentOrGroup,
          409: conflictResponse(
            'SegmentNotChangedError',
            'Users are still being added in the background. Or too few users are free in the group. Or users would be in ' +
              'two segments of it. Nothing has changed.',
            {
              SEGMENT_BEING_FILLED: segmentBeingFilled(SLUG).message,
              GROUP_CONFLICT: groupOverlap(SLUG, GROUP, 12).message,
              ...groupRefusals
            },
            {
              properties: {
                free_users: freeUsers,
                users: Type.Optional(
                  Type.Integer({
                    description:
                      'With `GROUP_CONFLICT`: how many users would be in two segments of the group.'
                  })
                )
              },
              example: {}
            }
          )
        }
      }
    },
    async (request, reply) => {
      const slug = request.params.slug.toUpperCase()
      const { body, actor } = request
      const change = body.group ? { ...body, group: body.group.toUpperCase() } : body
      const bulk = trackWrites(app.bulk.within(signalAbandonment(reply)), reply)
      return writeOnce(request, reply, bulk, async (db) => {
        const outcome = await changeSegment(db, slug, change, actor?.name ?? null)
        if (outcome === 'not_found') throw segmentNotFound(slug)
        if (outcome === 'composed') throw enrollsComposed()
        if (outcome === 'filling') throw segmentBeingFilled(slug)
        if (outcome === 'no_selection') throw enrollsWithoutSelection()
        return { body: outcome }
      })
    }
  )

  app.delete(
    '/segment/:slug',
    {
      config: { role: 'admin' },
      schema: {
        operationId: 'deleteSegment',
        summary: 'Delete a segment',
        description: 'Every membership in it ends at the time of the deletion. Its history stays.',
        tags: ['segments'],
        headers: IdempotencyKeyHeadersSchema,
        params: SegmentParamsSchema,
        response: {
          200: withWriteToken(emptyResponse('The segment is deleted.')),
          ...commonErrors,
          ...commonBodyErrors,
          ...idempotencyErrors,
          404: errorResponse('SegmentNotFoundError', 'There is no such segment, or it is already deleted.', {
            SEGMENT_NOT_FOUND: segmentNotFoundForDelete(SLUG).message
          })
        }
      }
    },
    async (request, reply) => {
      const slug = request.params.slug.toUpperCase()
      const actor = request.actor?.name ?? null
      await writeOnce(request, reply, app.writes, async (db) => {
        const token = await deleteSegment(db, slug, actor)
        if (token === undefined) throw segmentNotFoundForDelete(slug)
        return { body: null, token }
      })
      app.backgroundJobs.closing.wake()
      return reply.send()
    }
  )
}
