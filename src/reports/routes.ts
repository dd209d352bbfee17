import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { contentResponse, errorResponse, retryableErrorResponse } from '../../schemas/common.ts'
import { UserParamsSchema } from '../../schemas/memberships.ts'
import {
  OrderedReportSchema,
  OrderReportBodySchema,
  ReportCsvSchema,
  ReportIntervalSchema,
  ReportParamsSchema,
  ReportStatusSchema,
  UserReportParamsSchema
} from '../../schemas/reports.ts'
import { retryIdempotent } from '../database/retry.ts'
import {
  commonBodyErrors,
  commonErrors,
  unavailableExamples,
  unknownSegment,
  unknownUser
} from '../http/common-responses.ts'
import {
  invalidRequest,
  reportExpired,
  reportFailed,
  reportNotFound,
  reportPending,
  segmentNotFound,
  tooManyReports,
  userNotFound
} from '../http/errors.ts'
import { checkReportOrder, type ReportRequest, reportFilename } from './queries.ts'

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

/** The response to an order that the service can't accept now. */
const orderRefused = retryableErrorResponse(
  'ReportOrderUnavailableError',
  'The service cannot answer now, or too many reports are in progress.',
  { TOO_MANY_REPORTS: tooManyReports().message, ...unavailableExamples }
)

type OrderPlace = {
  /** The part of the request with the interval, as error messages call it. */
  part: 'query parameter' | 'body field'
  /** The path of the report's link, below the API's base path. */
  folder: string
}

const USER_REPORT = 'user-10_2023-08-01_2023-08-31.csv'
const SEGMENT_REPORT = 'segment-AVITO_VOICE_MESSAGES_2023-08-01_2023-08-31.csv'

/** The paths that serve reports. The first one is that of the original API and serves reports of one user. */
const folders = [
  {
    folder: '/segments/user/history',
    params: UserReportParamsSchema,
    operationIds: { fetch: 'downloadUserReport', status: 'getUserReportStatus' },
    summaries: { fetch: 'Download a report of a user', status: 'Get the progress of a report of a user' }
  },
  {
    folder: '/reports',
    params: ReportParamsSchema,
    operationIds: { fetch: 'downloadReport', status: 'getReportStatus' },
    summaries: { fetch: 'Download a report', status: 'Get the progress of a report' }
  }
]

const expired = errorResponse('ReportExpiredError', 'The report has expired.', {
  REPORT_EXPIRED: reportExpired(USER_REPORT).message
})

export const reportRoutes: FastifyPluginAsyncTypebox<{ publicUrl: string | undefined }> = async (
  app,
  { publicUrl }
) => {
  /**
   * Orders a report.
   *
   * @returns its link.
   * @throws {ApiError} if the interval is empty or ends too late; `notFound` if the user or the segment does not exist.
   */
  async function order(
    report: ReportRequest,
    notFound: () => Error,
    { part, folder }: OrderPlace,
    request: FastifyRequest
  ): Promise<{ link: string }> {
    const { from, to } = report
    const base = publicUrl?.replace(/\/+$/, '') ?? requestOrigin(request)
    if (from >= to) throw invalidRequest(`${part} (from) must be before (to): ${from} is not before ${to}`)
    const { afterTomorrow, known } = await retryIdempotent(() => checkReportOrder(app.reads, report))
    if (afterTomorrow) throw invalidRequest(`${part} (to) must be tomorrow at the latest: ${to} is later`)
    if (!known) throw notFound()
    await app.reportJobs.order(report, request.id)
    return { link: `${base}/api/v1${folder}/${reportFilename(report)}` }
  }

  app.get(
    '/segments/user/:user_id/csv',
    {
      config: { role: 'reader' },
      schema: {
        operationId: 'orderUserReport',
        summary: "Order a report of a user's history",
        description:
          'The report covers whole days in UTC: `from` is inclusive, `to` exclusive. It is made in the background: ' +
          'fetch it by the link in the answer. A finished report of a past interval is not made again. A report ' +
          'that includes today is made again for each order.',
        tags: ['reports'],
        params: UserParamsSchema,
        querystring: ReportIntervalSchema,
        response: {
          202: OrderedReportSchema,
          ...commonErrors,
          503: orderRefused,
          404: unknownUser
        }
      }
    },
    async (request, reply) => {
      const { from, to } = request.query
      const userId = request.params.user_id
      const place = { part: 'query parameter', folder: '/segments/user/history' } as const
      const ordered = await order({ userId, from, to }, () => userNotFound(userId), place, request)
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
          'UTC, `from` inclusive, `to` exclusive, made in the background. A finished report of a past interval is not ' +
          'made again. A report that includes today is made again for each order.',
        tags: ['reports'],
        body: OrderReportBodySchema,
        response: {
          202: {
            ...OrderedReportSchema,
            examples: [{ link: `http://127.0.0.1:8080/api/v1/reports/${SEGMENT_REPORT}` }]
          },
          ...commonErrors,
          ...commonBodyErrors,
          503: orderRefused,
          404: unknownSegment
        }
      }
    },
    async (request, reply) => {
      const { from, to } = request.body
      const segment = request.body.segment?.toUpperCase() ?? null
      const place = { part: 'body field', folder: '/reports' } as const
      const ordered = await order({ segment, from, to }, () => segmentNotFound(segment ?? ''), place, request)
      return reply.status(202).send(ordered)
    }
  )

  for (const { folder, params, operationIds, summaries } of folders) {
    app.get(
      `${folder}/:filename`,
      {
        config: { role: 'reader' },
        schema: {
          operationId: operationIds.fetch,
          summary: summaries.fetch,
          description: 'The file that an order linked to, once it is ready.',
          tags: ['reports'],
          params,
          response: {
            200: contentResponse('The report as a file.', 'text/csv', ReportCsvSchema),
            ...commonErrors,
            410: expired,
            404: retryableErrorResponse(
              'ReportUnavailableError',
              'The report is not ready yet (`Retry-After` says when to try again), has failed, or was never ordered.',
              {
                REPORT_PENDING: reportPending(USER_REPORT).message,
                REPORT_FAILED: reportFailed(USER_REPORT).message,
                REPORT_NOT_FOUND: reportNotFound(USER_REPORT).message
              }
            )
          }
        }
      },
      async (request, reply) => {
        const { filename } = request.params
        const { size, content } = await app.reportJobs.read(filename)
        reply
          .type('text/csv; charset=utf-8')
          .header('content-disposition', `attachment; filename="${filename}"`)
          .header('content-length', size)
        return reply.send(content)
      }
    )

    app.get(
      `${folder}/:filename/status`,
      {
        config: { role: 'reader' },
        schema: {
          operationId: operationIds.status,
          summary: summaries.status,
          description: 'A report that cannot be made is tried five times, with growing pauses.',
          tags: ['reports'],
          params,
          response: {
            200: ReportStatusSchema,
            ...commonErrors,
            404: errorResponse('ReportNotFoundError', 'The report was never ordered.', {
              REPORT_NOT_FOUND: reportNotFound(USER_REPORT).message
            }),
            410: expired
          }
        }
      },
      (request) => app.reportJobs.find(request.params.filename)
    )
  }
}
