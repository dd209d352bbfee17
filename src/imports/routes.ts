import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest, FastifySchema, FastifySchemaCompiler } from 'fastify'
import type { Slug } from '../../schemas/common.ts'
import { errorResponse, passingErrorResponse } from '../../schemas/common.ts'
import {
  AddedMembersSchema,
  type ImportAccount,
  ImportErrorSchema,
  type ImportQuery,
  ImportQuerySchema,
  KnownUsersSchema,
  RemovedMembersSchema,
  uploadSchema
} from '../../schemas/imports.ts'
import { SegmentParamsSchema } from '../../schemas/segments.ts'
import type { Sql } from '../database/connect.ts'
import { retryIdempotent } from '../database/faults.ts'
import { BULK_STATEMENT_TIMEOUT } from '../database/pools.ts'
import { commonErrors, databaseFaults } from '../http/common-responses.ts'
import {
  type ApiError,
  bodyTooLarge,
  linesRejected,
  overloaded,
  segmentNotFound,
  shuttingDown,
  tooManyImports,
  unsupportedMediaType
} from '../http/errors.ts'
import { addLateLines, type Gathered, gatherUpload, MAX_SHOWN_LINES, uploadReaders } from './gather.ts'
import { MAX_UPLOAD_BYTES, MAX_UPLOAD_SIZE } from './pieces.ts'
import { existsSegment, type ImportOptions, importMembers, importRemovals, importUsers } from './queries.ts'

/** Milliseconds for an upload to arrive whole. */
const UPLOAD_TIMEOUT_MS = 3_600_000

const mediaTypes = Object.keys(uploadReaders)
const mediaTypeMessage = `the content type must be ${mediaTypes.slice(0, -1).join(', ')} or ${mediaTypes.at(-1)}`

const uploadErrors = {
  ...commonErrors,
  400: {
    description: 'The request is not valid, or lines were rejected. Nothing has changed.',
    content: {
      'application/json': {
        schema: ImportErrorSchema,
        examples: {
          LINES_REJECTED: {
            value: {
              message: 'lines rejected: 1 of 3, and nothing was changed; line 2 (abc) is not a user id: …',
              code: 'LINES_REJECTED',
              lines: 3,
              added: 2,
              already_members: 0,
              new_users: 2,
              rejected: { count: 1, first: [{ line: 2, value: 'abc', reason: 'is not a user id: …' }] }
            }
          },
          INVALID_REQUEST: { value: { message: 'unknown column (colour)', code: 'INVALID_REQUEST' } },
          INVALID_JSON: { value: { message: 'the body is not valid JSON', code: 'INVALID_JSON' } }
        }
      }
    }
  },
  408: errorResponse('The upload did not go on for half a minute. Nothing has changed.', {
    REQUEST_TIMEOUT: 'the request did not arrive whole in time'
  }),
  413: errorResponse('The body is too large. Nothing has changed.', {
    BODY_TOO_LARGE: bodyTooLarge(MAX_UPLOAD_SIZE).message
  }),
  415: errorResponse('The body is of another type, or compressed. Nothing has changed.', {
    UNSUPPORTED_MEDIA_TYPE: mediaTypeMessage
  }),
  503: passingErrorResponse(
    'The service cannot answer now, or the outcome is not known: send the upload again after `Retry-After` ' +
      'seconds. What it has done already it does not do twice.',
    {
      TOO_MANY_IMPORTS: tooManyImports().message,
      SHUTTING_DOWN: shuttingDown().message,
      OVERLOADED: overloaded.message,
      ...databaseFaults
    }
  )
}

const segmentErrors = {
  404: errorResponse('There is no such segment, or it is deleted. Nothing has changed.', {
    SEGMENT_NOT_FOUND: segmentNotFound('AVITO_VOICE_MESSAGES').message
  })
}

const forms =
  'The upload is CSV, newline-delimited JSON or a JSON array, of 1 GiB at the most, and is read as it comes. It takes ' +
  'effect as a whole, at one moment, when it has arrived whole. The answer accounts for every line.'

const config = {
  role: 'editor',
  arrival: UPLOAD_TIMEOUT_MS,
  deadline: UPLOAD_TIMEOUT_MS + BULK_STATEMENT_TIMEOUT
} as const

/** What can be seen before the upload is read. */
function refuseHeaders({ headers }: FastifyRequest): void {
  if ((headers['content-encoding'] ?? 'identity') !== 'identity')
    throw unsupportedMediaType('the content encoding must be identity: send the body uncompressed')
  if (Number(headers['content-length'] ?? 0) > MAX_UPLOAD_BYTES) throw bodyTooLarge(MAX_UPLOAD_SIZE)
}

function refuseLines(account: ImportAccount): ApiError {
  const { rejected, lines } = account
  const [first] = rejected.first
  const example = first ? `, line ${first.line} (${first.value}) ${first.reason}` : ''
  return linesRejected(
    `nothing has changed, as lines were rejected: ${rejected.count} of ${lines}${example}`,
    account
  )
}

