import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest, onRequestHookHandler } from 'fastify'
import { errorResponse, retryableErrorResponse } from '../../schemas/common.ts'
import { UserParamsSchema } from '../../schemas/memberships.ts'
import {
  type GivenInterval,
  OrderedReportSchema,
  OrderReportBodySchema,
  UserReportQuerySchema
} from '../../schemas/reports.ts'
import { retryIdempotent } from '../database/retry.ts'
import {
  commonBodyErrors,
  commonErrors,
  reportsUnavailable,
  unknownSegment,
  unknownUser
} from '../http/common-responses.ts'
import {
  crossSiteOrder,
  invalidRequest,
  rateLimited,
  reportQuotaExceeded,
  segmentNotFound,
  userNotFound
} from '../http/errors.ts'
import { reportFileRoutes } from './file-routes.ts'
import { endInterval, type IntervalPlace, readInterval } from './intervals.ts'
import { LinkSigner } from './links.ts'
import { checkReportSubject, type ReportRequest, reportFilename } from './queries.ts'

/** A valid host with an optional port. The header `Host` may contain anything. */
const authority = /^(\[[\da-f:.]+\]|[\w.~%!$&'()*+,;=-]+)(:\d+)?$/i

/**
 * The base URL of links if PUBLIC_URL is not set: the address at which the client has reached this service.
 *
 * @throws {ApiError} if the header `Host` is not valid.
 */
function requestOrigin({ protocol, host, socket }: FastifyRequest): string {
  // A request of HTTP/1.0 may have no Host.
  if (!host) return `${protocol}://${socket.localAddress}:${socket.localPort}`
  if (!authority.test(host) || !URL.canParse(`${protocol}://${host}`))
    throw invalidRequest('header (host) must be a host name, with a port or without')
  return `${protocol}://${host}`
}

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
  const signer = new LinkSigner(app.writes)
  await app.register(reportFileRoutes, { signer })
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
   * @returns its link.
   * @throws {ApiError} if the interval is empty or ends too late; `notFound` if the user or the segment does not exist.
   */
  async function order(
    { subject, interval, details, notFound, part, folder }: Order,
    request: FastifyRequest
  ): Promise<{ link: string }> {
    const base = publicUrl?.replace(/\/+$/, '') ?? requestOrigin(request)
    const given = readInterval(interval, part)
    const { tomorrow, known } = await retryIdempotent(() => checkReportSubject(app.reads, subject))
    const report = { ...subject, ...endInterval(given, tomorrow, part), details }
    if (!known) throw notFound()
    const { actor } = request
    const placed = await app.reportJobs.order(report, request.id, actor?.name ?? '')
    const link = { filename: reportFilename(report), asOf: placed.as_of ?? undefined }
    const query = new URLSearchParams()
    if (link.asOf !== undefined) query.set('as_of', link.asOf)
    if (actor) query.set('signature', await signer.sign(link, placed.series))
    // A colon needs no encoding in a query.
    const suffix = query.size > 0 ? `?${query}`.replaceAll('%3A', ':') : ''
    return { link: `${base}/api/v1${folder}/${link.filename}${suffix}` }
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
          202: OrderedReportSchema,
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
      const ordered = await order(
        {
          subject: { userId },
          interval,
          details,
          notFound: () => userNotFound(userId),
          part: 'query parameter',
          folder: '/segments/user/history'
        },
        request
      )
      return reply.status(202).send(ordered)
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
        body: OrderReportBodySchema,
        response: {
          202: {
            ...OrderedReportSchema,
            examples: [{ link: `http://127.0.0.1:8080/api/v1/reports/${SEGMENT_REPORT}` }]
          },
          ...commonErrors,
          ...commonBodyErrors,
          ...orderRefusals,
          404: unknownSegment
        }
      }
    },
    async (request, reply) => {
      const { details = false, segment: given, ...interval } = request.body
      const segment = given?.toUpperCase() ?? null
      const ordered = await order(
        {
          subject: { segment },
          interval,
          details,
          notFound: () => segmentNotFound(segment ?? ''),
          part: 'body field',
          folder: '/reports'
        },
        request
      )
      return reply.status(202).send(ordered)
    }
  )
}
