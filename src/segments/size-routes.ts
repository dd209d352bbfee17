import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import {
  SegmentParamsSchema,
  SizesQuerySchema,
  SizesSchema,
  UserCountSchema
} from '../../schemas/segments.ts'
import { retryIdempotent } from '../database/retry.ts'
import { selectSegmentId } from '../database/segment-slugs.ts'
import { startOf } from '../database/times.ts'
import { commonErrors, unknownSegment } from '../http/common-responses.ts'
import { signalAbandonment } from '../http/deadline.ts'
import { invalidRequest, segmentNotFound } from '../http/errors.ts'
import { MAX_LISTS_IN_FLIGHT, MAX_SIZES } from '../limits.ts'
import { countUsers, selectSizes } from './size-queries.ts'

const STEP_MS = { hour: 3_600_000, day: 86_400_000 }

/** How many users there are: in a segment over time, and in all. */
export const sizeRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/segment/:slug/sizes',
    {
      config: { role: 'reader', maxInFlight: MAX_LISTS_IN_FLIGHT, pausesRefusals: true },
      schema: {
        operationId: 'getSegmentSizes',
        summary: 'Get the sizes of a segment over time',
        description:
          'How many users were in the segment at each moment from `from` to `to`, exactly. Also of a deleted segment. Ten ' +
          `million periods take about two seconds. At most ${MAX_SIZES} moments.`,
        tags: ['segments'],
        params: SegmentParamsSchema,
        querystring: SizesQuerySchema,
        response: { 200: SizesSchema, ...commonErrors, 404: unknownSegment }
      }
    },
    async (request, reply) => {
      const slug = request.params.slug.toUpperCase()
      const { step } = request.query
      const from = startOf(request.query.from)
      const to = startOf(request.query.to)
      if (from !== null && to !== null && from > to)
        throw invalidRequest('query parameter (from) must not be after query parameter (to)')
      const end = Math.min(to === null ? Number.POSITIVE_INFINITY : Date.parse(to), Date.now())
      if (from !== null && (end - Date.parse(from)) / STEP_MS[step] >= MAX_SIZES)
        throw invalidRequest(
          `there are more than ${MAX_SIZES} moments: query parameter (from) must be later, or (step) longer`
        )
      const lists = app.lists.within(signalAbandonment(reply))
      const sizes = await retryIdempotent(async () => {
        const segmentId = await selectSegmentId(lists, slug)
        if (segmentId === undefined) throw segmentNotFound(slug)
        return selectSizes(lists, segmentId, { from, to, step })
      })
      return { sizes }
    }
  )

  app.get(
    '/users/count',
    {
      config: { role: 'reader', maxInFlight: MAX_LISTS_IN_FLIGHT, pausesRefusals: true },
      schema: {
        operationId: 'countUsers',
        summary: 'Count the known users',
        description: 'The users of whom a share is drawn.',
        tags: ['users'],
        response: { 200: UserCountSchema, ...commonErrors }
      }
    },
    async (_request, reply) => {
      const lists = app.lists.within(signalAbandonment(reply))
      return { users: await retryIdempotent(() => countUsers(lists)) }
    }
  )
}