export const importRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.removeAllContentTypeParsers()
  // The handlers read the request themselves.
  app.addContentTypeParser(mediaTypes, (_request, _body, done) => done(null, undefined))
  app.addContentTypeParser('*', (_request, _body, done) => done(unsupportedMediaType(mediaTypeMessage)))
  app.addHook('preValidation', (request, _reply, done) => {
    refuseHeaders(request)
    done()
  })

  /** What is read as it comes can't be validated before. */
  const validatorCompiler: FastifySchemaCompiler<FastifySchema> = (route) => {
    if (route.httpPart === 'body') return () => true
    if (!app.validatorCompiler) throw new Error('the common validator is not made yet')
    return app.validatorCompiler(route)
  }

  /** Gathers the upload in a session of the database, and has it take effect there. */
  async function takeUpload<Account extends ImportAccount>(
    { raw, mediaType = '', actor }: FastifyRequest,
    { dry_run, on_error }: ImportQuery,
    allowsExpiry: boolean,
    takeEffect: (sql: Sql, gathered: Gathered, options: ImportOptions) => Promise<Account>
  ): Promise<Account> {
    const Reader = uploadReaders[mediaType]
    if (!Reader) throw unsupportedMediaType(mediaTypeMessage)
    const isDryRun = dry_run === 'true'
    const skip = on_error === 'skip'
    try {
      return await app.importSessions.run(async (sql) => {
        const gathered = await gatherUpload(sql, raw, Reader, allowsExpiry, app.shutdown.gaveUp)
        const isRefused = gathered.rejected.count > 0 && !skip
        const options = { countOnly: isDryRun || isRefused, skip, actor: actor?.name }
        const account = await takeEffect(sql, gathered, options)
        if (account.rejected.count > 0 && !skip && !isDryRun) throw refuseLines(account)
        return account
      })
    } finally {
      // Where it was not read to its end the rest is passed over, so that the answer comes through.
      raw.resume()
    }
  }

  /** The slug of the segment in the path, which there is when the upload begins. */
  async function findSlug(slug: Slug): Promise<Slug> {
    const upperCase = slug.toUpperCase()
    if (!(await retryIdempotent(() => existsSegment(app.sql, upperCase)))) throw segmentNotFound(upperCase)
    return upperCase
  }

  app.post(
    '/segment/:slug/users',
    {
      config,
      validatorCompiler,
      schema: {
        operationId: 'addSegmentUsers',
        summary: 'Put many users into a segment',
        description:
          `${forms}\n\nWho is in already stays as before, but for an \`expires_at\` that is given: it is set anew. ` +
          'Who is seen for the first time is known from now on, and joins the segments that enroll new users.',
        tags: ['memberships'],
        params: SegmentParamsSchema,
        querystring: ImportQuerySchema,
        body: uploadSchema(true),
        response: { 200: AddedMembersSchema, ...uploadErrors, ...segmentErrors }
      }
    },
    async (request) => {
      const slug = await findSlug(request.params.slug)
      return takeUpload(request, request.query, true, async (sql, { accepted, rejected }, options) => {
        const imported = await importMembers(sql, slug, options, MAX_SHOWN_LINES)
        if (!imported) throw segmentNotFound(slug)
        const { added, new_users, late, late_lines } = imported
        return {
          lines: accepted + rejected.count,
          added,
          already_members: accepted - late - added,
          new_users,
          rejected: addLateLines(rejected, late, late_lines)
        }
      })
    }
  )

  app.delete(
    '/segment/:slug/users',
    {
      config,
      validatorCompiler,
      schema: {
        operationId: 'removeSegmentUsers',
        summary: 'Take many users out of a segment',
        description: `${forms}\n\nWho is not in it, or not known, is no error, and not known afterwards either.`,
        tags: ['memberships'],
        params: SegmentParamsSchema,
        querystring: ImportQuerySchema,
        body: uploadSchema(false),
        response: { 200: RemovedMembersSchema, ...uploadErrors, ...segmentErrors }
      }
    },
    async (request) => {
      const slug = await findSlug(request.params.slug)
      return takeUpload(request, request.query, false, async (sql, { accepted, rejected }, options) => {
        const removed = await importRemovals(sql, slug, options)
        if (removed === undefined) throw segmentNotFound(slug)
        return { lines: accepted + rejected.count, removed, not_members: accepted - removed, rejected }
      })
    }
  )

  app.post(
    '/users',
    {
      config,
      validatorCompiler,
      schema: {
        operationId: 'addUsers',
        summary: 'Make many users known',
        description: `${forms}\n\nWho is seen for the first time joins the segments that enroll new users.`,
        tags: ['memberships'],
        querystring: ImportQuerySchema,
        body: uploadSchema(false),
        response: { 200: KnownUsersSchema, ...uploadErrors }
      }
    },
    async (request) =>
      takeUpload(request, request.query, false, async (sql, { accepted, rejected }, options) => {
        const newUsers = await importUsers(sql, options)
        return {
          lines: accepted + rejected.count,
          new_users: newUsers,
          already_known: accepted - newUsers,
          rejected
        }
      })
  )
}
