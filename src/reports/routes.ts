import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { type Static, type TSchema, Type } from '@sinclair/typebox'
import type { FastifyReply, FastifyRequest, onRequestHookHandler } from 'fastify'
import { errorResponse, retryableErrorResponse } from '../../schemas/common.ts'
import { IdempotencyKeyHeadersSchema, withReplay } from '../../schemas/idempotency.ts'
import { UserParamsSchema } from '../../schemas/memberships.ts'
import {
  type GivenInterval,
  type OrderedReport,
  OrderedReportSchema,
  OrderReportBodySchema,
  UserReportQuerySchema
} from '../../schemas/reports.ts'
import { retryIdempotent } from '../database/retry.ts'
import {
  commonBodyErrors,
  commonErrors,
  idempotencyErrors,
  reportsUnavailable,
  unknownSegment,
  unknownUser
} from '../http/common-responses.ts'
import {
  crossSiteOrder,
  rateLimited,
  reportQuotaExceeded,
  segmentNotFound,
  userNotFound
} from '../http/errors.ts'
import { type WriteAnswer, writeOnce } from '../http/idempotency.ts'
import { reportFileRoutes } from './file-routes.ts'
import { endInterval, type IntervalPlace, readInterval } from './intervals.ts'
import { ReportLinks } from './links.ts'
import type { PlacedOrder } from './order-queries.ts'
import { checkReportSubject, type ReportRequest, reportFilename } from './queries.ts'

/** The responses to an order that the service can't accept now. */
const orderRefusals = {
  429: retryableErrorResponse(
    'ReportOrderLimitedError',
    'The key has sent more requests than it may, or has too many reports.',
    {
      RATE_LIMITED: rateLimited('billing', 1000).message,
      REPORT_QUOTA_EXCEEDED: reportQuotaExceeded('billing', '100 unfinished reports').message
    }
  ),
  ...reportsUnavailable
}

/** Adds the response header with the link of the report. */
function withLocation<T extends TSchema>(answer: T) {
  return Type.Unsafe<Static<T>>({
    ...answer,
    headers: { Location: { type: 'string', format: 'uri', description: 'The same link.' } }
  })
}

type Order = {
  subject: Pick<ReportRequest, 'userId' | 'segment'>
  interval: GivenInterval
  details: boolean
  notFound: () => Error
  /** The part of the request with the interval. */
  part: IntervalPlace
  /** The path of the report's link, below the API's base path. */
  folder: string
}

const SEGMENT_REPORT = 'segment-AVITO_VOICE_MESSAGES_2023-08-01_2023-08-31.csv'

const EDITIONS =
  'It is made in the background: fetch it by the link in the answer. A finished report of a past interval is not made ' +
  'again. A report that includes today is made again for each order; orders that come while it is being made share ' +
  'the next one. A finished file stays until the next one is ready.'

type ReportRoutesOptions = {
  publicUrl: string | undefined
  /** The origins whose pages may call the service, separated by commas. */
  corsOrigins: string | undefined
}

export const reportRoutes: FastifyPluginAsyncTypebox<ReportRoutesOptions> = async (
  app,
  { publicUrl, corsOrigins }
) => {
  const links = new ReportLinks(app.writes, publicUrl)
  await app.register(reportFileRoutes, { links })
  const allowedOrigins = corsOrigins?.split(',') ?? []

  /**
   * Refuses an order by a page of another site. A GET needs no permission of the service's, so any page could have the
   * browsers of its visitors order reports.
   */
  const refuseOtherSites: onRequestHookHandler = ({ headers }, _reply, done) => {
    const isForeign = headers['sec-fetch-site'] === 'cross-site'
    done(isForeign && !allowedOrigins.includes(headers.origin ?? '') ? crossSiteOrder() : undefined)
  }

  /**
   * Orders a report.
   *
   * @returns the body of the answer.
   * @throws {ApiError} if the interval is empty or ends too late; `notFound` if the user or the segment does not exist.
   */
  async function order(
    { subject, interval, details, notFound, part, folder }: Order,
    request: FastifyRequest,
    reply: FastifyReply
  ): Promise<OrderedReport> {
    // Before the transaction, which must not wait for another connection.
    const writeLink = await links.prepare(request)
    const given = readInterval(interval, part)
    const { tomorrow, known } = await retryIdempotent(() => checkReportSubject(app.reads, subject))
    const report = { ...subject, ...endInterval(given, tomorrow, part), details }
    if (!known) throw notFound()
    const filename = reportFilename(report)
    const answerOrder = ({ as_of, series }: PlacedOrder): WriteAnswer<OrderedReport> => {
      const link = writeLink(folder, { filename, asOf: as_of ?? undefined }, series)
      return { status: 202, headers: { location: link }, body: { link } }
    }
    return app.reportJobs.order(report, request.id, request.actor?.name ?? '', (place) =>
      writeOnce(request, reply, app.writes, async (db) => answerOrder(await place(db)), {
        retry: retryIdempotent,
        hasToken: false
      })
    )
  }

  app.get(
    '/segments/user/:user_id/csv',
    {
      config: { role: 'reader' },
      // HEAD must have no effect.
      exposeHeadRoute: false,
      onRequest: refuseOtherSites,
      schema: {
        operationId: 'orderUserReport',
        summary: "Order a report of a user's history",
        description: `The report covers whole days in UTC: \`from\` is inclusive, \`to\` exclusive. ${EDITIONS}`,
        tags: ['reports'],
        params: UserParamsSchema,
        querystring: UserReportQuerySchema,
        response: {
          202: withLocation(OrderedReportSchema),
          ...commonErrors,
          ...orderRefusals,
          403: errorResponse('CrossSiteOrderError', 'A page of another site has sent the request.', {
            CROSS_SITE_ORDER: crossSiteOrder().message
          }),
          404: unknownUser
        }
      }
    },
    async (request, reply) => {
      const { details, ...interval } = request.query
      const userId = request.params.user_id
      return order(
        {
          subject: { userId },
          interval,
          details,
          notFound: () => userNotFound(userId),
          part: 'query parameter',
          folder: '/segments/user/history'
        },
        request,
        reply
      )
    }
  )

  app.post(
    '/reports',
    {
      config: { role: 'reader' },
      schema: {
        operationId: 'orderReport',
        summary: 'Order a report of the history of all users',
        description:
          'Of all segments, or of one, which may be deleted. Otherwise it is as the report of a user: whole days in ' +
          `UTC, \`from\` inclusive, \`to\` exclusive. ${EDITIONS}`,
        tags: ['reports'],
        headers: IdempotencyKeyHeadersSchema,
        body: OrderReportBodySchema,
        response: {
          202: withReplay(
            withLocation({
              ...OrderedReportSchema,
              examples: [{ link: `http://127.0.0.1:8080/api/v1/reports/${SEGMENT_REPORT}` }]
            })
          ),
          ...commonErrors,
          ...commonBodyErrors,
          ...idempotencyErrors,
          ...orderRefusals,
          404: unknownSegment
        }
      }
    },
    async (request, reply) => {
      const { details = false, segment: given, ...interval } = request.body
      const segment = given?.toUpperCase() ?? null
      return order(
        {
          subject: { segment },
          interval,
          details,
          notFound: () => segmentNotFound(segment ?? ''),
          part: 'body field',
          folder: '/reports'
        },
        request,
        reply
      )
    }
  )
}
