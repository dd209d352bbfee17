import type { Readable } from 'node:stream'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import {
  contentResponse,
  emptyResponse,
  errorResponse,
  MAX_USER_ID,
  passingErrorResponse
} from '../../schemas/common.ts'
import {
  ChangeSegmentBodySchema,
  CreateSegmentBodySchema,
  CreateSegmentHeadersSchema,
  ListMembersQuerySchema,
  ListSegmentsQuerySchema,
  MemberPageSchema,
  MembersCsvSchema,
  type Segment,
  SegmentChangeSchema,
  SegmentPageSchema,
  SegmentParamsSchema,
  SegmentSchema
} from '../../schemas/segments.ts'
import { retryIdempotent, retryWrite } from '../database/faults.ts'
import { BULK_STATEMENT_TIMEOUT } from '../database/pools.ts'
import { commonBodyErrors, commonErrors, pageErrors } from '../http/common-responses.ts'
import {
  invalidRequest,
  segmentAlreadyExists,
  segmentBeingFilled,
  segmentNotFound,
  segmentNotFoundForDelete
} from '../http/errors.ts'
import { cutPage, decodeCursor, pageSize } from '../http/paging.ts'
import { openMembersCsv } from './members-csv.ts'
import {
  changeSegment,
  createSegment,
  deleteSegment,
  selectMembers,
  selectSegment,
  selectSegments
} from './queries.ts'

const isSlug = (text: string) => /^[A-Z0-9][A-Z0-9_.-]{0,127}$/.test(text)
const isUserId = (text: string) => /^[1-9]\d{0,18}$/.test(text) && BigInt(text) <= MAX_USER_ID

const enrollsWithoutSelection = () => invalidRequest('body field (enroll_new_users) needs a selection')

/** Whether a `Prefer` header asks for an answer before the work is done (RFC 7240, 4.1). */
function prefersAsync(prefer: string | undefined): boolean {
  // A quoted value may hold commas.
  const preferences = (prefer ?? '').replace(/"(\\.|[^"\\])*"/g, '').split(',')
  return preferences.some(
    (preference) => preference.split(/[;=]/)[0]?.trim().toLowerCase() === 'respond-async'
  )
}

/** Members that are read at once by an instance, as each takes a connection and keeps a snapshot. */
const MAX_MEMBER_STREAMS = 4
/** Milliseconds in which a client has to take something of what is sent to it: one that is gone for good must not keep that. */
const STALL_TIMEOUT_MS = 60_000

