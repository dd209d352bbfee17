import type { Readable } from 'node:stream'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { contentResponse, emptyResponse, errorResponse } from '../../../schemas/common.ts'
import {
  CreateSegmentBodySchema,
  CreateSegmentHeadersSchema,
  MembersCsvSchema,
  SegmentParamsSchema,
  SegmentSchema
} from '../../../schemas/segments.ts'
import { retryIdempotent, retryWrite } from '../../database.ts'
import { segmentAlreadyExists, segmentNotFound, segmentNotFoundForDelete } from '../../errors.ts'
import { BULK_STATEMENT_TIMEOUT } from '../../plugins/database.ts'
import { commonBodyErrors, commonErrors } from '../common-errors.ts'
import { openMembersCsv } from './members-csv.ts'
import { createSegment, deleteSegment, selectSegment } from './queries.ts'

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
          'request left them.',
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
      const slug = request.body.slug.toUpperCase()
      const later = prefersAsync(request.headers.prefer)
      // Never on the hot paths' connections: it waits for whoever else is creating a segment of that slug.
      const created = await retryWrite(() => createSegment(app.bulkSql, slug, request.body.selection, later))
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
      if (!(await retryWrite(() => deleteSegment(app.writeSql, slug)))) throw segmentNotFoundForDelete(slug)
      app.backgroundJobs.closing.wake()
      return reply.send()
    }
  )
}
