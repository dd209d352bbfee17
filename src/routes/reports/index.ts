import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { contentResponse, errorResponse, passingErrorResponse } from '../../../schemas/common.ts'
import { UserParamsSchema } from '../../../schemas/memberships.ts'
import {
  OrderedReportSchema,
  ReportCsvSchema,
  ReportIntervalSchema,
  ReportParamsSchema,
  ReportStatusSchema
} from '../../../schemas/reports.ts'
import { retryIdempotent } from '../../database.ts'
import { invalidRequest, userNotFound } from '../../errors.ts'
import { commonErrors } from '../common-errors.ts'
import { checkReportOrder, reportFilename } from './queries.ts'

const expiredResponse = errorResponse('The report has lived its time.', {
  REPORT_EXPIRED: 'report (user-10_2023-08-01_2023-08-31.csv) has expired: order it again'
})

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

export const reportRoutes: FastifyPluginAsyncTypebox<{ publicUrl: string | undefined }> = async (
  app,
  { publicUrl }
) => {
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
          503: passingErrorResponse('The service cannot answer now, or too many reports are unfinished.', {
            TOO_MANY_REPORTS: 'too many reports are being made, try again later',
            DATABASE_UNAVAILABLE: 'the database cannot answer now, try again later',
            DEADLINE_EXCEEDED: 'the request could not be answered in time, try again later'
          }),
          404: errorResponse('The service has never seen this user.', {
            USER_NOT_FOUND: 'user with id (10) not found'
          })
        }
      }
    },
    async (request, reply) => {
      const { from, to } = request.query
      const base = publicUrl?.replace(/\/+$/, '') ?? requestOrigin(request)
      const report = { userId: request.params.user_id, from, to }
      if (from >= to)
        throw invalidRequest(`query parameter (from) must be before (to): ${from} is not before ${to}`)
      const { afterTomorrow, knownUser } = await retryIdempotent(() => checkReportOrder(app.sql, report))
      if (afterTomorrow)
        throw invalidRequest(`query parameter (to) must be tomorrow at the latest: ${to} is later`)
      if (!knownUser) throw userNotFound(report.userId)

      await app.reportJobs.order(report, request.id)
      return reply
        .status(202)
        .send({ link: `${base}/api/v1/segments/user/history/${reportFilename(report)}` })
    }
  )

  app.get(
    '/segments/user/history/:filename',
    {
      config: { role: 'reader' },
      schema: {
        operationId: 'getUserReport',
        summary: 'Fetch a report',
        description: 'The file that an order linked to, once it is made.',
        tags: ['reports'],
        params: ReportParamsSchema,
        response: {
          200: contentResponse('The report.', 'text/csv', ReportCsvSchema),
          ...commonErrors,
          410: expiredResponse,
          404: passingErrorResponse(
            'The report is not there: not yet (`Retry-After` says when to ask again), or not at all.',
            {
              REPORT_PENDING: 'report (user-10_2023-08-01_2023-08-31.csv) is being made',
              REPORT_FAILED: 'report (user-10_2023-08-01_2023-08-31.csv) could not be made: order it again',
              REPORT_NOT_FOUND: 'report (user-10_2023-08-01_2023-08-31.csv) not found: order it first'
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
    '/segments/user/history/:filename/status',
    {
      config: { role: 'reader' },
      schema: {
        operationId: 'getUserReportStatus',
        summary: 'Get how far a report is',
        description: 'A report that could not be made is tried five times, with pauses that grow.',
        tags: ['reports'],
        params: ReportParamsSchema,
        response: {
          200: ReportStatusSchema,
          ...commonErrors,
          404: errorResponse('There is no such report.', {
            REPORT_NOT_FOUND: 'report (user-10_2023-08-01_2023-08-31.csv) not found: order it first'
          }),
          410: expiredResponse
        }
      }
    },
    (request) => app.reportJobs.find(request.params.filename)
  )
}
