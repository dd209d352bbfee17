/** The routes of a report's link: the file, its progress, and the cancellation of its order. */
import { addAbortSignal, pipeline, type Readable } from 'node:stream'
import { constants, createGzip } from 'node:zlib'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import type { FastifyReply, FastifyRequest } from 'fastify'
import {
  contentResponse,
  emptyResponse,
  errorResponse,
  retryableErrorResponse
} from '../../schemas/common.ts'
import { IdempotencyKeyHeadersSchema, withReplay } from '../../schemas/idempotency.ts'
import {
  ReportCsvSchema,
  ReportFileHeadersSchema,
  ReportLinkQuerySchema,
  ReportParamsSchema,
  ReportStatusSchema,
  SignedLinkQuerySchema,
  UserReportParamsSchema
} from '../../schemas/reports.ts'
import {
  commonBodyErrors,
  commonErrors,
  idempotencyErrors,
  reportsUnavailable
} from '../http/common-responses.ts'
import {
  rangeNotSatisfiable,
  reportExpired,
  reportFailed,
  reportNotFound,
  reportPending
} from '../http/errors.ts'
import { chooseFileAnswer, entityTag } from '../http/file-answer.ts'
import { writeOnce } from '../http/idempotency.ts'
import { sendStream } from '../http/send-stream.ts'
import type { ReportLinks } from './links.ts'
import type { ReportLink } from './order-queries.ts'

const USER_REPORT = 'user-10_2023-08-01_2023-08-31.csv'

/** The paths that serve reports. The first one is that of the original API and serves reports of one user. */
const folders = [
  {
    folder: '/segments/user/history',
    params: UserReportParamsSchema,
    operationIds: { fetch: 'downloadUserReport', status: 'getUserReportStatus', cancel: 'cancelUserReport' },
    summaries: {
      fetch: 'Download a report of a user',
      status: 'Get the progress of a report of a user',
      cancel: 'Cancel the order of a report of a user'
    }
  },
  {
    folder: '/reports',
    params: ReportParamsSchema,
    operationIds: { fetch: 'downloadReport', status: 'getReportStatus', cancel: 'cancelReport' },
    summaries: {
      fetch: 'Download a report',
      status: 'Get the progress of a report',
      cancel: 'Cancel the order of a report'
    }
  }
]

const expired = errorResponse('ReportExpiredError', 'The report has expired.', {
  REPORT_EXPIRED: reportExpired(USER_REPORT).message
})

/** Level 1 halves the time of the default level, and makes the file a tenth larger. */
const GZIP_OPTIONS = { level: constants.Z_BEST_SPEED }

function compress(content: Readable): Readable {
  const compressed = createGzip(GZIP_OPTIONS)
  // An error destroys both streams, so the answer fails too.
  return pipeline(content, compressed, () => {})
}

/** A signed request before its validation. */
const SignedRequestSchema = Type.Object({
  params: Type.Object({ filename: Type.String() }),
  query: Type.Object({ as_of: Type.Optional(Type.String()), signature: Type.String() })
})

type LinkRequest = { params: { filename: string }; query: { as_of?: string | undefined } }

function linkOf({ params, query }: LinkRequest): ReportLink {
  return { filename: params.filename, asOf: query.as_of }
}

