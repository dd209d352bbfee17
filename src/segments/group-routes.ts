import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { AnsweredTimeSchema, describe, emptyResponse } from '../../schemas/common.ts'
import {
  CreateGroupBodySchema,
  GroupPageSchema,
  GroupParamsSchema,
  GroupReportSchema,
  ListGroupsQuerySchema
} from '../../schemas/groups.ts'
import { IdempotencyKeyHeadersSchema } from '../../schemas/idempotency.ts'
import { withNextLink } from '../../schemas/paging.ts'
import { withWriteToken } from '../../schemas/write-tokens.ts'
import { retryIdempotent } from '../database/retry.ts'
import {
  commonBodyErrors,
  commonErrors,
  conflictResponse,
  idempotencyErrors,
  pageErrors,
  unknownGroup
} from '../http/common-responses.ts'
import { signalAbandonment } from '../http/deadline.ts'
import { groupAlreadyExists, groupNotFound, segmentAlreadyExists } from '../http/errors.ts'
import { writeOnce } from '../http/idempotency.ts'
import { cutPage, decodeCursor, linkNextPage } from '../http/paging.ts'
import { isSlug } from '../http/slugs.ts'
import { trackWrites } from '../http/write-tokens.ts'
import { BULK_DEADLINE_MS, MAX_LISTS_IN_FLIGHT } from '../limits.ts'
import {
  createGroup,
  deleteGroup,
  selectGroupDeletion,
  selectGroupReport,
  selectGroups
} from './group-queries.ts'
import { selectDeletion } from './queries.ts'

const SLUG = 'CHECKOUT_TEST'

export const deletedAt = {
  properties: {
    deleted_at: Type.Optional(
      describe(AnsweredTimeSchema, {
        description: 'When what has this slug was deleted. Absent if it is not deleted.'
      })
    )
  },
  example: { deleted_at: '2026-11-23T08:51:00.123456Z' }
}

/** Exclusive groups: a user is in at most one segment of a group at any moment. */
export const groupRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.post(
    '/groups',
    {
      config: { role: 'admin' },
      schema: {
        operationId: 'createGroup',
        summary: 'Create an exclusive group',
        description:
          'A user is in at most one segment of the group at any moment. Segments are created in it, or enter it, with ' +
          '`group`. No slug names both a group and a segment, and none is ever reused.',
        tags: ['groups'],
        headers: IdempotencyKeyHeadersSchema,
        body: CreateGroupBodySchema,
        response: {
          200: withWriteToken(emptyResponse('The group exists. It has no segments yet.')),
          ...commonErrors,
          ...commonBodyErrors,
          ...idempotencyErrors,
          409: conflictResponse(
            'GroupAlreadyExistsError',
            'The slug is taken by a group or a segment, possibly a deleted one.',
            {
              GROUP_ALREADY_EXISTS: groupAlreadyExists(SLUG).message,
              SEGMENT_ALREADY_EXISTS: segmentAlreadyExists(SLUG).message
            },
            deletedAt
          )
        }
      }
    },
    async (request, reply) => {
      const { body, actor } = request
      const slug = body.slug.toUpperCase()
      await writeOnce(request, reply, app.writes, async (db) => {
        const token = await createGroup(db, { ...body, slug }, actor?.name ?? null)
        if (token !== undefined) return { body: null, token }
        const group = await selectGroupDeletion(db, slug)
        if (!group) throw segmentAlreadyExists(slug, await selectDeletion(db, slug))
        throw groupAlreadyExists(slug, group.deleted_at === null ? {} : { deleted_at: group.deleted_at })
      })
      return reply.send()
    }
  )

  app.get(
    '/groups',
    {
      config: { role: 'reader' },
      schema: {
        operationId: 'listGroups',
        summary: 'List exclusive groups',
        description: 'Groups that are not deleted, ordered by slug, with their segments, one page at a time.',
        tags: ['groups'],
        querystring: ListGroupsQuerySchema,
        response: { 200: withNextLink(GroupPageSchema), ...commonErrors, 400: pageErrors }
      }
    },
    async (request, reply) => {
      const { limit: size, cursor } = request.query
      const [after = ''] = cursor === undefined ? [] : decodeCursor('groups', cursor, [isSlug])
      const groups = await retryIdempotent(() => selectGroups(app.reads, after, size + 1))
      const { rows, next_cursor } = cutPage('groups', groups, size, ({ slug }) => [slug])
      linkNextPage(request, reply, next_cursor)
      return { groups: rows, next_cursor }
    }
  )

  app.get(
    '/groups/:slug',
    {
      config: { role: 'reader', maxInFlight: MAX_LISTS_IN_FLIGHT, pausesRefusals: true },
      schema: {
        operationId: 'getGroup',
        summary: 'Get an exclusive group',
        description:
          'Its segments, their shares and numbers of members, and the number of users who are free, all at one moment. ' +
          'It may be deleted.',
        tags: ['groups'],
        params: GroupParamsSchema,
        response: { 200: GroupReportSchema, ...commonErrors, 404: unknownGroup }
      }
    },
    async (request, reply) => {
      const slug = request.params.slug.toUpperCase()
      const lists = app.lists.within(signalAbandonment(reply))
      const group = await retryIdempotent(() => selectGroupReport(lists, slug))
      if (!group) throw groupNotFound(slug)
      return group
    }
  )

  app.delete(
    '/groups/:slug',
    {
      config: { role: 'admin', deadline: BULK_DEADLINE_MS },
      schema: {
        operationId: 'deleteGroup',
        summary: 'Delete an exclusive group',
        description: 'Its segments and their members stay. From then on, a user may be in several of them.',
        tags: ['groups'],
        headers: IdempotencyKeyHeadersSchema,
        params: GroupParamsSchema,
        response: {
          200: withWriteToken(emptyResponse('The group is deleted.')),
          ...commonErrors,
          ...commonBodyErrors,
          ...idempotencyErrors,
          404: unknownGroup
        }
      }
    },
    async (request, reply) => {
      const slug = request.params.slug.toUpperCase()
      const actor = request.actor?.name ?? null
      // Uses the bulk pool, because it may wait for a change of many members.
      const bulk = trackWrites(app.bulk.within(signalAbandonment(reply)), reply)
      await writeOnce(request, reply, bulk, async (db) => {
        if (!(await deleteGroup(db, slug, actor))) throw groupNotFound(slug)
        return { body: null }
      })
      return reply.send()
    }
  )
}
