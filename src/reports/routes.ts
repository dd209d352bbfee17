import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { contentResponse, errorResponse, passingErrorResponse } from '../../schemas/common.ts'
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
import { retryIdempotent } from '../database/faults.ts'
import { commonBodyErrors, commonErrors, databaseFaults } from '../http/common-responses.ts'
import { invalidRequest, segmentNotFound, userNotFound } from '../http/errors.ts'
import { checkReportOrder, type ReportRequest, reportFilename } from './queries.ts'

/** A host with a port, as a URL may have it; `Host` can hold anything. */
const authority = /^(\[[\da-f:.]+\]|[\w.~%!$&'()*+,;=-]+)(:\d+)?$/i

/**
 * The base of links where none is configured: what the caller has reached this service by.
 *
 * @throws {ApiError} where the caller's `Host` is none.
 */
function requestOrigin({ protocol, host, socket }: FastifyRequest): string {
  // HTTP/1.0 knows no Host.
  if (!host) return `${protocol}://${socket.localAddress}:${socket.localPort}`
  if (!authority.test(host) || !URL.canParse(`${protocol}://${host}`))
    throw invalidRequest('header (host) must be a host name, with a port or without')
  return `${protocol}://${host}`
}

/** What an order may answer where the service can't take it now. */
const orderRefused = passingErrorResponse(
  'The service cannot answer now, or too many reports are unfinished.',
  {
    TOO_MANY_REPORTS: 'too many reports are being made, try again later',
    ...databaseFaults
  }
)

type OrderPlace = {
  /** What the caller calls the part of the request that has the interval. */
  part: 'query parameter' | 'body field'
  /** Where the report will be, below the API's base path. */
  folder: string
}

/** Where reports are fetched: those of a user at the path they have always had, and all of them at the other. */
const folders = [
  {
    folder: '/segments/user/history',
    params: UserReportParamsSchema,
    example: 'user-10_2023-08-01_2023-08-31.csv',
    operationIds: { fetch: 'getUserReport', status: 'getUserReportStatus' }
  },
  {
    folder: '/reports',
    params: ReportParamsSchema,
    example: 'segment-VOICE_MSG_2023-08-01_2023-08-31.csv',
    operationIds: { fetch: 'getReport', status: 'getReportStatus' }
  }
]

export const reportRoutes: FastifyPluginAsyncTypebox<{ publicUrl: string | undefined }> = async (
  app,
  { publicUrl }
) => {
  /**
   * Orders a report.
   *
   * @returns its link.
   * @throws {ApiError} where the interval is none, `notFound` where the user or the segment is unknown.
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
    const { afterTomorrow, known } = await retryIdempotent(() => checkReportOrder(app.sql, report))
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
          'The report covers whole days, from the first day up to but without the last one, and is made while ' +
          'the caller goes on: fetch it by the link. A finished report of a past interval is not made again; one ' +
          'that takes in today is made afresh on each order.',
        tags: ['reports'],
        params: UserParamsSchema,
        querystring: ReportIntervalSchema,
        response: {
          202: { description: 'The report is being made, or is ready.', ...OrderedReportSchema },
          ...commonErrors,
          503: orderRefused,
          404: errorResponse('The service has never seen this user.', {
            USER_NOT_FOUND: 'user with id (10) not found'
          })
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
          'Of all segments, or of one, also a deleted one. As with the report of a user, it covers whole days, from the ' +
          'first day up to but without the last one, and is made while the caller goes on: fetch it by the link. A ' +
          'finished report of a past interval is not made again; one that takes in today is made afresh on each order.',
        tags: ['reports'],
        body: OrderReportBodySchema,
        response: {
          202: {
            description: 'The report is being made, or is ready.',
            ...OrderedReportSchema,
            examples: [
              { link: 'http://127.0.0.1:8080/api/v1/reports/segment-VOICE_MSG_2023-08-01_2023-08-31.csv' }
            ]
          },
          ...commonErrors,
          ...commonBodyErrors,
          503: orderRefused,
          404: errorResponse('There is and was no such segment.', {
            SEGMENT_NOT_FOUND: 'segment with slug (VOICE_MSG) not found'
          })
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

  for (const { folder, params, example, operationIds } of folders) {
    const expired = errorResponse('The report has lived its time.', {
      REPORT_EXPIRED: `report (${example}) has expired: order it again`
    })

    app.get(
      `${folder}/:filename`,
      {
        config: { role: 'reader' },
        schema: {
          operationId: operationIds.fetch,
          summary: 'Fetch a report',
          description: 'The file that an order linked to, once it is made.',
          tags: ['reports'],
          params,
          response: {
            200: contentResponse('The report.', 'text/csv', ReportCsvSchema),
            ...commonErrors,
            410: expired,
            404: passingErrorResponse(
              'The report is not there: not yet (`Retry-After` says when to ask again), or not at all.',
              {
                REPORT_PENDING: `report (${example}) is being made`,
                REPORT_FAILED: `report (${example}) could not be made: order it again`,
                REPORT_NOT_FOUND: `report (${example}) not found: order it first`
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
          summary: 'Get how far a report is',
          description: 'A report that could not be made is tried five times, with pauses that grow.',
          tags: ['reports'],
          params,
          response: {
            200: ReportStatusSchema,
            ...commonErrors,
            404: errorResponse('There is no such report.', {
              REPORT_NOT_FOUND: `report (${example}) not found: order it first`
            }),
            410: expired
          }
        }
      },
      (request) => app.reportJobs.find(request.params.filename)
    )
  }
}
