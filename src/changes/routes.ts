import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import {
  ChangeStreamHeadersSchema,
  ChangeStreamQuerySchema,
  ChangeStreamSchema,
  ChangesQuerySchema,
  ChangesSchema
} from '../../schemas/changes.ts'
import { contentResponse, errorResponse } from '../../schemas/common.ts'
import { encodeChangeCursor } from '../database/change-states.ts'
import { retryIdempotent } from '../database/retry.ts'
import { selectSegmentId } from '../database/segment-slugs.ts'
import { readCursor } from '../http/change-cursors.ts'
import { commonErrors, unknownSegment } from '../http/common-responses.ts'
import { signalAbandonment } from '../http/deadline.ts'
import { cursorExpired, invalidChangeCursor, segmentNotFound } from '../http/errors.ts'
import { sendStream } from '../http/send-stream.ts'
import {
  CHANGE_DEADLINE_MS,
  CHANGE_STREAM_PAGE_SIZE,
  MAX_CHANGE_READERS,
  MAX_CHANGE_STREAMS
} from '../limits.ts'
import type { ChangeFilter } from './queries.ts'
import { streamChanges } from './stream.ts'

const changeErrors = {
  ...commonErrors,
  400: errorResponse('InvalidChangesRequestError', 'The request is not valid.', {
    INVALID_REQUEST: 'query parameter (wait) must be an integer from 0 to 30',
    INVALID_CURSOR: invalidChangeCursor('query parameter (after)').message
  }),
  404: unknownSegment,
  410: errorResponse(
    'CursorExpiredError',
    'Changes after the cursor are no longer kept, or the database has been restored to an earlier state.',
    { CURSOR_EXPIRED: cursorExpired().message }
  )
}

export const changeRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const parseCursor = (text: string, name: string) =>
    retryIdempotent(() => readCursor(app.changes, text, name))

  /** @throws {ApiError} SEGMENT_NOT_FOUND if the segment never existed. */
  async function readFilter(query: {
    segment?: string | undefined
    user_id?: string | undefined
  }): Promise<ChangeFilter> {
    const slug = query.segment?.toUpperCase()
    const userId = query.user_id ?? null
    if (slug === undefined) return { segmentIds: null, userId }
    const segmentId = await retryIdempotent(() => selectSegmentId(app.changes, slug))
    if (segmentId === undefined) throw segmentNotFound(slug)
    return { segmentIds: [segmentId], userId }
  }

  app.get(
    '/changes',
    {
      config: {
        role: 'reader',
        deadline: CHANGE_DEADLINE_MS,
        maxInFlight: MAX_CHANGE_READERS,
        pausesRefusals: true
      },
      schema: {
        operationId: 'listChanges',
        summary: 'Read the change feed',
        description:
          'What has changed since a cursor: each change once, changes of one user in the order in which they took ' +
          'effect. Read again with the `cursor` of the answer, which is there even without changes. Nothing is sent when ' +
          'a membership expires: `expires_at` has announced it.',
        tags: ['changes'],
        querystring: ChangesQuerySchema,
        response: { 200: ChangesSchema, ...changeErrors }
      }
    },
    async (request, reply) => {
      const { after, limit, wait } = request.query
      const signal = signalAbandonment(reply)
      const filter = await readFilter(request.query)
      const cursor = await parseCursor(after, 'query parameter (after)')
      const page = await app.changeFeed.read(
        { cursor, filter, limit, signal },
        wait * 1_000,
        app.shutdown.draining
      )
      return { changes: page.changes, cursor: encodeChangeCursor(page.cursor) }
    }
  )

  app.get(
    '/changes/stream',
    {
      config: { role: 'reader', maxInFlight: MAX_CHANGE_STREAMS, pausesRefusals: true },
      schema: {
        operationId: 'streamChanges',
        summary: 'Follow the change feed',
        description:
          'The same changes as server-sent events: the `id` is the cursor, the event is the type of the change. A client ' +
          'that connects again sends the last `id` as `Last-Event-ID`, as browsers do, and misses nothing. Without it and ' +
          'without `after`, the stream begins with the next change. Every 15 seconds without changes a heartbeat is sent. ' +
          'A client that reads nothing for a minute is disconnected. An instance sends at most 64 streams.',
        tags: ['changes'],
        querystring: ChangeStreamQuerySchema,
        headers: ChangeStreamHeadersSchema,
        response: {
          200: contentResponse('Changes, without an end.', 'text/event-stream', ChangeStreamSchema),
          ...changeErrors
        }
      }
    },
    async (request, reply) => {
      const signal = signalAbandonment(reply)
      const filter = await readFilter(request.query)
      const { wait } = request.query
      const { 'last-event-id': lastId } = request.headers
      const cursor =
        lastId === undefined
          ? await parseCursor(request.query.after ?? 'now', 'query parameter (after)')
          : await parseCursor(lastId, 'header (last-event-id)')
      const { draining } = app.shutdown
      const read = { cursor, filter, limit: CHANGE_STREAM_PAGE_SIZE, signal }
      // Read before the answer begins, so that an error is answered as usual.
      const first = await app.changeFeed.read(read, 0, draining)
      reply.type('text/event-stream; charset=utf-8').header('x-accel-buffering', 'no')
      return sendStream(
        reply,
        streamChanges(app.changeFeed, read, first, draining, wait === undefined ? undefined : wait * 1_000)
      )
    }
  )
}