export const reportFileRoutes: FastifyPluginAsyncTypebox<{ links: ReportLinks }> = async (app, { links }) => {
  /** The series that the signature of a request opens; undefined if there is no valid one. */
  async function openedSeries({ params, query }: Pick<FastifyRequest, 'params' | 'query'>) {
    const request: unknown = { params, query }
    return Value.Check(SignedRequestSchema, request)
      ? links.verify(linkOf(request), request.query.signature)
      : undefined
  }

  for (const { folder, params, operationIds, summaries } of folders) {
    app.get(
      `${folder}/:filename`,
      {
        config: {
          role: 'reader',
          hasSignedUrl: async (request) => (await openedSeries(request)) !== undefined
        },
        schema: {
          operationId: operationIds.fetch,
          summary: summaries.fetch,
          description:
            'The file that an order linked to, once it is ready. A link with a signature needs no key. The answer is ' +
            'compressed with gzip if the client accepts it and asks for no range. It is aborted if the client reads ' +
            'nothing for a minute.',
          tags: ['reports'],
          params,
          querystring: SignedLinkQuerySchema,
          headers: ReportFileHeadersSchema,
          response: {
            200: {
              ...contentResponse('The report as a file.', 'text/csv', ReportCsvSchema),
              headers: {
                ETag: { type: 'string', description: 'Identifies the content, and its encoding.' },
                'Last-Modified': { type: 'string', description: 'When the report was ready.' }
              }
            },
            206: contentResponse('The range of the file.', 'text/csv', ReportCsvSchema),
            304: emptyResponse('The client has the file already.'),
            307: {
              ...emptyResponse(
                'The file is in an object storage, whose answer has another `ETag` and no gzip.'
              ),
              headers: {
                Location: { type: 'string', description: 'Can be used for a minute. It needs no key.' }
              }
            },
            ...commonErrors,
            ...reportsUnavailable,
            410: expired,
            416: errorResponse('RangeNotSatisfiableError', 'The range begins after the end of the file.', {
              RANGE_NOT_SATISFIABLE: rangeNotSatisfiable(134).message
            }),
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
        const series = request.actor ? undefined : await openedSeries(request)
        return sendReport(linkOf(request), series, request, reply)
      }
    )

    app.get(
      `${folder}/:filename/status`,
      {
        config: { role: 'reader' },
        schema: {
          operationId: operationIds.status,
          summary: summaries.status,
          description:
            'A report that cannot be made is tried five times, with growing pauses. `as_of` is that of the link.',
          tags: ['reports'],
          params,
          querystring: ReportLinkQuerySchema,
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
      async (request) => {
        const writeLink = await links.prepare(request)
        const edition = await app.reportJobs.find(linkOf(request))
        return { ...edition, link: writeLink(folder, linkOf(request), edition.series) }
      }
    )

    app.delete(
      `${folder}/:filename`,
      {
        config: { role: 'reader' },
        schema: {
          operationId: operationIds.cancel,
          summary: summaries.cancel,
          description:
            'Cancels the order of the link, and removes the report, even a finished one. If other keys have ordered ' +
            'the same report, it stays for them. `as_of` is that of the link.',
          tags: ['reports'],
          headers: IdempotencyKeyHeadersSchema,
          params,
          querystring: SignedLinkQuerySchema,
          response: {
            204: withReplay(emptyResponse('The order is cancelled.')),
            ...commonErrors,
            ...commonBodyErrors,
            ...idempotencyErrors,
            404: errorResponse('ReportNotOrderedError', 'The key has not ordered this report.', {
              REPORT_NOT_FOUND: reportNotFound(USER_REPORT).message
            }),
            410: expired
          }
        }
      },
      async (request, reply) => {
        await app.reportJobs.cancel(linkOf(request), request.actor?.name ?? '', (cancel) =>
          writeOnce(
            request,
            reply,
            app.writes,
            async (db) => {
              await cancel(db)
              return { status: 204, body: null }
            },
            { hasToken: false }
          )
        )
        return reply.send()
      }
    )
  }

  async function sendReport(
    link: ReportLink,
    series: string | undefined,
    { method, headers }: FastifyRequest,
    reply: FastifyReply
  ): Promise<FastifyReply> {
    const { token, size, sha256, finishedAt } = await app.reportJobs.findFinished(link, series)
    const answer = chooseFileAnswer(method, headers, { size, tag: sha256, modifiedAt: finishedAt })
    if (answer.status === 416) {
      reply.header('content-range', `bytes */${size}`)
      throw rangeNotSatisfiable(size)
    }
    if (method === 'GET' && answer.status !== 304) {
      const location = await app.reportJobs.signLink(link.filename, token)
      if (location !== undefined) return reply.redirect(location, 307)
    }
    const isCompressed = answer.status !== 206 && answer.isCompressed
    reply
      .status(answer.status)
      .header('etag', entityTag(sha256, isCompressed))
      .header('last-modified', finishedAt.toUTCString())
      .header('accept-ranges', 'bytes')
      .header('vary', 'accept-encoding')
    if (answer.status === 304) return reply.send()

    const part = answer.status === 206 ? { start: answer.start, end: answer.end } : undefined
    const content = await app.reportJobs.read(link.filename, token, part)
    // The deadline has passed meanwhile.
    if (reply.sent) {
      content.destroy()
      return reply
    }
    reply
      .type('text/csv; charset=utf-8')
      .header('content-disposition', `attachment; filename="${link.filename}"`)
    if (part) reply.header('content-range', `bytes ${part.start}-${part.end}/${size}`)
    if (isCompressed) reply.header('content-encoding', 'gzip')
    else reply.header('content-length', part ? part.end - part.start + 1 : size)
    const body = isCompressed ? compress(content) : content
    return sendStream(reply, addAbortSignal(app.shutdown.gaveUp, body))
  }
}