export const segmentRoutes: FastifyPluginAsyncTypebox<{ databaseUrl: string }> = async (
  app,
  { databaseUrl }
) => {
  app.post(
    '/segment',
    {
      // An assignment answers when its users are in the segment, which takes as long as there are users.
      config: { role: 'admin', deadline: BULK_STATEMENT_TIMEOUT + 10_000 },
      schema: {
        operationId: 'createSegment',
        summary: 'Create a segment',
        description:
          'With `selection`, that share of the known users, chosen at random, is in the segment before the ' +
          'answer. The segment and its members appear together or not at all. A slug is never used again, ' +
          'not even when its segment is deleted.\n\n' +
          'With the header `Prefer: respond-async` the answer comes at once, and the users, of all who are known ' +
          'now, are put in afterwards, part by part. Whom a request puts in or takes out meanwhile stays as the ' +
          'request left them.\n\n' +
          'With `enroll_new_users`, a user who is first seen later joins with `selection` as the probability.',
        tags: ['segments'],
        headers: CreateSegmentHeadersSchema,
        body: CreateSegmentBodySchema,
        response: {
          200: emptyResponse('The segment exists.'),
          202: {
            ...emptyResponse('The segment exists; its users are put in from now on.'),
            headers: {
              Location: {
                type: 'string',
                description: 'Where to see how far that is.',
                examples: ['/api/v1/segment/AVITO_VOICE_MESSAGES']
              },
              'Preference-Applied': { type: 'string', examples: ['respond-async'] }
            }
          },
          ...commonErrors,
          ...commonBodyErrors,
          409: errorResponse('The slug is taken, maybe by a deleted segment.', {
            SEGMENT_ALREADY_EXISTS: 'segment with slug (AVITO_VOICE_MESSAGES) already exists'
          })
        }
      }
    },
    async (request, reply) => {
      const { body, actor } = request
      if (body.enroll_new_users && body.selection === undefined) throw enrollsWithoutSelection()
      const slug = body.slug.toUpperCase()
      const later = prefersAsync(request.headers.prefer)
      // Never on the hot paths' connections: it waits for whoever else is creating a segment of that slug.
      const created = await retryWrite(() =>
        createSegment(app.bulkSql, { ...body, slug }, later, actor?.name ?? null)
      )
      if (!created) throw segmentAlreadyExists(slug)
      if (!later) return reply.send()
      app.backgroundJobs.assignments.wake()
      return reply
        .status(202)
        .header('location', `/api/v1/segment/${slug}`)
        .header('preference-applied', 'respond-async')
        .send()
    }
  )

  app.get(
    '/segment/:slug',
    {
      config: { role: 'reader' },
      schema: {
        operationId: 'getSegment',
        summary: 'Get a segment',
        description: 'Also a deleted one, and how far its users have been put in.',
        tags: ['segments'],
        params: SegmentParamsSchema,
        response: {
          200: SegmentSchema,
          ...commonErrors,
          404: errorResponse('There is and was no such segment.', {
            SEGMENT_NOT_FOUND: 'segment with slug (AVITO_VOICE_MESSAGES) not found'
          })
        }
      }
    },
    async (request) => {
      const slug = request.params.slug.toUpperCase()
      const segment = await retryIdempotent(() => selectSegment(app.bulkSql, slug))
      if (!segment) throw segmentNotFound(slug)
      return segment
    }
  )

  app.get(
    '/segments',
    {
      config: { role: 'reader' },
      schema: {
        operationId: 'listSegments',
        summary: 'List segments',
        description:
          'By their slugs, with the number of their members now, a page at a time. A page is shorter than `limit` where ' +
          'counting the members takes over three seconds.',
        tags: ['segments'],
        querystring: ListSegmentsQuerySchema,
        response: { 200: SegmentPageSchema, ...commonErrors, 400: pageErrors }
      }
    },
    async (request) => {
      const { limit, cursor, q: text = '', include_deleted } = request.query
      const [after = ''] = cursor === undefined ? [] : decodeCursor('segments', cursor, [isSlug])
      const size = pageSize(limit)
      const filter = { after, text, includeDeleted: include_deleted === 'true', limit: size + 1 }
      const found = await retryIdempotent(() => selectSegments(app.bulkSql, filter))
      const counted = found.filter((segment): segment is Segment => segment.members !== null)
      const hasMore = found.length > size || found.length > counted.length
      const { rows, next_cursor } = cutPage('segments', counted, size, ({ slug }) => [slug], hasMore)
      return { segments: rows, next_cursor }
    }
  )

  app.get(
    '/segment/:slug/users',
    {
      config: { role: 'reader' },
      schema: {
        operationId: 'listSegmentUsers',
        summary: "List a segment's users",
        description:
          'Who is in it now, by their ids, a page at a time. Each page is of its own moment: who joins behind the ' +
          'cursor meanwhile is listed, nobody is listed twice.',
        tags: ['segments'],
        params: SegmentParamsSchema,
        querystring: ListMembersQuerySchema,
        response: {
          200: MemberPageSchema,
          ...commonErrors,
          400: pageErrors,
          404: errorResponse('There is and was no such segment.', {
            SEGMENT_NOT_FOUND: 'segment with slug (AVITO_VOICE_MESSAGES) not found'
          })
        }
      }
    },
    async (request) => {
      const slug = request.params.slug.toUpperCase()
      const { limit, cursor } = request.query
      const list = `users/${slug}`
      const [after = '0'] = cursor === undefined ? [] : decodeCursor(list, cursor, [isUserId])
      const size = pageSize(limit)
      const members = await retryIdempotent(() => selectMembers(app.bulkSql, slug, after, size + 1))
      if (!members) throw segmentNotFound(slug)
      const { rows, next_cursor } = cutPage(list, members, size, ({ user_id }) => [user_id])
      return { users: rows, next_cursor }
    }
  )

  const memberStreams = new Set<Readable>()
  // They may last for longer than a process has to end in.
  app.addHook('preClose', async () => {
    for (const members of memberStreams) members.destroy(new Error('the service is shutting down'))
  })

  app.get(
    '/segment/:slug/users.csv',
    {
      config: { role: 'reader', maxInFlight: MAX_MEMBER_STREAMS },
      schema: {
        operationId: 'getSegmentUsers',
        summary: 'Get the users of a segment',
        description:
          'Those who are in it at one moment, whatever changes while they are sent. An answer is whole only where its ' +
          'chunked body has its proper end: HTTP clients report an error otherwise. It is broken off where the ' +
          'database fails, where the client takes nothing for a minute, and after ten minutes. At most four are sent ' +
          'at once by an instance (`OVERLOADED`).',
        tags: ['segments'],
        params: SegmentParamsSchema,
        response: {
          200: contentResponse('The users. A deleted segment has none.', 'text/csv', MembersCsvSchema),
          ...commonErrors,
          404: errorResponse('There is and was no such segment.', {
            SEGMENT_NOT_FOUND: 'segment with slug (AVITO_VOICE_MESSAGES) not found'
          })
        }
      }
    },
    async (request, reply) => {
      const slug = request.params.slug.toUpperCase()
      const members = await openMembersCsv(databaseUrl, slug)
      memberStreams.add(members)
      members.once('close', () => memberStreams.delete(members))
      // By itself Fastify reads all of it before it answers nothing of it.
      if (reply.sent || request.method === 'HEAD') members.destroy()
      // Its deadline has passed.
      if (reply.sent) return reply
      reply.raw.setTimeout(STALL_TIMEOUT_MS, () => reply.raw.destroy())
      reply
        .type('text/csv; charset=utf-8')
        .header('content-disposition', `attachment; filename="segment-${slug}-users.csv"`)
      return reply.send(members)
    }
  )

  app.patch(
    '/segment/:slug',
    {
      config: { role: 'admin', deadline: BULK_STATEMENT_TIMEOUT + 10_000 },
      schema: {
        operationId: 'changeSegment',
        summary: 'Change a segment',
        description:
          'With `selection` the share of the users changes at once, and all or nothing: of the members who were put ' +
          'in by chance there are exactly ceil(selection × number of known users) afterwards. Random users who are ' +
          'not in it join, but for those who were once taken out by name; or random ones leave of those who were put in ' +
          'by chance. Who came in by name stays, and does not count. Nobody leaves where the share is raised. Meanwhile ' +
          'changes of this segment’s users wait.',
        tags: ['segments'],
        params: SegmentParamsSchema,
        body: ChangeSegmentBodySchema,
        response: {
          200: SegmentChangeSchema,
          ...commonErrors,
          ...commonBodyErrors,
          404: errorResponse('There is no such segment, or it is deleted.', {
            SEGMENT_NOT_FOUND: 'segment with slug (AVITO_VOICE_MESSAGES) not found'
          }),
          409: passingErrorResponse('The segment is not ready for it. Nothing has changed.', {
            SEGMENT_BEING_FILLED: 'users are still being put into segment with slug (AVITO_VOICE_MESSAGES)'
          })
        }
      }
    },
    async (request) => {
      const slug = request.params.slug.toUpperCase()
      const { body, actor } = request
      const change = await retryWrite(() => changeSegment(app.bulkSql, slug, body, actor?.name ?? null))
      if (change === 'not_found') throw segmentNotFound(slug)
      if (change === 'filling') throw segmentBeingFilled(slug)
      if (change === 'no_selection') throw enrollsWithoutSelection()
      return change
    }
  )

  app.delete(
    '/segment/:slug',
    {
      config: { role: 'admin' },
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
      const actor = request.actor?.name ?? null
      if (!(await retryWrite(() => deleteSegment(app.writeSql, slug, actor))))
        throw segmentNotFoundForDelete(slug)
      app.backgroundJobs.closing.wake()
      return reply.send()
    }
  )
}
