import type { Readable } from 'node:stream'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { changeCursorHeader } from '../../schemas/changes.ts'
import { contentResponse, MAX_USER_ID, type Slug, type Time } from '../../schemas/common.ts'
import { withNextLink } from '../../schemas/paging.ts'
import {
  DownloadMembersQuerySchema,
  ListMembersQuerySchema,
  MemberPageSchema,
  MembersCsvSchema,
  SegmentParamsSchema
} from '../../schemas/segments.ts'
import type { Sql } from '../database/connect.ts'
import { retryIdempotent } from '../database/retry.ts'
import { selectSegmentId } from '../database/segment-slugs.ts'
import { commonErrors, pageErrors, unknownSegment } from '../http/common-responses.ts'
import { signalAbandonment } from '../http/deadline.ts'
import { invalidRequest, segmentNotFound } from '../http/errors.ts'
import { cutPage, decodeCursor, linkNextPage } from '../http/paging.ts'
import { sendStream } from '../http/send-stream.ts'
import { MAX_DOWNLOADS } from '../limits.ts'
import { openMembersCsv } from './members-csv.ts'
import { isPast, selectMembers } from './queries.ts'

const isUserId = (text: string) => /^[1-9]\d{0,18}$/.test(text) && BigInt(text) <= MAX_USER_ID

/**
 * Returns the id of a segment, even of a deleted one.
 *
 * @throws {ApiError} SEGMENT_NOT_FOUND if it never existed, INVALID_REQUEST if `at` is in the future.
 */
async function findSegment(sql: Sql, slug: Slug, at: Time | null): Promise<number> {
  const segmentId = await selectSegmentId(sql, slug)
  if (segmentId === undefined) throw segmentNotFound(slug)
  if (at !== null && !(await isPast(sql, at)))
    throw invalidRequest('query parameter (at) must not be in the future')
  return segmentId
}

/** The users of a segment: as pages, and as a download of all of them. */
export const memberRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/segment/:slug/users',
    {
      config: { role: 'reader' },
      schema: {
        operationId: 'listSegmentUsers',
        summary: 'List the users of a segment',
        description:
          'The users in the segment now, ordered by id, one page at a time. Each page shows its own moment: users ' +
          'who join meanwhile are listed if their ids come after the cursor, and nobody is listed twice. With `at`, the ' +
          'users who were in the segment at that moment, even if it has been deleted since.',
        tags: ['segments'],
        params: SegmentParamsSchema,
        querystring: ListMembersQuerySchema,
        response: {
          200: withNextLink(MemberPageSchema),
          ...commonErrors,
          400: pageErrors,
          404: unknownSegment
        }
      }
    },
    async (request, reply) => {
      const slug = request.params.slug.toUpperCase()
      const { limit: size, cursor, at = null } = request.query
      const list = at === null ? `users/${slug}` : `users/${slug}/${at}`
      const [after = '0'] = cursor === undefined ? [] : decodeCursor(list, cursor, [isUserId])
      const lists = app.lists.within(signalAbandonment(reply))
      const members = await retryIdempotent(async () => {
        const segmentId = await findSegment(lists, slug, at)
        return selectMembers(lists, { segmentId, at, after, limit: size + 1 })
      })
      const { rows, next_cursor } = cutPage(list, members, size, ({ user_id }) => [user_id])
      linkNextPage(request, reply, next_cursor)
      return { users: rows, next_cursor }
    }
  )

  const memberStreams = new Set<Readable>()
  // A download may last longer than the shutdown may take.
  app.addHook('preClose', async () => {
    for (const members of memberStreams) members.destroy(new Error('the service is shutting down'))
  })

  app.get(
    '/segment/:slug/users.csv',
    {
      config: { role: 'reader', maxInFlight: MAX_DOWNLOADS, pausesRefusals: true },
      schema: {
        operationId: 'downloadSegmentUsers',
        summary: 'Download the users of a segment',
        description:
          'All users in the segment at one moment, now or `at`, whatever changes during the download. The answer is complete only ' +
          'if its chunked body ends properly: otherwise HTTP clients report an error. It is aborted if the database ' +
          'fails, if the client reads nothing for a minute, and after ten minutes. An instance sends at most four at ' +
          'once, and answers `OVERLOADED` to others.',
        tags: ['segments'],
        params: SegmentParamsSchema,
        querystring: DownloadMembersQuerySchema,
        response: {
          200: {
            ...contentResponse(
              'The users of the segment. A deleted one has none.',
              'text/csv',
              MembersCsvSchema
            ),
            headers: {
              'x-segments-cursor': changeCursorHeader(
                'The cursor of the change feed for this moment: follow the segment from it. Not with `at`.'
              )
            }
          },
          ...commonErrors,
          404: unknownSegment
        }
      }
    },
    async (request, reply) => {
      const slug = request.params.slug.toUpperCase()
      const { expires: hasExpiries, at = null } = request.query
      const segmentId = await retryIdempotent(() => findSegment(app.bulk, slug, at))
      const { members, cursor } = await openMembersCsv(app.bulk, { segmentId, at, hasExpiries })
      memberStreams.add(members)
      members.once('close', () => memberStreams.delete(members))
      // The deadline has passed meanwhile.
      if (reply.sent) {
        members.destroy()
        return reply
      }
      reply
        .type('text/csv; charset=utf-8')
        .header('content-disposition', `attachment; filename="segment-${slug}-users.csv"`)
      if (at === null) reply.header('x-segments-cursor', cursor)
      return sendStream(reply, members)
    }
  )
}
